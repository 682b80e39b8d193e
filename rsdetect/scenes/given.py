"""Scenes given as a list or mapping of band files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rsdetect.errors import InputError
from rsdetect.paths import file_name
from rsdetect.scenes.band_files import BandFiles
from rsdetect.scenes.band_names import band_name
from rsdetect.scenes.source import PathLike
from rsdetect.scenes.stacking import stack_files


def find_files(scene: BandFiles | Mapping[str, PathLike] | Sequence[PathLike]) -> BandFiles:
    """Find the band files given as a list, by file names, or as a mapping, and stack them to one scene.

    Raises
    ------
    InputError
        Two files have the same name; also as `stack_files`.
    """
    if isinstance(scene, BandFiles):
        return scene
    if isinstance(scene, Mapping):
        return stack_files(_unique(list(scene.items())))
    paths = [os.fspath(each) for each in scene]
    return stack_files(_unique([(band_name(Path(file_name(path)).stem), path) for path in paths]))


def _unique(named: Sequence[tuple[str, PathLike]]) -> dict[str, PathLike]:
    found: dict[str, PathLike] = {}
    for name, path in named:
        key = name.strip().lower()
        if key in found:
            raise InputError(
                f"{os.fspath(found[key])} and {os.fspath(path)} are both the band {key!r}; name each by its "
                "own (NAME=FILE, or {'red': 'B04.tif', ...})."
            )
        found[key] = path
    return found
