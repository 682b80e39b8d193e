"""The list of a batch: a CSV with one pair a line, checked as a whole before anything runs.

Columns: `name` (the pair's folder), `before`, `after`, and any option of `rsdetect detect` that says what is
compared or how, under its own name and in the words that the command line takes (`mask`, `mask_values`,
`mask_bits`, `nodata`, `bands`, `dates`, `aoi`, `align`, `resampling`, `accept`, `detector`, `model`,
`threshold`, `min_area`, `simplify`). An empty cell leaves the option as the batch has it. A relative path
counts from the folder that the list lies in.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rsdetect.detectors.own_file import full_name
from rsdetect.errors import InputError
from rsdetect.jobs.options import DetectOptions
from rsdetect.jobs.parse import parse_integers, parse_nodata_list, parse_threshold
from rsdetect.paths import from_folder
from rsdetect.scenes.bands import parse_bands
from rsdetect.scenes.dates import parse_dates

REQUIRED = ("name", "before", "after")
# What a batch writes beside the folders of its pairs.
TABLE, REPORT, POLYGONS = "summary.csv", "batch.json", "changes.gpkg"
RESERVED = (TABLE, REPORT, POLYGONS)
_TRUE, _FALSE = ("true", "yes", "1", "x"), ("false", "no", "0")


@dataclass(frozen=True)
class BatchPair:
    """One line of the list."""

    name: str  # of its folder
    before: str  # anything GDAL opens
    after: str
    options: DetectOptions  # of the batch, with what this line says in their place


def read_pairs(path: Path, options: DetectOptions) -> list[BatchPair]:
    """Read the list; its separator is a comma or a semicolon.

    Raises
    ------
    InputError
        The list cannot be read, lacks a column, or a line of it is wrong; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list of pairs: {error}.") from error
    heading = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter=";" if ";" in heading else ",")
    columns = [column.strip().lower().replace("-", "_") for column in next(rows, [])]
    _check_columns(path, columns)
    pairs: list[BatchPair] = []
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        line = f"{path}, line {rows.line_num}"
        if len(row) > len(columns):
            raise InputError(
                f"{line} has {len(row)} cells and the heading {len(columns)}; put a cell that holds a "
                "separator into quotes."
            )
        cells = {column: cell.strip() for column, cell in zip(columns, row, strict=False)}
        pairs.append(_pair(line, cells, path.absolute().parent, options))
    if not pairs:
        raise InputError(f"{path} lists no pair.")
    _check_names(path, pairs)
    return pairs


def _check_columns(path: Path, columns: list[str]) -> None:
    for column in columns:
        if column not in (*REQUIRED, *_OPTIONS):
            near = difflib.get_close_matches(column, (*REQUIRED, *_OPTIONS), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join((*REQUIRED, *_OPTIONS))}."
            raise InputError(f"{path} has a column {column!r} that a batch does not know; {hint}")
    for column in columns:
        if columns.count(column) > 1:
            raise InputError(f"{path} has the column {column!r} twice.")
    for column in REQUIRED:
        if column not in columns:
            raise InputError(
                f"{path} has no column {column!r}; a list of pairs starts with name,before,after."
            )


def _check_names(path: Path, pairs: Iterable[BatchPair]) -> None:
    seen: set[str] = set()
    for pair in pairs:
        name = pair.name.casefold()  # because some file systems do not tell case apart
        if name in seen:
            raise InputError(
                f"{path} has two pairs of the name {pair.name!r}; each needs a folder of its own."
            )
        if name in RESERVED:
            raise InputError(
                f"{path} names a pair {pair.name!r}, which is the name of a result of the batch."
            )
        seen.add(name)


def _pair(line: str, cells: dict[str, str], folder: Path, options: DetectOptions) -> BatchPair:
    for column in REQUIRED:
        if not cells.get(column):
            raise InputError(f"{line} names no {column}.")
    name = cells["name"]
    if name.startswith(".") or any(sign in name for sign in '/\\:*?"<>|') or not name.isprintable():
        raise InputError(f"{line}: {name!r} cannot be the name of a folder.")
    for column, (group, field, parse) in _OPTIONS.items():
        if cell := cells.get(column):
            try:
                options = replace(
                    options, **{group: replace(getattr(options, group), **{field: parse(cell, folder)})}
                )
            except InputError as error:
                raise InputError(f"{line}: {error}") from error
            except ValueError:
                raise InputError(f"{line}: {cell!r} is no {column}.") from None
    if not options.pair.masks:  # those of the batch are for the pairs that have a mask
        options = replace(options, pair=replace(options.pair, mask_values=(), mask_bits=()))
    return BatchPair(name, from_folder(cells["before"], folder), from_folder(cells["after"], folder), options)


def _truth(text: str, _: Path) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise InputError(f"{text!r} is neither yes nor no.")
    return text.lower() in _TRUE


# Which field of which group of options a column fills, and how its cells are read.
_OPTIONS: dict[str, tuple[str, str, Callable[[str, Path], Any]]] = {
    "mask": (
        "pair",
        "masks",
        lambda text, folder: tuple(from_folder(part.strip(), folder) for part in text.split(",")),
    ),
    "mask_values": ("pair", "mask_values", lambda text, _: parse_integers("mask_values", text)),
    "mask_bits": ("pair", "mask_bits", lambda text, _: parse_integers("mask_bits", text)),
    "nodata": ("pair", "nodata", lambda text, _: parse_nodata_list(text)),
    "bands": ("pair", "bands", lambda text, _: parse_bands(text)),
    "dates": ("pair", "dates", lambda text, _: parse_dates(text)),
    "aoi": ("pair", "aoi", from_folder),
    "align": ("pair", "align", _truth),
    "resampling": ("pair", "resampling", lambda text, _: text),
    "accept": ("pair", "accept", lambda text, _: tuple(part.strip() for part in text.split(","))),
    "detector": ("score", "detector", full_name),
    "model": (
        "score",
        "model",
        lambda text, folder: from_folder(text, folder) if Path(text).suffix else text,
    ),
    "threshold": ("polygons", "threshold", lambda text, _: parse_threshold(text)),
    "min_area": ("polygons", "min_area", lambda text, _: float(text)),
    "simplify": ("polygons", "simplify", lambda text, _: float(text)),
}
