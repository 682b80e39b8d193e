"""Layouts of labelled pairs: how each is recognised and read.

=========  =======================================================================================
layout     files
=========  =======================================================================================
folders    `A/`, `B/` and `label/` with files of equal names (suffixes may differ); also `before/` and
           `after/`, `t1/` and `t2/`, `im1/` and `im2/`, with `labels/`, `mask/`, `gt/` or `OUT/`
places     one folder per place, with `before.tif`, `after.tif` and `labels.gpkg` (or `.geojson`, `.shp`,
           `.fgb`, or a raster); masks, if any, are `before_mask.tif` and `after_mask.tif`. `rsdetect
           simulate` writes such a folder
onera      one folder per city, with `imgs_1/` and `imgs_2/` (`imgs_1_rect/` and `imgs_2_rect/` are
           preferred), one file per band, and `cm/` with the label
csv        a table with the columns before, after, label and, optionally, place and name; paths are
           relative to the table's folder. The table itself, or a folder with `pairs.csv`
=========  =======================================================================================

The place of a pair is its folder in `places` and `onera`, the column in `csv`, and otherwise derived from its
file name (`rsdetect.labelled.place_names`).
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

from rsdetect.errors import InputError
from rsdetect.labelled.band_folders import band_folder_files
from rsdetect.labelled.date_folders import find_date_folders
from rsdetect.labelled.file_listing import (
    RASTERS,
    VECTORS,
    find_file_by_stem,
    list_files,
    list_files_by_stem,
)
from rsdetect.labelled.label_coding import Coding, detect_label_coding
from rsdetect.labelled.pairs import LabelledPair
from rsdetect.labelled.place_names import places_from_names
from rsdetect.reading import refuse_endless

LAYOUTS = ("auto", "folders", "places", "onera", "csv")

_LABELS = ("label", "labels", "mask", "gt", "OUT")
_TABLE = "pairs.csv"


def find_pairs(folder: str | Path, layout: str = "auto") -> list[LabelledPair]:
    """Find the labelled pairs in `folder`, sorted by name. Raster labels are read, to infer their coding.

    Parameters
    ----------
    folder
        One set of pairs; for the layout csv also the table itself.
    layout
        One of `LAYOUTS`; auto = recognised by the files in the folder.

    Raises
    ------
    InputError
        There is no such folder, no labelled pair in it, a label or scene without its partners, or labels
        with unknown values.
    """
    folder = Path(folder)
    if layout not in LAYOUTS:
        raise InputError(f"`layout` {layout!r} is unknown; choose one of {', '.join(LAYOUTS)}.")
    if not folder.exists():
        raise InputError(f"there is no folder {folder}.")
    finders = {
        "folders": _find_folders_layout,
        "places": _find_places_layout,
        "onera": _find_onera_layout,
        "csv": _find_csv_layout,
    }
    pairs = finders[_recognise_layout(folder) if layout == "auto" else layout](folder)
    name, times = Counter(pair.name for pair in pairs).most_common(1)[0]
    if times > 1:
        raise InputError(f"{folder} holds {times} pairs named {name}; give each a unique name.")
    return _with_label_codings(sorted(pairs, key=lambda pair: pair.name))


def _recognise_layout(folder: Path) -> str:
    if folder.is_file() or (folder / _TABLE).is_file():
        return "csv"
    if find_date_folders(folder) is not None:
        return "folders"
    inside = [entry for entry in sorted(folder.iterdir()) if entry.is_dir()]
    if any((entry / "imgs_1").is_dir() or (entry / "imgs_1_rect").is_dir() for entry in inside):
        return "onera"
    if any(find_file_by_stem(entry, "before", RASTERS) for entry in (folder, *inside)):
        return "places"
    sets = [entry.name for entry in inside if find_date_folders(entry) is not None]
    if sets:
        raise InputError(f"{folder} holds sets of pairs and no pair itself: give {folder / sets[0]}.")
    raise InputError(
        f"{folder} holds no labelled pairs: neither A/, B/ and label/, nor folders with before.tif, "
        f"after.tif and labels.gpkg, nor folders with imgs_1/, imgs_2/ and cm/, nor {_TABLE}."
    )


def _with_label_codings(pairs: list[LabelledPair]) -> list[LabelledPair]:
    """Add label codings to the pairs of a layout, one per suffix: Onera codes TIFF and PNG differently."""
    kinds: dict[str, list[Path]] = defaultdict(list)
    for pair in pairs:
        kinds[pair.label.suffix.lower()].append(pair.label)
    codings: dict[str, Coding | None] = {
        kind: None if kind in VECTORS else detect_label_coding(labels) for kind, labels in kinds.items()
    }
    return [replace(pair, coding=codings[pair.label.suffix.lower()]) for pair in pairs]


def _find_folders_layout(folder: Path) -> list[LabelledPair]:
    dates = find_date_folders(folder)
    if dates is None:
        raise InputError(f"{folder} has no folders A/ and B/ (or before/ and after/) with images in them.")
    labels = next((folder / name for name in _LABELS if (folder / name).is_dir()), None)
    if labels is None:
        raise InputError(f"{folder} has images of two dates and no folder label/.")
    before, after = (list_files_by_stem(part, RASTERS) for part in dates)
    truth = list_files_by_stem(labels, RASTERS | VECTORS)
    if not truth:
        raise InputError(f"{labels} holds no label.")
    for stem, path in truth.items():
        for scenes, part in ((before, dates[0]), (after, dates[1])):
            if stem not in scenes:
                raise InputError(f"the label {path} has no image of its name in {part}.")
    stems = sorted(truth)
    return [
        LabelledPair(stem, place, before[stem], after[stem], truth[stem])
        for stem, place in zip(stems, places_from_names(stems), strict=True)
    ]


def _find_places_layout(folder: Path) -> list[LabelledPair]:
    here = [folder] if find_file_by_stem(folder, "before", RASTERS) else sorted(folder.iterdir())
    pairs = []
    for place in here:
        before, after = (find_file_by_stem(place, date, RASTERS) for date in ("before", "after"))
        label = _find_label(place)
        if not (before or after or label):
            continue
        if not (before and after and label):
            missing = "before.tif" if not before else "after.tif" if not after else "labels.gpkg"
            raise InputError(f"{place} has no {missing}; a place has before.tif, after.tif and labels.gpkg.")
        name = place.resolve().name
        masks = [find_file_by_stem(place, f"{date}_mask", RASTERS) for date in ("before", "after")]
        both = tuple(mask for mask in masks if mask)
        if len(both) == 1:
            raise InputError(f"{both[0]} is a mask of one date; give both dates one, or neither.")
        pairs.append(LabelledPair(name, name, before, after, label, masks=both))
    if not pairs:
        raise InputError(f"no folder in {folder} holds before.tif, after.tif and labels.gpkg.")
    return pairs


def _find_label(place: Path) -> Path | None:
    """Find the label in the layout of a place: drawn labels, else the truth of `rsdetect simulate`."""
    for stem, suffixes in (("labels", RASTERS | VECTORS), ("label", RASTERS | VECTORS), ("truth", RASTERS)):
        if label := find_file_by_stem(place, stem, suffixes):
            return label
    return None


def _find_onera_layout(folder: Path) -> list[LabelledPair]:
    pairs, cities = [], []
    for city in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        ending = "_rect" if (city / "imgs_1_rect").is_dir() else ""
        before, after = (city / f"imgs_{number}{ending}" for number in (1, 2))
        if not before.is_dir():
            continue
        cities.append(city.name)
        labels = sorted(list_files(city / "cm", RASTERS), key=lambda path: path.suffix.lower(), reverse=True)
        if not labels:  # the set has the labels of its test cities in another folder
            continue
        if not after.is_dir():
            raise InputError(f"{city} has {before.name}/ and no {after.name}/.")
        one, other = (list(band_folder_files(date, RASTERS)) for date in (before, after))
        if one != other:
            raise InputError(
                f"{before} and {after} hold different bands: {', '.join(one)} and {', '.join(other)}."
            )
        # The TIFF, if there is also the set's PNG.
        pairs.append(LabelledPair(city.name, city.name, before, after, labels[0]))
    if not cities:
        raise InputError(f"no folder in {folder} holds imgs_1/ and imgs_2/.")
    if not pairs:
        raise InputError(
            f"none of {', '.join(cities[:3])} in {folder} has a label in cm/; move the labels' folders there."
        )
    return pairs


def _find_csv_layout(path: Path) -> list[LabelledPair]:
    table = path / _TABLE if path.is_dir() else path
    refuse_endless(table)
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read as a table: {error}.") from error
    if not rows:
        raise InputError(f"{table} lists no pair.")
    files = [_table_row_files(table, row, number) for number, row in enumerate(rows, 2)]
    stems = [row.get("name") or before.stem for row, (before, _, _) in zip(rows, files, strict=True)]
    places = places_from_names(stems)
    return [
        LabelledPair(stem, row.get("place") or place, *paths)
        for stem, place, row, paths in zip(stems, places, rows, files, strict=True)
    ]


def _table_row_files(table: Path, row: dict[str, str | None], number: int) -> tuple[Path, Path, Path]:
    found = []
    for column in ("before", "after", "label"):
        value = row.get(column)
        if not value:
            raise InputError(
                f"line {number} of {table} has no {column}; its columns are before, after, label."
            )
        path = table.parent / value
        if not path.exists():
            raise InputError(f"line {number} of {table} names {value}, and there is no {path}.")
        found.append(path)
    return found[0], found[1], found[2]
