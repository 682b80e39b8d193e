"""What lossy compression leaves of an 8-bit product.

Frames must begin at multiples of 8 pixels, or the blocks would not lie where the product has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import dctn, idctn

from rsdetect.simulate.noise import Float32Array


@dataclass(frozen=True)
class Compression:
    """How coarse, in the product's numbers; 0 = not at all."""

    blocks: float = 0.0  # of the 8 x 8 block transform, as in JPEG
    halved_colour: bool = False  # colour is kept for every second pixel only
    waves: float = 0.0  # details below are dropped, as by wavelet coders


def compress(bands: list[Float32Array], how: Compression) -> list[Float32Array]:
    """Red, green, blue numbers after compression; bands beyond these are compressed one by one."""
    if not (how.blocks or how.waves):
        return bands
    red, green, blue = bands[:3]
    luma = 0.3 * red + 0.59 * green + 0.11 * blue
    colours = [red - luma, blue - luma]
    if how.halved_colour:
        colours = [_halved(colour) for colour in colours]
    luma, red, blue = (
        _coarsen(plane, how, factor) for plane, factor in zip((luma, *colours), (1, 2, 2), strict=True)
    )
    red, blue = red + luma, blue + luma
    rest = [_coarsen(band, how, 1) for band in bands[3:]]
    return [red, (luma - 0.3 * red - 0.11 * blue) / 0.59, blue, *rest]


def _coarsen(plane: Float32Array, how: Compression, factor: int) -> Float32Array:
    if how.waves:
        plane = _drop_details(plane, factor * how.waves)
    return _quantise(plane, factor * how.blocks) if how.blocks else plane


def _halved(plane: Float32Array) -> Float32Array:
    rows, cols = plane.shape
    means = plane.reshape(rows // 2, 2, cols // 2, 2).mean(axis=(1, 3))
    return np.asarray(means.repeat(2, axis=0).repeat(2, axis=1))


def _quantise(plane: Float32Array, step: float) -> Float32Array:
    rows, cols = plane.shape
    assert rows % 8 == 0 and cols % 8 == 0
    waves = dctn(plane.reshape(rows // 8, 8, cols // 8, 8), axes=(1, 3), norm="ortho")
    # Finer waves are kept more coarsely, about as in the standard's example tables.
    order = np.arange(8)[:, None, None] + np.arange(8)[None, None, :]
    steps = np.float32(step) * (1 + np.float32(0.7) * order.astype(np.float32))
    kept = np.rint(waves / steps) * steps
    return np.asarray(idctn(kept, axes=(1, 3), norm="ortho").reshape(rows, cols), dtype=np.float32)


def _drop_details(plane: Float32Array, least: float, levels: int = 3) -> Float32Array:
    """Drop differences between neighbours below `least`, on `levels` scales (Haar 1910)."""
    quarters = [plane[i::2, j::2] for i in (0, 1) for j in (0, 1)]
    mean = (quarters[0] + quarters[1] + quarters[2] + quarters[3]) / 4
    rough = mean if levels == 1 else _drop_details(np.asarray(mean, np.float32), least / 2, levels - 1)
    out = np.empty_like(plane)
    details = [
        (quarters[0] - quarters[1] + quarters[2] - quarters[3]) / 4,
        (quarters[0] + quarters[1] - quarters[2] - quarters[3]) / 4,
        (quarters[0] - quarters[1] - quarters[2] + quarters[3]) / 4,
    ]
    across, down, cross = (np.sign(d) * np.maximum(np.abs(d) - np.float32(least / 2), 0) for d in details)
    out[0::2, 0::2] = rough + across + down + cross
    out[0::2, 1::2] = rough - across + down - cross
    out[1::2, 0::2] = rough + across - down - cross
    out[1::2, 1::2] = rough - across - down + cross
    return out
