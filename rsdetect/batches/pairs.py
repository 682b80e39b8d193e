"""List of the pairs of a batch: a CSV with one pair per line, validated before anything runs.

Columns: `name` (the pair's folder), `before`, `after`, and any option of `rsdetect detect` on what is
compared and how, under its own name and with the values of the command line (`mask`, `mask_values`,
`mask_bits`, `mask_kind`, `nodata`, `bands`, `dates`, `aoi`, `align`, `resampling`, `register`, `normalise`,
`accept`, `detector`, `model`, `detector_options`, `threshold`, `opening`, `min_area`, `fill_holes`,
`min_width`, `merge_gap`, `simplify`, `shape_attributes`). An empty cell keeps the batch's option. Relative
paths start at the list's folder.
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
from rsdetect.detectors.settings import as_settings
from rsdetect.errors import InputError
from rsdetect.jobs.options import DetectOptions
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.parse import parse_integers, parse_min_area, parse_nodata_list, parse_threshold
from rsdetect.paths import from_folder, layer_from_folder, named_or_from_folder, split_paths
from rsdetect.reading import read_text
from rsdetect.scenes.bands import parse_bands
from rsdetect.scenes.dates import parse_dates

REQUIRED = ("name", "before", "after")
# Output files of a batch, beside the folders of its pairs.
TABLE, REPORT, POLYGONS = "summary.csv", "batch.json", "changes.gpkg"
SHARDS = "shards"  # folder with the records of shards
INDEX = "index.html"
ZONES = Outputs.ZONES
RESERVED = (TABLE, REPORT, POLYGONS, SHARDS, INDEX, ZONES)
_TRUE, _FALSE = ("true", "yes", "1", "x"), ("false", "no", "0")


@dataclass(frozen=True)
class BatchPair:
    """Pair of a batch: one line of the list."""

    name: str  # of its folder
    before: str  # anything GDAL opens
    after: str
    options: DetectOptions  # those of the batch, with the values of this line


def read_pairs(path: Path, options: DetectOptions) -> list[BatchPair]:
    """Read the list of pairs; the separator is a comma or a semicolon.

    Raises
    ------
    InputError
        The list cannot be read, lacks a column, or a line is invalid; the message names the line.
    """
    text = read_text(path, "a list of pairs", encoding="utf-8-sig")
    heading = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter=";" if ";" in heading else ",")
    columns = [column.strip().lower().replace("-", "_") for column in next(rows, [])]
    _check_list_columns(path, columns)
    pairs: list[BatchPair] = []
    seen: dict[tuple[str, ...], str] = {}
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        line = f"{path}, line {rows.line_num}"
        if len(row) > len(columns):
            raise InputError(
                f"{line} has {len(row)} cells, the header {len(columns)}; quote cells that contain a "
                "separator."
            )
        cells = {column: cell.strip() for column, cell in zip(columns, row, strict=False)}
        pairs.append(_pair_of_row(line, cells, path.absolute().parent, options))
        same = tuple(
            f"{column}={cell}" for column, cell in sorted(cells.items()) if cell and column != "name"
        )
        if same in seen:
            raise InputError(
                f"{line} has the same pair as {seen[same]!r}, with the same options; remove one of the lines."
            )
        seen[same] = pairs[-1].name
    if not pairs:
        raise InputError(f"{path} lists no pair.")
    _check_pair_names(path, pairs)
    return pairs


def _check_list_columns(path: Path, columns: list[str]) -> None:
    """Raise for unknown, duplicate or missing columns in the list of pairs."""
    for column in columns:
        if column not in (*REQUIRED, *_OPTION_COLUMNS):
            near = difflib.get_close_matches(column, (*REQUIRED, *_OPTION_COLUMNS), 1)
            hint = (
                f"did you mean {near[0]!r}?"
                if near
                else f"there are {', '.join((*REQUIRED, *_OPTION_COLUMNS))}."
            )
            raise InputError(f"{path} has a column {column!r} unknown to a batch; {hint}")
    for column in columns:
        if columns.count(column) > 1:
            raise InputError(f"{path} has the column {column!r} twice.")
    for column in REQUIRED:
        if column not in columns:
            raise InputError(
                f"{path} has no column {column!r}; a list of pairs starts with name,before,after."
            )


def _check_pair_names(path: Path, pairs: Iterable[BatchPair]) -> None:
    """Raise for duplicate or reserved names of pairs."""
    seen: set[str] = set()
    for pair in pairs:
        name = pair.name.casefold()  # some file systems are case-insensitive
        if name in seen:
            raise InputError(f"{path} has two pairs named {pair.name!r}; each needs its own folder.")
        if name in RESERVED:
            raise InputError(
                f"{path} has a pair named {pair.name!r}, which is the name of an output of the batch."
            )
        seen.add(name)


def _pair_of_row(line: str, cells: dict[str, str], folder: Path, options: DetectOptions) -> BatchPair:
    """Pair of a row in the list."""
    for column in REQUIRED:
        if not cells.get(column):
            raise InputError(f"{line} has no {column}.")
    name = cells["name"]
    if name.startswith(".") or any(sign in name for sign in '/\\:*?"<>|') or not name.isprintable():
        raise InputError(f"{line}: {name!r} cannot be the name of a folder.")
    for column, (group, field, parse) in _OPTION_COLUMNS.items():
        if cell := cells.get(column):
            try:
                options = replace(
                    options, **{group: replace(getattr(options, group), **{field: parse(cell, folder)})}
                )
            except InputError as error:
                raise InputError(f"{line}: {error}") from error
            except ValueError:
                raise InputError(f"{line}: {cell!r} is not a valid {column}.") from None
    if not options.pair.masks:  # the batch's mask options apply to pairs with a mask
        options = replace(options, pair=replace(options.pair, mask_values=(), mask_bits=(), mask_kind=()))
    return BatchPair(name, from_folder(cells["before"], folder), from_folder(cells["after"], folder), options)


def _parse_yes_or_no(text: str, _: Path) -> bool:
    """Parse yes or no in a cell of the list of pairs."""
    if text.lower() not in (*_TRUE, *_FALSE):
        raise InputError(f"{text!r} is neither yes nor no.")
    return text.lower() in _TRUE


# column -> (group of options, field, parser of its cells)
_OPTION_COLUMNS: dict[str, tuple[str, str, Callable[[str, Path], Any]]] = {
    "mask": (
        "pair",
        "masks",
        lambda text, folder: tuple(from_folder(part.strip(), folder) for part in split_paths(text, folder)),
    ),
    "mask_values": ("pair", "mask_values", lambda text, _: parse_integers("mask_values", text)),
    "mask_bits": ("pair", "mask_bits", lambda text, _: parse_integers("mask_bits", text)),
    "mask_kind": ("pair", "mask_kind", lambda text, _: tuple(part.strip() for part in text.split(","))),
    "nodata": ("pair", "nodata", lambda text, _: parse_nodata_list(text)),
    "bands": ("pair", "bands", lambda text, _: parse_bands(text)),
    "dates": ("pair", "dates", lambda text, _: parse_dates(text)),
    "aoi": ("pair", "aoi", layer_from_folder),
    "align": ("pair", "align", _parse_yes_or_no),
    "resampling": ("pair", "resampling", lambda text, _: text),
    "register": ("pair", "register", _parse_yes_or_no),
    "normalise": ("pair", "normalise", lambda text, _: text),
    "accept": ("pair", "accept", lambda text, _: tuple(part.strip() for part in text.split(","))),
    "detector": ("score", "detector", full_name),
    "model": ("score", "model", named_or_from_folder),
    "detector_options": ("score", "detector_options", lambda text, _: as_settings(text)),
    "threshold": ("polygons", "threshold", lambda text, _: parse_threshold(text)),
    "min_area": ("polygons", "min_area", lambda text, _: parse_min_area(text)),
    "opening": ("polygons", "opening", lambda text, _: int(text)),
    "fill_holes": ("polygons", "fill_holes", lambda text, _: float(text)),
    "min_width": ("polygons", "min_width", lambda text, _: float(text)),
    "merge_gap": ("polygons", "merge_gap", lambda text, _: float(text)),
    "simplify": ("polygons", "simplify", lambda text, _: float(text)),
    "shape_attributes": ("polygons", "shape_attributes", _parse_yes_or_no),
}
