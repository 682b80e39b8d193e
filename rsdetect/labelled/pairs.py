"""Labelled pair: two scenes and the label of the changes between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsdetect.errors import GridMismatch, InputError, NothingToCompare
from rsdetect.grid import Window
from rsdetect.labelled.band_folders import stack_band_folder
from rsdetect.labelled.file_listing import RASTERS, VECTORS
from rsdetect.labelled.label_coding import Coding, detect_label_coding
from rsdetect.labelled.label_polygons import rasterize_labels
from rsdetect.scenes.alignment import describe_mismatch, offset_between
from rsdetect.scenes.band_files import file_version
from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.header import read_header
from rsdetect.scenes.pair import Pair, PairOptions, open_pair
from rsdetect.scenes.scene import Scene, read_scene


@dataclass(frozen=True)
class LabelledPair:
    """Labelled pair: paths of two scenes and their label. It can be pickled, and opens no file."""

    name: str  # unique in its set
    place: str  # pairs of one place are never split between training and testing
    before: Path  # a raster, or a folder with one raster per band
    after: Path  # as `before`
    label: Path  # a raster or a vector file
    coding: Coding | None = None  # of a raster label
    masks: tuple[Path, ...] = ()  # of both dates; nonzero where the ground is hidden

    def open(self, options: PairOptions | None = None, *, wanted: WantedBands | None = None) -> Pair:
        """Open the labelled pair: read the headers of both scenes, as `rsdetect.open_pair`.

        Parameters
        ----------
        options
            Masks given there replace the pair's own.
        wanted
            The bands that the detector requires; None = any.
        """
        before, after = (
            stack_band_folder(scene, RASTERS) if scene.is_dir() else str(scene)
            for scene in (self.before, self.after)
        )
        options = options or PairOptions()
        if self.masks and not options.masks:
            options = replace(options, masks=tuple(map(str, self.masks)))
        return open_pair(before, after, options, wanted=wanted)

    def truth(self, pair: Pair, window: Window | None = None) -> NDArray[np.uint8]:
        """Read the label of the pair.

        Parameters
        ----------
        pair
            Result of `open`.
        window
            On the pair's grid; None = the whole grid.

        Returns
        -------
        (height, width) uint8: 1 changed, 0 unchanged, 255 not labelled.

        Raises
        ------
        InputError
            The label cannot be read, or lies on another grid than the pair.
        """
        return _read_label(self.label, self.coding, pair, window or pair.grid.window)


def read_truth(label: Path, pair: Pair) -> NDArray[np.uint8]:
    """Read the label of a pair that belongs to no set, over its whole grid.

    Parameters
    ----------
    label
        A raster, whose coding is found by its values, or a vector file.

    Returns
    -------
    (height, width) uint8: 1 changed, 0 unchanged, 255 not labelled.

    Raises
    ------
    InputError
        The label cannot be read, has unknown values, or lies on another grid than the pair.
    """
    coding = None if label.suffix.lower() in VECTORS else detect_label_coding([label])
    return _read_label(label, coding, pair, pair.grid.window)


def _read_label(label: Path, coding: Coding | None, pair: Pair, window: Window) -> NDArray[np.uint8]:
    """Read a label of a labelled pair."""
    if coding is None:
        return rasterize_labels(str(label), pair.grid, window)
    values, valid = read_scene(_label_scene(label, pair), window)
    return coding.decode(values[0], valid)


def _label_scene(path: Path, pair: Pair) -> Scene:
    """Label raster as a scene on the pair's grid: by its georeference, else by its size."""
    header = read_header(str(path))
    scene_grid = pair.before.grid
    if header.grid.crs is not None and pair.grid.crs is not None:
        offset = offset_between(pair.grid, header.grid)
        if offset is None:
            raise GridMismatch(
                f"the label {path} and its pair {pair.before.path} lie on different grids: "
                f"{describe_mismatch(pair.grid, header.grid)}."
            )
        if pair.grid.window.shifted(*offset).intersection(header.grid.window).is_empty:
            raise NothingToCompare(f"the label {path} lies outside what both scenes cover.")
    elif header.grid.shape == scene_grid.shape:
        offset = pair.before.offset
    else:
        raise InputError(
            f"the label {path} has {header.grid.width} x {header.grid.height} pixels, and {pair.before.path} "
            f"has {scene_grid.width} x {scene_grid.height}."
        )
    return Scene(
        path=str(path),
        version=file_version(str(path)),
        grid=header.grid,
        bands=(1,),
        dtype=header.dtypes[0],
        validity=header.validity((1,)),
        offset=offset,
        watched=header.watched,
    )
