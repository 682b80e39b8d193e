"""Which files of a folder are meant."""

from __future__ import annotations

from pathlib import Path

from rsdetect.errors import InputError

RASTERS = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".jp2", ".vrt", ".img", ".gif"})
VECTORS = frozenset({".gpkg", ".geojson", ".shp", ".fgb"})

_DATES = (("A", "B"), ("before", "after"), ("t1", "t2"), ("im1", "im2"))


def date_folders(folder: Path) -> tuple[Path, Path] | None:
    """The folders of both dates in `folder`, by whichever names; None where there are none."""
    for before, after in _DATES:
        if (folder / before).is_dir() and (folder / after).is_dir():
            return folder / before, folder / after
    return None


def files_in(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """Files of some kinds, by name; none where there is no such folder, and no hidden ones."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.name[0] != "."
    )


def files_by_stem(folder: Path, suffixes: frozenset[str]) -> dict[str, Path]:
    """Files of some kinds, by their names without suffix.

    Raises
    ------
    InputError
        Two have one name.
    """
    found: dict[str, Path] = {}
    for path in files_in(folder, suffixes):
        if path.stem in found:
            raise InputError(f"{found[path.stem]} and {path} have one name; which is meant?")
        found[path.stem] = path
    return found


def named_file(folder: Path, stem: str, suffixes: frozenset[str]) -> Path | None:
    """The file of some kinds that is called `stem`; None where there is none.

    Raises
    ------
    InputError
        There are two.
    """
    found = [path for path in files_in(folder, suffixes) if path.stem.lower() == stem]
    if len(found) > 1:
        raise InputError(f"{found[0]} and {found[1]} have one name; which is meant?")
    return found[0] if found else None
