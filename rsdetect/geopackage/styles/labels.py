"""Labels of polygons in QGIS: the area, in those polygons that it fits into."""

from __future__ import annotations

from html import escape
from string import Template

from rsdetect.geopackage.styles import read_style

# Expression of QGIS: area in the reader's units; pixels without a CRS.
AREA = (
    'CASE WHEN "area_m2" >= 1e6 THEN format_number("area_m2" / 1e6, 1) || \' km²\''
    ' WHEN "area_m2" >= 1e4 THEN format_number("area_m2" / 1e4, 1) || \' ha\''
    ' WHEN "area_m2" >= 10 THEN format_number("area_m2", 0) || \' m²\''
    ' WHEN "area_m2" IS NOT NULL THEN format_number("area_m2", 2) || \' m²\''
)
AREA_OR_PIXELS = (
    f"{AREA} WHEN \"pixels\" = 1 THEN '1 pixel' ELSE format_number(\"pixels\", 0) || ' pixels' END"
)


def plain_text(expression: str) -> str:
    """Expression of QGIS whose value a map tip shows as it is, not as HTML.

    >>> print(plain_text('"pair"'))
    replace("pair", map('&', '&amp;', '<', '&lt;'))
    """
    return f"replace({expression}, map('&', '&amp;', '<', '&lt;'))"


def labeling(expression: str) -> str:
    """Element `labeling` of a QGIS style."""
    return Template(read_style("labeling.qml")).substitute(expression=escape(expression))
