"""Summary of a finished job on the terminal: what changed, its files, and how to open them."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsdetect.amounts import area_text, count_text, shortened_text, size_text

if TYPE_CHECKING:
    from rsdetect.regions.generalise import PolygonStep

_POLYGONS, _PROJECT, _PAGE = "changes.gpkg", "changes.qgz", "report.html"
_FILES = (_POLYGONS, "change_probability.tif", _PROJECT, _PAGE, "run.json")
_LEAST_ROOM = 20  # characters of a path that are never cut
_MOST_KINDS = 6  # that the line on kinds names


def summary_lines(record: Mapping[str, Any], folder: Path, columns: int | None = None) -> Iterator[str]:
    """Lines of the closing summary of a job, at most five; the first one is that of `--quiet`.

    Parameters
    ----------
    record
        The record of the run.
    folder
        Its results.
    columns
        Width of the terminal, which paths are cut to; None = no terminal. Commands are never cut.
    """
    yield result_message(record, folder / _POLYGONS, columns)
    yield from _kinds_line(record["counts"])
    if record["counts"]["regions"] and (folder / _POLYGONS).exists():
        uri = f"{(folder / _POLYGONS).absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as changes, suppress(sqlite3.Error):
            yield from _largest_line(changes)
    there = [name for name in _FILES if (folder / name).exists()]
    files = f": {', '.join(there)}"
    yield f"Files in {_fitted(folder, len(files) + 9, columns)}{files}"
    project = _PROJECT if _PROJECT in there else _POLYGONS
    page = f", or {_quoted(folder / _PAGE)} in a browser" if _PAGE in there else ""
    yield (
        f"Open {_quoted(folder / project)} in QGIS{page}; another threshold or minimum area: "
        f"rsdetect vectorize {_quoted(folder)} --threshold P --min-area M2"
    )


def result_message(record: Mapping[str, Any], polygons: Path, columns: int | None = None) -> str:
    """Message with a summary of the found changes in one line."""
    counts = record["counts"]
    size = size_text(counts["changed_area_m2"], counts["changed_pixels"])
    steps = _steps_text(counts.get("polygon_steps", ()), record)
    if not counts["regions"]:
        nothing = "Nothing changed above the threshold" if not steps else f"No region is left{steps}"
        return f"{nothing}; {_fitted(polygons, len(nothing) + 25, columns)} has the observed area."
    found = f"{count_text(counts['regions'], 'region')} changed, {size}{steps}: "
    return found + _fitted(polygons, len(found), columns)


def _steps_text(steps: Iterable[PolygonStep], record: Mapping[str, Any]) -> str:
    """What the options of polygons added and took, for the message on a result; "" if nothing."""
    told = []
    for step in steps:
        if step["step"] == "min_area" and step["regions"]:
            least = count_text(record["min_pixels"], "pixel") if record.get("min_pixels") else None
            if least is None:
                has_metres = record["counts"]["changed_area_m2"] is not None
                least = area_text(record["min_area"]) if has_metres else f"{record['min_area']:g} pixels"
            told.append(f"{-step['regions']:,} smaller than {least} left out")
            continue
        numbers = (step["regions"], "regions"), (step["pixels"], "px"), (step["filled_pixels"], "px filled")
        parts = [f"{number:+,} {unit}" for number, unit in numbers if number]
        if step["step"] == "simplify" and step["area_m2"]:
            parts.append(f"{step['area_m2']:+,.0f} m²")
        if parts and step["step"] != "threshold":
            told.append(f"`{step['step']}` {', '.join(parts)}")
    return f" ({'; '.join(told)})" if told else ""


def _kinds_line(counts: Mapping[str, Any]) -> Iterator[str]:
    """Line of the summary on the kinds of change; none where all are unknown, or none was asked for."""
    kinds = counts.get("kinds", {})
    if kinds.keys() - {"unknown"}:
        parts = [
            f"{kind} {found['regions']:,} ({size_text(found['area_m2'], found['pixels'])})"
            for kind, found in kinds.items()
        ]
        others = len(parts) - _MOST_KINDS
        more = f" and {count_text(others, 'other kind')}" if others > 0 else ""
        yield f"Kinds: {', '.join(parts[:_MOST_KINDS])}{more}"


def _largest_line(changes: sqlite3.Connection) -> Iterator[str]:
    """Line of the summary on the largest change: size, number, and the middle of its extent."""
    change, area, pixels, number = changes.execute(
        "SELECT change_id, area_m2, pixels, fid FROM changes ORDER BY pixels DESC, change_id LIMIT 1"
    ).fetchone()
    left, right, bottom, top = changes.execute(
        "SELECT minx, maxx, miny, maxy FROM rtree_changes_geom WHERE id = ?", (number,)
    ).fetchone()
    x, y = (left + right) / 2, (bottom + top) / 2
    decimals = 5 if max(abs(x), abs(y)) <= 360 and area is not None else 0
    yield f"Largest: change {change}, {size_text(area, pixels)}, at {x:.{decimals}f}, {y:.{decimals}f}"


def _quoted(path: Path) -> str:
    """Path in a summary as a shell takes it."""
    return shlex.quote(str(path))


def _fitted(path: Path, used: int, columns: int | None) -> str:
    """Path cut in the middle where its line of the summary would wrap; `used` = the rest of the line."""
    return str(path) if columns is None else shortened_text(str(path), max(_LEAST_ROOM, columns - used))
