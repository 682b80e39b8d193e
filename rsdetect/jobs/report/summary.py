"""Summary of the report page in plain words, its caveats, and what the check measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rsdetect.detectors.best_card import best_card
from rsdetect.errors import RsdetectError
from rsdetect.geopackage.stored_changes import StoredChanges
from rsdetect.grid import Grid
from rsdetect.nets.checkpoint import read_card
from rsdetect.pages.templates import area
from rsdetect.regions.areas import metres_per_unit
from rsdetect.scenes.radar import is_radar_by

_BEST = "best"
_LEAST_S2_M = 8.0  # edge of a pixel from which a failure on Sentinel-2 applies, up to _COARSE_M
_COARSE_M = 20.0  # edge of a pixel from which a failure "at 30 m" applies
_MUCH = 1 / 3  # share of the compared ground; more is a sign of unlike scenes
_KINDS_SHOWN = 6


def summary_of(record: Mapping[str, Any], changes: StoredChanges) -> list[str]:
    """Sentences on what a job found."""
    counts, dates = record["counts"], [record["check"][date]["date"] for date in ("before", "after")]
    between = f" between {dates[0]} and {dates[1]}" if all(dates) else ""
    found, observed = len(changes), counts["observed_pixels"]
    if not found:
        return [f"No change was found{between}.", _method(record)]
    share = counts["changed_pixels"] / observed if observed else 0
    total = _size(float(changes.area_m2.sum()), counts["changed_pixels"])
    lines = [
        f"{found:,} change{'s' if found != 1 else ''}{between}, {total} in all: {_percent(share)} of the "
        "ground that both scenes show."
    ]
    if found > 1:
        largest = _size(changes.area_m2[0], changes.pixels[0])
        median = _size(float(np.median(changes.area_m2)), float(np.median(changes.pixels)))
        lines.append(f"The largest covers {largest}; half of them cover less than {median}.")
    if changes.kind is not None:
        lines.append(_by_kind(changes))
    return [*lines, _method(record)]


def caveats_of(record: Mapping[str, Any], grid: Grid) -> list[str]:
    """Sentences on why the result may be wrong: warnings, and failures that the model's card names."""
    warnings = record.get("warnings", record["check"]["warnings"])
    return [*dict.fromkeys(warnings), *_known_failures(record, grid)]


def pixel_metres(grid: Grid) -> float | None:
    """Mean edge of a pixel on the ground in metres; None without a CRS."""
    if grid.crs is None:
        return None
    east, north = metres_per_unit(grid.crs, *(grid.transform @ (grid.width / 2, grid.height / 2)))
    return float((grid.pixel_area * east * north) ** 0.5)


def displacements(record: Mapping[str, Any], grid: Grid) -> list[tuple[float, float, float, float]]:
    """Measured displacements of AFTER's content: row and column of a place, and rows and columns it moved by.

    Those of the tiles where the record has them, else of the nodes of a registration, else the one shift.
    """
    shift = record["check"]["shift"]
    if shift is not None and shift.get("vectors"):
        return [tuple(vector) for vector in shift["vectors"]]
    registration = record.get("registration")
    if registration is not None:
        field = registration["displacement"]
        rows, cols = np.array(field["rows"]), np.array(field["cols"])
        if rows.size > 1:
            step = field["spacing"]
            return [
                (i * step[0], j * step[1], float(rows[i, j]), float(cols[i, j]))
                for i, j in np.ndindex(rows.shape)
                if i * step[0] <= grid.height and j * step[1] <= grid.width
            ]
    if shift is None:
        return []
    return [(grid.height / 2, grid.width / 2, float(shift["rows_px"]), float(shift["cols_px"]))]


def _method(record: Mapping[str, Any]) -> str:
    detector = record["detector"]
    own = ", its own" if record["threshold"] == detector["threshold"] else ""
    model = f" with the model {detector['model']}" if "model" in detector else ""
    return (
        f"Found by the detector {detector['name']}{model} at a probability of {record['threshold']:.2g} or "
        f"more{own}. A probability is an estimate; check what matters on the pictures."
    )


def _by_kind(changes: StoredChanges) -> str:
    """Sentence on the kinds of the changes, those of the largest area first."""
    names = np.array(changes.kind)
    sizes = changes.pixels
    totals = {name: int(sizes[names == name].sum()) for name in dict.fromkeys(changes.kind or ())}
    largest = sorted(totals, key=lambda name: -totals[name])
    parts = [
        f"{name} {_size(float(changes.area_m2[names == name].sum()), totals[name])}"
        for name in largest[:_KINDS_SHOWN]
    ]
    more = len(largest) - len(parts)
    return f"By kind: {', '.join(parts)}{f', and {more} more' if more > 0 else ''}."


def _known_failures(record: Mapping[str, Any], grid: Grid) -> Iterator[str]:
    """Failures on the job's card, without those of pixels or sensors that these are not."""
    name, failures = _card_of(record)
    pixel_m = pixel_metres(grid)
    bands = record.get("bands", [])
    is_radar = any(is_radar_by(bands, record["inputs"][date]["path"]) for date in ("before", "after"))
    counts = record["counts"]
    much = counts["changed_pixels"] > _MUCH * max(counts["observed_pixels"], 1)
    for failure in failures:
        text = failure.lower()
        if "radar" in text and not is_radar:
            continue
        if re.search(r"\bat \d+ m\b", text) and (pixel_m is None or pixel_m < _COARSE_M):
            continue
        if "sentinel-2" in text and (pixel_m is None or not _LEAST_S2_M <= pixel_m <= _COARSE_M):
            continue
        if "unlike sensors" in text and not much:
            continue
        yield f"Known of {name}: {failure}"


def _card_of(record: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Name and known failures of the card that a job goes by: that of its model, or that of `best`."""
    detector = record["detector"]
    own = record["options"].get("score", {}).get("model")
    if detector["name"] == _BEST and own is None:
        return _BEST, best_card().known_failures
    asked = own or detector.get("model")
    try:
        return (detector["model"], read_card(asked).known_failures) if asked else ("", ())
    except RsdetectError:  # the file is gone
        return "", ()


def _size(area_m2: float, pixels: float) -> str:
    """Size of a change: its area, or its pixels where the scenes have no CRS."""
    return f"{pixels:,.0f} pixels" if np.isnan(area_m2) else area(area_m2)


def _percent(share: float) -> str:
    """Share in percent, never 0 where there is some.

    >>> _percent(0.123), _percent(0.00432), _percent(0.00000432)
    ('12 %', '0.43 %', 'less than 0.01 %')
    """
    if 0 < share < 1e-4:
        return "less than 0.01 %"
    return f"{share:.0%}".replace("%", " %") if share >= 0.1 else f"{100 * share:.2g} %"
