"""QGIS styles of layers: composed of colours, symbols and renderers in QML templates."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class NamedStyle:
    """QGIS style of a layer, with the name under which QGIS lists it."""

    name: str
    qml: str

    @property
    def element(self) -> str:
        """Root element of the style, without the declaration before it."""
        return self.qml[self.qml.index("<qgis") :]


def read_style(name: str) -> str:
    """Read the QML style file `name`, a template where the layer's columns vary."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
