"""One labelled pair: two scenes and what is known to have changed between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsdetect.errors import GridMismatch, InputError
from rsdetect.grid import Window
from rsdetect.labelled.codes import Coding
from rsdetect.labelled.files import RASTERS
from rsdetect.labelled.polygons import draw_labels
from rsdetect.labelled.stacks import stack_bands
from rsdetect.scenes.alignment import describe_mismatch, offset_between
from rsdetect.scenes.band_files import file_version
from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.header import read_header
from rsdetect.scenes.pair import Pair, PairOptions, open_pair
from rsdetect.scenes.scene import Scene, read_scene


@dataclass(frozen=True)
class LabelledPair:
    """Where the two scenes and the label of a pair are. A description: it pickles, and opens nothing."""

    name: str  # unique in its set
    place: str  # pairs of one place are never split between training and testing
    before: Path  # a raster, or a folder with a raster a band
    after: Path  # likewise
    label: Path  # a raster or a vector file
    coding: Coding | None = None  # of a label that is a raster
    masks: tuple[Path, ...] = ()  # of both dates; where one is not 0, the ground is hidden

    def open(self, options: PairOptions | None = None, *, wanted: WantedBands | None = None) -> Pair:
        """Look at the headers of both scenes, as `rsdetect.open_pair` does.

        Parameters
        ----------
        options
            Masks that are named there are taken in the place of the pair's own.
        wanted
            The bands that the detector wants; None = any.
        """
        before, after = (
            stack_bands(scene, RASTERS) if scene.is_dir() else str(scene)
            for scene in (self.before, self.after)
        )
        options = options or PairOptions()
        if self.masks and not options.masks:
            options = replace(options, masks=tuple(map(str, self.masks)))
        return open_pair(before, after, options, wanted=wanted)

    def truth(self, pair: Pair, window: Window | None = None) -> NDArray[np.uint8]:
        """What is known to have changed.

        Parameters
        ----------
        pair
            What `open` gave.
        window
            Counted on the pair's grid; None = all of it.

        Returns
        -------
        (height, width) uint8: 1 changed, 0 unchanged, 255 not labelled.

        Raises
        ------
        InputError
            The label cannot be read, or lies on another grid than the pair.
        """
        window = window or pair.grid.window
        if self.coding is None:
            return draw_labels(str(self.label), pair.grid, window)
        values, valid = read_scene(_label_scene(self.label, pair), window)
        return self.coding.decode(values[0], valid)


def _label_scene(path: Path, pair: Pair) -> Scene:
    """The label as a scene on the pair's grid: by its own georeference, else by its size."""
    header = read_header(str(path))
    scene_grid = pair.before.grid
    if header.grid.crs is not None and pair.grid.crs is not None:
        offset = offset_between(pair.grid, header.grid)
        if offset is None:
            raise GridMismatch(
                f"the label {path} and its pair {pair.before.path} lie on different grids: "
                f"{describe_mismatch(pair.grid, header.grid)}."
            )
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
    )
