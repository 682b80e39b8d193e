"""Whole jobs for tests: pairs with a change in them, and the command line in this process and in its own."""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO

import numpy as np
import pytest
import rasterio
from rasterio.features import shapes
from shapely import normalize
from shapely.geometry import shape

import rsdetect.cli
from support.scenes import textured_scene, write_scene

COMMAND = (sys.executable, "-m", "rsdetect.cli")
OUTPUTS = [
    "change_probability.qml",
    "change_probability.tif",
    "changes.gpkg",
    "changes.qgz",
    "report.html",
    "run.json",
]


@dataclass(frozen=True)
class Scenes:
    before: str
    after: str
    arrays: tuple[np.ndarray, np.ndarray]  # (bands, height, width) each


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


def changed_pair(folder, height=300, width=420, seed=1, **profile):
    """A textured scene before; after, a bright block, a dark block with a hole, noise, and rows of nodata."""
    before = textured_scene(seed, 3, height, width)
    after = before.astype(np.int16)
    r, c = height // 6, width // 6
    after[:, r : 2 * r, c : 3 * c] += 90
    after[:, 3 * r : 5 * r, 3 * c : 5 * c] -= 80
    after[:, 4 * r - 5 : 4 * r + 5, 4 * c - 5 : 4 * c + 5] = before[
        :, 4 * r - 5 : 4 * r + 5, 4 * c - 5 : 4 * c + 5
    ]
    noise = np.random.default_rng(seed + 1).integers(-4, 5, after.shape)
    after = np.clip(after + noise, 1, 250).astype(np.uint8)
    after[:, :7] = 0
    profile = {"nodata": 0, **profile}
    return Scenes(
        write_scene(folder / "before.tif", before, **profile),
        write_scene(folder / "after.tif", after, **profile),
        (before, after),
    )


def run_here(*arguments):
    """The command line in this process; what a test wants to break can be broken by monkeypatching."""
    with pytest.MonkeyPatch.context() as patch, _captured() as streams, _logging_put_back():
        patch.setattr(sys, "argv", ["rsdetect", *map(str, arguments)])
        patch.setattr(rsdetect.cli, "leave_threads", lambda *_: None)  # it would end the tests
        with pytest.raises(SystemExit) as ended:
            rsdetect.cli.main()
    return Result(ended.value.code, streams[0].getvalue(), streams[1].getvalue())


def run_apart(*arguments, timeout=120, **keywords):
    """The command line as users have it: a process of its own."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, **keywords
    )
    return Result(done.returncode, done.stdout, done.stderr)


def listing(folder):
    """Every file and folder below `folder`, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def read_raster(folder):
    with rasterio.open(folder / "change_probability.tif") as raster:
        return raster.read(1)


def polygonized(folder, inside):
    """rasterio's own polygons of the pixels of the written raster that `inside` (of the array) chooses."""
    with rasterio.open(folder / "change_probability.tif") as raster:
        chosen = inside(raster.read(1))
        found = shapes(chosen.astype(np.uint8), mask=chosen, connectivity=4, transform=raster.transform)
        return [normalize(shape(geometry)) for geometry, _ in found]


@contextmanager
def _logging_put_back():
    """What the command line sets up for its process must not silence the rest of the test."""
    ours, root = logging.getLogger("rsdetect"), logging.getLogger()
    handlers, level, propagate, roots = ours.handlers, ours.level, ours.propagate, list(root.handlers)
    try:
        yield
    finally:
        ours.handlers, ours.propagate, root.handlers = handlers, propagate, roots
        ours.setLevel(level)


@contextmanager
def _captured():
    streams = StringIO(), StringIO()
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        yield streams
