"""The styles that QGIS applies by itself, as QML files."""

from __future__ import annotations

from importlib.resources import files


def read_style(name: str) -> str:
    """The QML file `name`, a template where the layer's columns vary."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
