"""Columns of a layer in QGIS: names, units, number formats and lists of values of the attribute form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Field:
    """Column of a layer as QGIS shows it in tables and forms."""

    title: str
    digits: int | None = None  # after the decimal point; None = no number
    unit: str = ""
    values: tuple[str, ...] = ()  # to choose from; () = any


_EDGES = "-1e+15", "1e+15"  # of the numbers that a form takes


def field_elements(fields: Mapping[str, Field], dates: Iterable[str] = (), hidden: str = "fid") -> str:
    """Elements `fieldConfiguration` and `aliases` of a QGIS style.

    Parameters
    ----------
    dates
        Names of the fields that are days.
    hidden
        Name of the field that forms leave out.
    """
    days = set(dates)
    widgets = [_widget(hidden, "Hidden", "")]
    widgets += [_widget(name, *_editor(field, is_day=name in days)) for name, field in fields.items()]
    aliases = "".join(
        f'<alias field="{escape(name)}" name="{escape(_alias(field))}"/>\n' for name, field in fields.items()
    )
    return f"<fieldConfiguration>\n{''.join(widgets)}</fieldConfiguration>\n<aliases>\n{aliases}</aliases>"


def _alias(field: Field) -> str:
    return f"{field.title} ({field.unit})" if field.unit else field.title


def _editor(field: Field, *, is_day: bool) -> tuple[str, str]:
    """Editor widget of a field, and its options."""
    if is_day:
        day = "yyyy-MM-dd"
        return "DateTime", _text("display_format", day) + _text("field_format", day)
    if field.values:
        entries = "".join(f'<Option type="Map">{_text(value, value)}</Option>' for value in field.values)
        return "ValueMap", f'<Option name="map" type="List">{entries}</Option>'
    if field.digits is None:
        return "TextEdit", ""
    low, high = _EDGES
    return "Range", (
        '<Option name="AllowNull" type="bool" value="true"/>'
        f'<Option name="Min" type="double" value="{low}"/><Option name="Max" type="double" value="{high}"/>'
        f'<Option name="Precision" type="int" value="{field.digits}"/>'
        + _text("Style", "SpinBox")
        + (_text("Suffix", f" {field.unit}") if field.unit else "")
    )


def _widget(name: str, kind: str, options: str) -> str:
    return (
        f'<field name="{escape(name)}" configurationFlags="None"><editWidget type="{kind}"><config>'
        f'<Option type="Map">{options}</Option></config></editWidget></field>\n'
    )


def _text(name: str, value: str) -> str:
    return f'<Option name="{escape(name)}" type="QString" value="{escape(value)}"/>'
