"""Half resolution: a network's second input, normalised dates at twice the pixel size.

A network trained on pixels of many sizes takes other ground for change at each of them; the mean of its
logits at two is better than either (docs/notes/best.md). Blocks of 2 x 2 pixels begin at even rows and
columns of the scene's grid, so that the result does not depend on the tiles.
"""

from __future__ import annotations

import numpy as np

from rsdetect.arraytypes import Float32Array


def halved(dates: Float32Array) -> Float32Array:
    """Means of blocks of 2 x 2 pixels, (..., height, width) to (..., height / 2, width / 2).

    >>> halved(np.arange(8, dtype=np.float32).reshape(2, 4)).tolist()
    [[2.5, 4.5]]
    """
    rows = dates[..., ::2, :] + dates[..., 1::2, :]
    blocks = rows[..., ::2] + rows[..., 1::2]
    blocks *= np.float32(0.25)
    return blocks


def enlarged(logits: Float32Array) -> Float32Array:
    """Each value of half the resolution as a block of 2 x 2, (height, width) to (2 height, 2 width)."""
    return logits.repeat(2, axis=0).repeat(2, axis=1)


def half_resolution_reach(reach: int) -> int:
    """Reach in pixels of a network that runs at half the resolution too.

    >>> half_resolution_reach(58)
    117
    """
    return 2 * reach + 1
