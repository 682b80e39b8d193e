"""Label coding: the meaning of the values in label rasters.

It is usually undocumented, so it is inferred from the values of a whole set of labels. One file is not
enough: in a set coded 0, 1 and 255 = not labelled, a chip without change has the values 0 and 255, like a
chip of a set in which 255 is change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.errors import InputError
from rsdetect.grid import Window
from rsdetect.scenes.handles import GDAL_ERRORS, gdal_window, open_raster, read_failure

CHANGED, UNCHANGED, NOT_LABELLED = 1, 0, 255

_LOSSY = {".jpg", ".jpeg"}
_MOST_VALUES = 8  # more than any coding has; limits the message
_BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Coding:
    """Label coding: values of changed and unchanged pixels; all others are not labelled."""

    changed: tuple[int, int]  # lowest and highest value of change
    unchanged: tuple[int, int]

    def decode(self, values: Float32Array, valid: BoolArray) -> NDArray[np.uint8]:
        """Decode label values to uint8: 1 changed, 0 unchanged, 255 not labelled or not `valid`."""
        truth = np.full(values.shape, NOT_LABELLED, np.uint8)
        for meaning, (low, high) in ((UNCHANGED, self.unchanged), (CHANGED, self.changed)):
            truth[valid & (values >= low) & (values <= high)] = meaning
        return truth


def detect_label_coding(labels: Sequence[Path]) -> Coding:
    """Label coding of a set of label rasters of one kind, by all values in them.

    ====================  ===========================================
    values                meaning
    ====================  ===========================================
    0, 1                  1 changed
    0, 1, 255             1 changed, 255 not labelled
    0, 255                255 changed
    1, 2                  2 changed (Onera)
    anything, in JPEG     128 and above changed
    ====================  ===========================================

    Pixels that a file declares as nodata or masks are not labelled, and not counted here.

    Raises
    ------
    InputError
        Other values, a colour picture, or no labelled pixel.
    ReadError
        A label is damaged.
    """
    lossy = {path.suffix.lower() in _LOSSY for path in labels}
    if lossy == {True}:
        return Coding((128, 255), (0, 127))
    values = _label_values(labels)
    where = f"{labels[0]}" if len(labels) == 1 else f"the labels in {labels[0].parent}"
    if values <= {255}:
        raise InputError(
            f"no pixel is labelled in {where}: they hold 255 everywhere, which may mean changed or not "
            "labelled, or nothing that is valid."
        )
    if values <= {0, 1, 255} and values != {0, 255}:
        return Coding((1, 1), (0, 0))
    if values == {0, 255}:
        return Coding((255, 255), (0, 0))
    if values <= {1, 2}:
        return Coding((2, 2), (1, 1))
    found = ", ".join(f"{value:g}" for value in sorted(values)[:_MOST_VALUES])
    raise InputError(
        f"{where} hold{'s' if len(labels) == 1 else ''} the values {found}"
        f"{', ...' if len(values) > _MOST_VALUES else ''}; a label holds 0 and 1 or 0 and 255 (changed), "
        "255 beside 0 and 1 (not labelled), or 1 and 2 (2 changed)."
    )


def _label_values(labels: Iterable[Path]) -> set[float]:
    values: set[float] = set()
    for path in labels:
        with open_raster(str(path)) as dataset:
            colours = [
                i
                for i, colour in enumerate(dataset.colorinterp, 1)
                if colour.name in ("red", "green", "blue")
            ]
            for band in Window(0, 0, *dataset.shape).blocks(_BLOCK_ROWS, dataset.width):
                rows = gdal_window(band)
                try:
                    block = dataset.read(1, window=rows, masked=True)
                    grey = len(colours) < 3 or not np.ptp(dataset.read(colours, window=rows), axis=0).any()
                except GDAL_ERRORS as error:
                    raise read_failure(f"the label {path} cannot be read", error, is_local=True) from error
                if not grey:
                    raise InputError(
                        f"the label {path} is a colour picture; a label has one band, or equal ones."
                    )
                values |= set(np.unique(block.compressed()).tolist())
                if len(values) > _MOST_VALUES:
                    return values
    return values
