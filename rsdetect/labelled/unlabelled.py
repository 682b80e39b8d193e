"""Pairs that nobody has labelled, in two of the layouts of labelled ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rsdetect.errors import InputError
from rsdetect.labelled.files import RASTERS, date_folders, files_by_stem, named_file


@dataclass(frozen=True)
class UnlabelledPair:
    """Where two scenes of a place are."""

    name: str  # unique in its set
    before: Path
    after: Path


def find_unlabelled(folder: str | Path) -> list[UnlabelledPair]:
    """The pairs in `folder`, by name: files of equal names in `A/` and `B/` (or `before/` and `after/`, `t1/`
    and `t2/`, `im1/` and `im2/`), or a folder a place with `before.tif` and `after.tif`. Labels are ignored.

    Raises
    ------
    InputError
        There is no such folder, or no pair in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}.")
    dates = date_folders(folder)
    if dates is not None:
        before, after = (files_by_stem(date, RASTERS) for date in dates)
        pairs = [
            UnlabelledPair(stem, before[stem], after[stem]) for stem in sorted(before.keys() & after.keys())
        ]
    else:
        pairs = []
        for place in (folder, *sorted(entry for entry in folder.iterdir() if entry.is_dir())):
            one, other = (named_file(place, date, RASTERS) for date in ("before", "after"))
            if one and other:
                pairs.append(UnlabelledPair(place.resolve().name, one, other))
    if not pairs:
        raise InputError(
            f"{folder} holds no pairs: neither files of equal names in A/ and B/, nor folders with before.tif"
            " and after.tif."
        )
    return pairs
