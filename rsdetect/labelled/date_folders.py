"""Folders of both dates in a set of pairs, by their usual names."""

from __future__ import annotations

from pathlib import Path

_DATES = (("A", "B"), ("before", "after"), ("t1", "t2"), ("im1", "im2"))


def find_date_folders(folder: Path) -> tuple[Path, Path] | None:
    """Date folders (before, after) in `folder`, by any of their usual names; None if there are none."""
    for before, after in _DATES:
        if (folder / before).is_dir() and (folder / after).is_dir():
            return folder / before, folder / after
    return None
