"""Opening of changed pixels: parts that are narrower than a square are taken off, block by block.

Morphological opening (Serra 1982, "Image analysis and mathematical morphology"): what remains is the union of
all squares of 2 radius + 1 pixels that fit into the changed pixels. Pixels outside the raster and those not
observed are not changed. A pixel depends on those within 2 radius only, so that blocks which are read with
such a halo give the result of the whole raster.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray
from rsdetect.grid import Window


def opening_halo(radius: int) -> int:
    """Pixels around a block that its opening depends on."""
    return 2 * radius


def opened_mask(inside: BoolArray, radius: int) -> BoolArray:
    """Opening of a mask by a square of 2 `radius` + 1 pixels; outside of the array nothing is set.

    >>> mask = np.zeros((5, 7), bool)
    >>> mask[1:4, 1:4] = mask[2, 4:6] = True
    >>> opened_mask(mask, 1).sum()
    np.int64(9)
    """
    # Imported here, because the import takes longer than tracing all polygons of a scene.
    from scipy.ndimage import grey_opening

    size = 2 * radius + 1
    # By rows and columns in turn, and so faster than `binary_opening`.
    opened: NDArray[np.uint8] = grey_opening(inside.view(np.uint8), (size, size), mode="constant", cval=0)
    return opened.view(np.bool_)


def take_off_narrow_parts(
    inside: BoolArray, read: Window, block: Window, radius: int, values: NDArray[np.uint8], outside: int
) -> tuple[NDArray[np.uint8], int]:
    """Values of a block in which the pixels that an opening takes have the value `outside`, and their number.

    Parameters
    ----------
    inside
        Changed pixels over `read`, which holds the block and the halo around it, as far as the raster goes.
    values
        (height, width) of the block.
    """
    rows, cols = block.slices_in(read)
    taken = inside[rows, cols] & ~opened_mask(inside, radius)[rows, cols]
    return np.where(taken, np.uint8(outside), values), int(np.count_nonzero(taken))
