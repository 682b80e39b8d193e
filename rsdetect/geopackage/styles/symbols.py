"""Symbols of polygons in QGIS: an outline within a light halo, or a point where it is small on the map."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from rsdetect.geopackage.styles.colours import rgba

_HALO = "255,255,255,215"
_SMALL_MM = 2.2  # edge of a polygon on the map, below which it is a point
_LEAST_POINT_MM = 1.1
# Edge of the polygon on the map. Without a CRS there is no scale, and a map is taken to be 250 mm wide.
_EDGE_MM = (
    'CASE WHEN "area_m2" IS NULL THEN 250 * sqrt(area($geometry)) / @map_extent_width'
    ' ELSE 1000 * sqrt("area_m2") / @map_scale END'
)
# A legend has no scale: there the outline is shown.
_IS_SMALL = f"coalesce({_EDGE_MM} < {_SMALL_MM}, false)"
_IS_LARGE = f"coalesce({_EDGE_MM} >= {_SMALL_MM}, true)"
_POINT_MM = f"coalesce(max({_LEAST_POINT_MM}, {_EDGE_MM}), {_LEAST_POINT_MM})"


@dataclass(frozen=True)
class Outline:
    """Outline of a polygon on the map, and the point that stands for it where it is small.

    Attributes
    ----------
    rank
        Symbols of a higher rank are drawn above; all halos lie below all outlines.
    marker, angle
        Shape of the point, as QGIS names it, and its rotation in degrees.
    """

    colour: str  # "#rrggbb"
    line_mm: float = 0.5
    dash: str = "solid"
    fill_alpha: int = 50  # 0 to 255
    rank: int = 0
    marker: str = "circle"
    angle: int = 0


def fill_symbol(name: str, outline: Outline) -> str:
    """Fill symbol `name` of a renderer, as XML of QGIS."""
    halo = _layer(
        "SimpleLine",
        0,
        {
            "line_color": _HALO,
            "line_width": outline.line_mm + 0.6,
            "line_style": "solid",
            "joinstyle": "round",
        },
        {"enabled": _IS_LARGE},
    )
    area = _layer(
        "SimpleFill",
        1 + outline.rank,
        {"color": rgba(outline.colour, outline.fill_alpha), "style": "solid", "outline_style": "no"},
        {"enabled": _IS_LARGE},
    )
    line = _layer(
        "SimpleLine",
        1 + outline.rank,
        {
            "line_color": rgba(outline.colour),
            "line_width": outline.line_mm,
            "line_style": outline.dash,
            "joinstyle": "round",
        },
        {"enabled": _IS_LARGE},
    )
    point = _layer(
        "CentroidFill",
        1 + outline.rank,
        {"point_on_surface": 1, "point_on_all_parts": 0, "clip_points": 0},
        {"enabled": _IS_SMALL},
        _symbol(f"@{name}@3", "marker", _marker(outline)),
    )
    return _symbol(name, "fill", halo + area + line + point)


def _marker(outline: Outline) -> str:
    return _layer(
        "SimpleMarker",
        0,
        {
            "name": outline.marker,
            "angle": outline.angle,
            "color": rgba(outline.colour),
            "outline_color": _HALO,
            "outline_style": "solid",
            "outline_width": 0.2,
            "size": 2,
        },
        {"size": _POINT_MM},
    )


def _symbol(name: str, kind: str, layers: str) -> str:
    return (
        f'<symbol name="{name}" type="{kind}" alpha="1" clip_to_extent="1" force_rhr="0">{layers}</symbol>\n'
    )


def _layer(
    kind: str, order: int, options: dict[str, object], defined: dict[str, str], symbol: str = ""
) -> str:
    """Layer of a symbol; `defined` are properties by expressions on the feature."""
    given = "".join(_option(name, "QString", str(value)) for name, value in options.items())
    properties = "".join(
        f'<Option name="{name}" type="Map">{_option("active", "bool", "true")}'
        f"{_option('expression', 'QString', expression)}{_option('type', 'int', '3')}</Option>"
        for name, expression in defined.items()
    )
    return (
        f'<layer class="{kind}" enabled="1" locked="0" pass="{order}"><Option type="Map">{given}</Option>'
        f'<data_defined_properties><Option type="Map">{_option("name", "QString", "")}'
        f'<Option name="properties" type="Map">{properties}</Option>'
        f"{_option('type', 'QString', 'collection')}</Option></data_defined_properties>{symbol}</layer>\n"
    )


def _option(name: str, kind: str, value: str) -> str:
    return f'<Option name="{name}" type="{kind}" value="{escape(value)}"/>'
