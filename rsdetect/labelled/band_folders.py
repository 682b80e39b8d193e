"""Band folders: scenes stored as a folder with one file per band."""

from __future__ import annotations

from pathlib import Path

from rsdetect.errors import InputError
from rsdetect.labelled.file_listing import list_files
from rsdetect.scenes.band_files import BandFiles
from rsdetect.scenes.band_names import band_name, place_in_order
from rsdetect.scenes.stacking import stack_files


def band_folder_files(folder: Path, suffixes: frozenset[str]) -> dict[str, Path]:
    """Files of a band folder by band name, in order; Sentinel-2 bands have the names of rsdetect."""
    found: dict[str, Path] = {}
    for path in sorted(list_files(folder, suffixes), key=lambda path: place_in_order(path.stem)):
        name = band_name(path.stem)
        if name in found:
            raise InputError(f"{found[name]} and {path} are the same band, {name}.")
        found[name] = path
    if not found:
        raise InputError(f"{folder} holds no band.")
    return found


def stack_band_folder(folder: Path, suffixes: frozenset[str]) -> BandFiles:
    """Stack all bands of a band folder, which cover the same ground, on the grid of the finest."""
    return stack_files(band_folder_files(folder, suffixes))
