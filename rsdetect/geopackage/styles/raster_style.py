"""QGIS styles of the raster: probability, with classes from the run's threshold, and kinds of change."""

from __future__ import annotations

from string import Template

from rsdetect.geopackage.styles import read_style
from rsdetect.geopackage.styles.colours import (
    BELOW_THRESHOLD,
    KIND_COLOURS,
    NOT_OBSERVED,
    NOT_OBSERVED_ALPHA,
    RASTER_COLOURS,
    rgba,
)
from rsdetect.geopackage.styles.renderers import class_label, probability_classes
from rsdetect.kinds.classes import KIND_NAMES

_ALPHA = 90  # of values below the threshold, from a half of it


def raster_style(level: int) -> str:
    """QML of the probability raster of a run with the threshold of `level` percent.

    No change is transparent, what was not observed is a grey veil.
    """
    half = level // 2
    items = [_item(half, "#ffffff", 0, f"under {half} %")] if half else []
    items.append(_item(level, BELOW_THRESHOLD, _ALPHA, f"{half} to {level} %, below the threshold"))
    classes = probability_classes(level)
    colours = RASTER_COLOURS[len(RASTER_COLOURS) - len(classes) :]
    items += [
        _item(high if high < 100 else None, colour, 255, class_label(low, high))
        for (low, high), colour in zip(classes, colours, strict=True)
    ]
    return Template(read_style("change_probability.qml")).substitute(
        items="\n".join(items), not_observed=rgba(NOT_OBSERVED, NOT_OBSERVED_ALPHA)
    )


def kinds_style() -> str:
    """QML of the band of kinds, for a layer of its own; no change is transparent."""
    # A value without an entry would be drawn as nodata.
    entries = "\n".join(
        f'<paletteEntry value="{value}" color="{KIND_COLOURS.get(kind, "#ffffff")}" '
        f'alpha="{255 if value else 0}" label="{kind}"/>'
        for value, kind in enumerate(KIND_NAMES)
    )
    return Template(read_style("change_kinds.qml")).substitute(
        entries=entries, not_observed=rgba(NOT_OBSERVED, NOT_OBSERVED_ALPHA)
    )


def _item(end: int | None, colour: str, alpha: int, label: str) -> str:
    """Class of the raster below `end` percent; values are integer percent, bounds lie between."""
    value = "inf" if end is None else f"{(end - 0.5) / 100:g}"
    return f'<item value="{value}" color="{colour}" alpha="{alpha}" label="{label}"/>'
