"""Unlabelled pairs, in two of the layouts of labelled ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rsdetect.errors import InputError
from rsdetect.labelled.date_folders import find_date_folders
from rsdetect.labelled.file_listing import RASTERS, find_file_by_stem, list_files_by_stem


@dataclass(frozen=True)
class UnlabelledPair:
    """Unlabelled pair: paths of two scenes of a place."""

    name: str  # unique in its set
    before: Path
    after: Path


def find_unlabelled(folder: str | Path) -> list[UnlabelledPair]:
    """Find the unlabelled pairs in `folder`, sorted by name.

    Files of equal names in `A/` and `B/` (or `before/` and `after/`, `t1/` and `t2/`, `im1/` and `im2/`), or
    one folder per place with `before.tif` and `after.tif`. Labels are ignored.

    Raises
    ------
    InputError
        There is no such folder, or no pair in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}.")
    dates = find_date_folders(folder)
    if dates is not None:
        before, after = (list_files_by_stem(date, RASTERS) for date in dates)
        pairs = [
            UnlabelledPair(stem, before[stem], after[stem]) for stem in sorted(before.keys() & after.keys())
        ]
    else:
        pairs = []
        for place in (folder, *sorted(entry for entry in folder.iterdir() if entry.is_dir())):
            one, other = (find_file_by_stem(place, date, RASTERS) for date in ("before", "after"))
            if one and other:
                pairs.append(UnlabelledPair(place.resolve().name, one, other))
    if not pairs:
        raise InputError(
            f"{folder} holds no pairs: neither files of equal names in A/ and B/, nor folders with before.tif"
            " and after.tif."
        )
    return pairs
