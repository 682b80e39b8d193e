"""Preparation of training scenes from labelled and unlabelled pairs; training itself reads no rasters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio import Env

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.errors import InputError
from rsdetect.grid import Window
from rsdetect.labelled import NOT_LABELLED, LabelledPair, find_pairs, find_unlabelled
from rsdetect.labelled.grouping import GroupBy, adjoining_places
from rsdetect.memory import GDAL_CACHE_BYTES
from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.pair import Pair, PairOptions, open_pair, read_tile
from rsdetect.scenes.scene import Scene
from rsdetect.tiles import TileWindow
from rsdetect.training.scene_index import PreparedScene, write_index
from rsdetect.training.training_scenes import TrainingScene, write_scene
from rsdetect.validation import number_or_name, settle_sequences

MOST_PX = 1024  # edge of a scene; larger pairs are split, so that a chip does not require reading all of it
LEAST_PX = 64  # smaller pieces are not used
_LEAST_VALID = 0.02  # share of pixels that are valid and labelled; pieces with fewer are dropped


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """Options of the preparation of pairs."""

    wanted: WantedBands  # the network's
    bands: tuple[int | str, ...] | None = None  # of the pairs; None = by name
    layout: str = "auto"
    group_by: str | None = None  # grouping of pairs into places, see rsdetect.labelled.grouping

    def __post_init__(self) -> None:
        settle_sequences(self, bands=number_or_name)


def prepare_labelled(
    folders: Sequence[str], into: Path, options: PrepareOptions
) -> tuple[PreparedScene, ...]:
    """Prepare the labelled pairs of all folders as scene files.

    Raises
    ------
    InputError
        A folder has no labelled pairs, or a pair cannot be read.
    """
    into.mkdir(parents=True, exist_ok=True)
    scenes: list[PreparedScene] = []
    with Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        found = _open_labelled_pairs(folders, options)
        places = [labelled.place for _, labelled, _ in found]
        near = adjoining_places(places, [pair.grid for _, _, pair in found])
        for source, labelled, pair in found:
            names = (source, labelled.name, labelled.place)
            others = tuple(sorted(near.get(labelled.place, ())))
            prepared = _prepare_pair(pair, partial(labelled.truth, pair), names, into, options)
            scenes += [replace(scene, adjoins=others) for scene in prepared]
    if not scenes:
        raise InputError(f"No pixel in {', '.join(folders)} is both valid and labelled.")
    if all(scene.changed == scene.pixels for scene in scenes):
        raise InputError(
            f"No pixel in {', '.join(folders)} is unchanged, so false positives would have no cost; "
            "if the background of the labels is declared as nodata, remove the nodata value."
        )
    write_index(into, scenes)
    return tuple(scenes)


def _open_labelled_pairs(
    folders: Sequence[str], options: PrepareOptions
) -> list[tuple[str, LabelledPair, Pair]]:
    """Open all labelled pairs: source, description and headers, grouped over all folders."""
    how, sources, pairs = PairOptions(bands=options.bands), [], []
    for number, folder in enumerate(folders):
        source = f"{number}-{Path(folder).resolve().name}"
        for labelled in find_pairs(folder, options.layout):
            # Two folders may have places of the same name.
            place = labelled.place if len(folders) == 1 else f"{source}/{labelled.place}"
            pairs.append(replace(labelled, place=place))
            sources.append(source)
    opened = [labelled.open(how, wanted=options.wanted) for labelled in pairs]
    if options.group_by is not None:
        pairs = GroupBy.parse(options.group_by).apply(pairs, [pair.grid for pair in opened])
    return list(zip(sources, pairs, opened, strict=True))


def prepare_unlabelled(
    folders: Sequence[str], into: Path, options: PrepareOptions
) -> tuple[PreparedScene, ...]:
    """Prepare the unlabelled pairs of all folders as scene files without truth.

    Raises
    ------
    InputError
        The folder has no pairs, or a pair cannot be read.
    """
    into.mkdir(parents=True, exist_ok=True)
    how = PairOptions(bands=options.bands)
    scenes: list[PreparedScene] = []
    with Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        for number, folder in enumerate(folders):
            source = f"{number}-{Path(folder).resolve().name}"
            for found in find_unlabelled(folder):
                pair = open_pair(found.before, found.after, how, wanted=options.wanted)
                scenes += _prepare_pair(
                    pair, _no_label, (source, found.name, f"{source}/{found.name}"), into, options
                )
    if not scenes:
        raise InputError(f"No pixel in {', '.join(folders)} is valid.")
    write_index(into, scenes)
    return tuple(scenes)


def _no_label(window: Window) -> NDArray[np.uint8]:
    return np.full(window.shape, NOT_LABELLED, np.uint8)


def _prepare_pair(
    pair: Pair,
    truth_of: Callable[[Window], NDArray[np.uint8]],
    names: tuple[str, str, str],
    into: Path,
    options: PrepareOptions,
) -> Iterator[PreparedScene]:
    """Prepare the pieces of one pair; `names` are those of its source, the pair and its place."""
    source, name, place = names
    bands = network_band_names(pair, options.wanted)
    for window in split_windows(pair):
        truth = truth_of(window)
        scene = read_window_scene(pair, window, truth, bands)
        labelled = scene.valid & (truth != NOT_LABELLED)
        counted = scene.valid if truth_of is _no_label else labelled
        if counted.mean() < _LEAST_VALID:
            continue
        file = f"{source}-{name}-{window.row_off}-{window.col_off}.npz"
        write_scene(into / file, scene)
        changed = int((truth[labelled] == 1).sum())
        yield PreparedScene(file, place, int(counted.sum()), changed)


def network_band_names(pair: Pair, wanted: WantedBands) -> tuple[str, ...]:
    """Names of a prepared pair's bands in the network."""
    return tuple(wanted.names[slot] for slot in pair.slots)


def read_window_scene(
    pair: Pair, window: Window, truth: NDArray[np.uint8], bands: tuple[str, ...]
) -> TrainingScene:
    """Read a window of a pair as a training scene."""
    tile = read_tile(pair, TileWindow(0, 0, window, window))
    before, after = (
        date.astype(scene.dtype) if _is_unsigned(scene) else _shift_to_nonnegative(date, tile.valid)
        for date, scene in ((tile.before, pair.before), (tile.after, pair.after))
    )
    return TrainingScene(before, after, truth, tile.valid, np.zeros_like(tile.valid), bands)


def _is_unsigned(scene: Scene) -> bool:
    """True for scenes to prepare whose pixels are the unsigned numbers of the file."""
    return np.dtype(scene.dtype).kind == "u" and not scene.scales


def _shift_to_nonnegative(date: Float32Array, valid: BoolArray) -> Float32Array:
    """Shift bands of prepared scenes with negative values, such as decibels, to 0."""
    least = date[:, valid].min(axis=1, initial=0)
    return np.where(valid, date - least[:, None, None], np.float32(0))


def split_windows(pair: Pair) -> Iterator[Window]:
    """Windows that a pair is prepared in, of nearly equal size, none larger than `MOST_PX`."""
    grid = pair.grid
    rows, cols = (-(-edge // MOST_PX) for edge in grid.shape)
    row_edges, col_edges = (
        [round(i * edge / count) for i in range(count + 1)]
        for edge, count in zip(grid.shape, (rows, cols), strict=True)
    )
    if min(grid.shape) < LEAST_PX:
        raise InputError(
            f"{pair.before.path} and {pair.after.path} share {grid.width} x {grid.height} pixels; training "
            f"requires {LEAST_PX} x {LEAST_PX}."
        )
    for top, bottom in pairwise(row_edges):
        for left, right in pairwise(col_edges):
            yield Window(top, left, bottom - top, right - left)
