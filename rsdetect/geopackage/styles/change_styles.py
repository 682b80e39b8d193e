"""QGIS styles of the layer of changes: by kind and by probability, for the columns that the layer has."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from string import Template

from rsdetect.geopackage.styles import NamedStyle, read_style
from rsdetect.geopackage.styles.colours import KIND_COLOURS, UNKNOWN
from rsdetect.geopackage.styles.fields import Field, field_elements
from rsdetect.geopackage.styles.labels import AREA_OR_PIXELS, labeling, plain_text
from rsdetect.geopackage.styles.renderers import kind_renderer, probability_renderer

DIFFERENCE = "difference_"
BY_KIND, BY_PROBABILITY = "By kind of change", "By probability"
_DAYS = "before_date", "after_date"
_FIELDS = {
    "change_id": Field("Change", 0),
    "pair": Field("Pair"),
    "pair_change_id": Field("Change within the pair", 0),
    "area_m2": Field("Area", 2, "m²"),
    "perimeter_m": Field("Perimeter", 1, "m"),
    "pixels": Field("Pixels", 0),
    "kind": Field("Kind", values=tuple(KIND_COLOURS)),
    "kind_probability": Field("Probability of the kind", 2),
    "from_class": Field("Land before"),
    "from_probability": Field("Probability of the land before", 2),
    "to_class": Field("Land after"),
    "to_probability": Field("Probability of the land after", 2),
    "probability_mean": Field("Mean probability", 2),
    "probability_max": Field("Highest probability", 2),
    "before_date": Field("Before"),
    "after_date": Field("After"),
    "detector": Field("Detector"),
    "compactness": Field("Compactness", 2),
    "length_m": Field("Length", 1, "m"),
    "width_m": Field("Width", 1, "m"),
    "orientation_deg": Field("Orientation", 0, "°"),
    "holes": Field("Holes", 0),
    "magnitude": Field("Magnitude", 2),
    "sector": Field("Sector"),
}
_DATES = (
    'CASE WHEN "before_date" IS NOT NULL AND "after_date" IS NOT NULL THEN \'<tr><td>Between</td><td>\''
    " || format_date(\"before_date\", 'yyyy-MM-dd') || ' and ' || format_date(\"after_date\", 'yyyy-MM-dd')"
    " || '</td></tr>'"
    " WHEN \"after_date\" IS NOT NULL THEN '<tr><td>Before</td><td>'"
    " || format_date(\"after_date\", 'yyyy-MM-dd') || '</td></tr>'"
    " WHEN \"before_date\" IS NOT NULL THEN '<tr><td>After</td><td>'"
    " || format_date(\"before_date\", 'yyyy-MM-dd') || '</td></tr>' ELSE '' END"
)
_KIND = (
    "\"kind\" || coalesce(' (' || round(100 * \"kind_probability\") || ' %)', '')",
    '"kind"',
)


def changes_styles(columns: Iterable[str], kinds: Iterable[str | None], level: int) -> tuple[NamedStyle, ...]:
    """Styles of a layer of changes, the default first.

    Parameters
    ----------
    columns
        Names of the layer's columns.
    kinds
        Values of the column `kind`; empty without it. By default the changes are coloured by kind if one of
        them is known.
    level
        Threshold in percent, at which the classes of probability begin.
    """
    names, present = list(columns), set(kinds)
    by_probability = NamedStyle(BY_PROBABILITY, _changes_qml(names, probability_renderer(level)))
    if "kind" not in names:
        return (by_probability,)
    by_kind = NamedStyle(BY_KIND, _changes_qml(names, kind_renderer(present)))
    return (by_kind, by_probability) if present - {UNKNOWN, None} else (by_probability, by_kind)


def change_fields(columns: Iterable[str]) -> dict[str, Field]:
    """Columns of a layer of changes as QGIS shows them."""
    return {name: _FIELDS[name] if name in _FIELDS else Field(_words(name), 4) for name in columns}


def _words(column: str) -> str:
    return column.replace("_", " ").capitalize()


def _changes_qml(columns: list[str], renderer: str) -> str:
    return Template(read_style("changes.qml")).substitute(
        renderer=renderer,
        labeling=labeling(AREA_OR_PIXELS),
        fields=field_elements(change_fields(columns), _DAYS),
        rows="\n".join(_tip_rows(columns)),
    )


def _tip_rows(columns: list[str]) -> Iterable[str]:
    """Rows of the map tip's table."""
    if "pair" in columns:
        yield _row("Pair", plain_text('"pair"'))
    if "kind" in columns:
        yield _row("Kind", _KIND["kind_probability" not in columns])
    if "from_class" in columns and "to_class" in columns:
        yield _row("Land", "coalesce(\"from_class\" || ' to ' || \"to_class\", 'unknown')")
    yield (
        '<tr><td>Probability</td><td>[% round(100 * "probability_mean") %] %'
        ' (highest [% round(100 * "probability_max") %] %)</td></tr>'
    )
    yield _row("Area", AREA_OR_PIXELS)
    yield f"[% {_DATES} %]"
    for name in columns:
        if name.startswith(DIFFERENCE) or name in ("compactness", "length_m", "width_m", "orientation_deg"):
            field = change_fields([name])[name]
            title = f"{field.title} ({field.unit})" if field.unit else field.title
            yield _row(escape(title), f"coalesce(round(\"{name}\", {field.digits}), '')")
    yield _row("Detector", plain_text('"detector"'))


def _row(title: str, expression: str) -> str:
    return f"<tr><td>{title}</td><td>[% {expression} %]</td></tr>"
