"""Scenes for training, and the files that they are kept in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray
from rsdetect.files import atomic_path

# Seeds of scenes never overlap between these uses: what is chosen on one is not reported on it.
SEEDS = 10_000_000  # of each use
FIRST_SEED = {
    use: number * SEEDS for number, use in enumerate(("train", "validation", "calibration", "test"))
}

UNKNOWN = 255  # in a truth


@dataclass(frozen=True)
class TrainingScene:
    """One pair with its truth."""

    before: NDArray[Any]  # (bands, height, width) raw pixel values, none below 0
    after: NDArray[Any]  # (bands, height, width)
    truth: NDArray[np.uint8]  # (height, width), 1 = changed, 0 = not, UNKNOWN = nobody said
    valid: BoolArray  # (height, width), True = neither date is nodata
    cloud: BoolArray  # (height, width), True = a cloud or its shadow on one date at least
    bands: tuple[str, ...]  # names of the bands: red, green, blue, and of nir, swir1, swir2 what there is


def write_scene(path: Path, scene: TrainingScene) -> None:
    """Write a scene as .npz, which appears under its name only when whole."""
    # Several processes may be making the same scene; the last one to finish replaces it by an equal one.
    with atomic_path(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **vars(scene))  # unpacking would take longer than making a chip of it


def read_scene(path: Path) -> TrainingScene:
    """Read what `write_scene` wrote; nothing is unpickled."""
    with np.load(path, allow_pickle=False) as arrays:
        bands = tuple(str(name) for name in arrays["bands"])
        return TrainingScene(**{key: arrays[key] for key in arrays.files if key != "bands"}, bands=bands)
