"""QGIS styles of GeoPackage layers, as QML files."""

from __future__ import annotations

from importlib.resources import files


def read_style(name: str) -> str:
    """Read the QML style file `name`, a template where the layer's columns vary."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
