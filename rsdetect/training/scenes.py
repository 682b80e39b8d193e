"""Simulated scenes for training, rendered once and kept as files, so that a run can be resumed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsdetect.tiles import BoolArray

# Seeds of scenes never overlap between these uses: what is chosen on one is not reported on it.
FIRST_SEED = {"train": 0, "validation": 1_000_000, "calibration": 2_000_000, "test": 3_000_000}


@dataclass(frozen=True)
class Scene:
    """One pair with its truth."""

    before: NDArray[np.unsignedinteger]  # (bands, height, width) raw pixel values
    after: NDArray[np.unsignedinteger]  # (bands, height, width)
    truth: NDArray[np.uint8]  # (height, width), 1 = changed
    valid: BoolArray  # (height, width), True = neither date is nodata
    cloud: BoolArray  # (height, width), True = a cloud or its shadow on one date at least
    bands: tuple[str, ...]  # names of the bands: red, green, blue, and of nir, swir1, swir2 what there is


@dataclass(frozen=True)
class ScenePool:
    """Numbered scenes in a folder; number i is always the same scene."""

    folder: Path
    use: str  # a key of FIRST_SEED
    size: int  # edge in pixels
    kind: str | None = None  # of sensor; None = the mix of `simulate.training_spec`

    def path(self, number: int) -> Path:
        """Where scene `number` lies once it is rendered."""
        return self.folder / f"{self.use}-{self.size}-{number:06d}.npz"

    def render(self, number: int) -> None:
        """Render scene `number`, unless its file is there already."""
        # Only here, so that reading a pool needs no simulator.
        from rsdetect.simulate import render_whole, training_spec

        path = self.path(number)
        if path.exists():
            return
        spec = training_spec(FIRST_SEED[self.use] + number, self.size, self.kind)
        made = render_whole(spec)
        write_scene(
            path,
            Scene(
                before=made.before,
                after=made.after,
                truth=made.truth,
                valid=(made.before != 0).any(axis=0) & (made.after != 0).any(axis=0),
                cloud=made.cloud_before | made.cloud_after,
                bands=spec.bands,
            ),
        )

    def load(self, number: int, patience_s: float = 600.0) -> Scene:
        """Read scene `number`; waits for it where another process is still rendering.

        Raises
        ------
        TimeoutError
            The scene did not appear within `patience_s` seconds.
        """
        return wait_for_scene(self.path(number), patience_s)


def wait_for_scene(path: Path, patience_s: float) -> Scene:
    """Read the scene at `path`; waits for it where another process is still rendering.

    Raises
    ------
    TimeoutError
        The scene did not appear within `patience_s` seconds.
    """
    end = time.monotonic() + patience_s
    while not path.exists():
        if time.monotonic() > end:
            raise TimeoutError(f"Scene {path} was not rendered within {patience_s:.0f} s.")
        time.sleep(0.2)
    return read_scene(path)


def write_scene(path: Path, scene: Scene) -> None:
    """Write a scene as .npz, which appears under its name only when whole."""
    # Several processes may be making the same scene; the last one to finish replaces it by an equal one.
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(file, **vars(scene))  # unpacking would take longer than making a chip of it
    part.replace(path)


def read_scene(path: Path) -> Scene:
    """Read what `write_scene` wrote; nothing is unpickled."""
    with np.load(path, allow_pickle=False) as arrays:
        bands = tuple(str(name) for name in arrays["bands"])
        return Scene(**{key: arrays[key] for key in arrays.files if key != "bands"}, bands=bands)


def render_in_background(pools: dict[ScenePool, int]) -> BaseProcess:
    """Start one process that renders the first so many scenes of each pool, in the order given."""
    process = get_context("spawn").Process(
        target=_render_all, args=(list(pools.items()),), daemon=True, name="render-scenes"
    )
    process.start()
    return process


def _render_all(jobs: list[tuple[ScenePool, int]]) -> None:
    os.nice(5)  # the training loop goes first
    for pool, count in jobs:
        pool.folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pool.render(number)
