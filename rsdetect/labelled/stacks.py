"""Scenes that are kept as a folder with a file a band."""

from __future__ import annotations

from pathlib import Path

from rsdetect.errors import InputError
from rsdetect.labelled.files import files_in
from rsdetect.scenes.band_files import BandFiles
from rsdetect.scenes.band_names import band_name, place_in_order
from rsdetect.scenes.stacking import stack_files


def band_files(folder: Path, suffixes: frozenset[str]) -> dict[str, Path]:
    """Band name -> file, in order; names of Sentinel-2 bands as rsdetect calls them."""
    found: dict[str, Path] = {}
    for path in sorted(files_in(folder, suffixes), key=lambda path: place_in_order(path.stem)):
        name = band_name(path.stem)
        if name in found:
            raise InputError(f"{found[name]} and {path} are the same band, {name}.")
        found[name] = path
    if not found:
        raise InputError(f"{folder} holds no band.")
    return found


def stack_bands(folder: Path, suffixes: frozenset[str]) -> BandFiles:
    """All bands of `folder`, which cover the same ground, on the grid of the finest."""
    return stack_files(band_files(folder, suffixes))
