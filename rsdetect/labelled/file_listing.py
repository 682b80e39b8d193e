"""Listing of raster and vector files in the folders of labelled sets."""

from __future__ import annotations

from pathlib import Path

from rsdetect.errors import InputError

RASTERS = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".jp2", ".vrt", ".img", ".gif"})
VECTORS = frozenset({".gpkg", ".geojson", ".shp", ".fgb"})


def list_files(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """List the visible files in a folder with some suffixes, sorted; empty if there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.name[0] != "."
    )


def list_files_by_stem(folder: Path, suffixes: frozenset[str]) -> dict[str, Path]:
    """List the files in a folder with some suffixes, by stem.

    Raises
    ------
    InputError
        Two files have the same stem.
    """
    found: dict[str, Path] = {}
    for path in list_files(folder, suffixes):
        if path.stem in found:
            raise InputError(f"{found[path.stem]} and {path} have the same name; keep only one of them.")
        found[path.stem] = path
    return found


def find_file_by_stem(folder: Path, stem: str, suffixes: frozenset[str]) -> Path | None:
    """Find the file in a folder with some suffixes and the name `stem`; None if there is none.

    Raises
    ------
    InputError
        There are two such files.
    """
    found = [path for path in list_files(folder, suffixes) if path.stem.lower() == stem]
    if len(found) > 1:
        raise InputError(f"{found[0]} and {found[1]} have the same name; keep only one of them.")
    return found[0] if found else None
