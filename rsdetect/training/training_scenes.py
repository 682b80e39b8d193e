"""Training scenes and their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray
from rsdetect.files import atomic_path

# Seeds of scenes do not overlap between these uses, so that scores are on unseen scenes.
SEEDS = 10_000_000  # of each use
FIRST_SEED = {
    use: number * SEEDS for number, use in enumerate(("train", "validation", "calibration", "test"))
}

UNKNOWN = 255  # in a truth


@dataclass(frozen=True)
class TrainingScene:
    """Training scene: one pair with its truth."""

    before: NDArray[Any]  # (bands, height, width) raw pixel values, none below 0
    after: NDArray[Any]  # (bands, height, width)
    truth: NDArray[np.uint8]  # (height, width), 1 = changed, 0 = unchanged, UNKNOWN = not labelled
    valid: BoolArray  # (height, width), True = neither date is nodata
    cloud: BoolArray  # (height, width), True = a cloud or its shadow on either date
    bands: tuple[str, ...]  # names of the bands: red, green, blue, and optionally nir, swir1, swir2


def write_scene(path: Path, scene: TrainingScene) -> None:
    """Write a training scene as .npz, atomically."""
    # Several processes may write the same scene; the last one replaces it by an equal one.
    with atomic_path(path) as unfinished, unfinished.open("wb") as file:
        np.savez(
            file, **vars(scene)
        )  # uncompressed, because decompression would take longer than making a chip


def read_scene(path: Path) -> TrainingScene:
    """Read a training scene of `write_scene`; nothing is unpickled."""
    with np.load(path, allow_pickle=False) as arrays:
        bands = tuple(str(name) for name in arrays["bands"])
        return TrainingScene(**{key: arrays[key] for key in arrays.files if key != "bands"}, bands=bands)
