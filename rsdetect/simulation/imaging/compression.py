"""What lossy compression leaves of an 8-bit product.

Frames must begin at multiples of 8 pixels, or the blocks would not lie where the product has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation.exact import cos_turns

# Half the cosine of each number of sixteenths of a half turn.
_COS = np.array([cos_turns(k / 32) / 2 for k in range(32)], dtype=np.float32)


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
    quarters = plane.reshape(rows // 2, 2, cols // 2, 2)
    upper, lower = (quarters[:, i, :, 0] + quarters[:, i, :, 1] for i in (0, 1))
    return ((upper + lower) * np.float32(0.25)).repeat(2, axis=0).repeat(2, axis=1)


def _quantise(plane: Float32Array, step: float) -> Float32Array:
    rows, cols = plane.shape
    assert rows % 8 == 0 and cols % 8 == 0
    blocks = np.ascontiguousarray(plane.reshape(rows // 8, 8, cols // 8, 8).transpose(1, 3, 0, 2))
    waves = _both_axes(_to_waves, blocks)
    # Finer waves are kept more coarsely, about as in the standard's example tables.
    order = np.arange(8)[:, None] + np.arange(8)[None, :]
    steps = (np.float32(step) * (1 + np.float32(0.7) * order.astype(np.float32)))[:, :, None, None]
    waves /= steps
    np.rint(waves, out=waves)
    waves *= steps
    return _both_axes(_from_waves, waves).transpose(2, 0, 3, 1).reshape(rows, cols)


def _both_axes(
    transform: Callable[[Sequence[Float32Array]], list[Float32Array]], blocks: Float32Array
) -> Float32Array:
    """Transform the first two axes of (8, 8, ...)."""
    down = np.stack(transform(list(blocks)))
    return np.stack(transform([down[:, k] for k in range(8)]), axis=1)


def _to_waves(x: Sequence[Float32Array]) -> list[Float32Array]:
    """The cosine transform (DCT-II, orthonormal) of eight values, each an array."""
    plus, minus = [x[i] + x[7 - i] for i in range(4)], [x[i] - x[7 - i] for i in range(4)]
    outer, inner = plus[0] + plus[3], plus[1] + plus[2]
    rise, bend = plus[0] - plus[3], plus[1] - plus[2]
    odd = [_mixed(minus, [(2 * i + 1) * k for i in range(4)]) for k in (1, 3, 5, 7)]
    return [
        (outer + inner) * _COS[4], odd[0], rise * _COS[2] + bend * _COS[6], odd[1],
        (outer - inner) * _COS[4], odd[2], rise * _COS[6] - bend * _COS[2], odd[3],
    ]  # fmt: skip


def _mixed(parts: Sequence[Float32Array], angles: Sequence[int]) -> Float32Array:
    """The sum of four parts under the cosines of `angles`, in sixteenths of a half turn."""
    total: Float32Array = parts[0] * _COS[angles[0] % 32]
    for part, angle in zip(parts[1:], angles[1:], strict=True):
        total += part * _COS[angle % 32]
    return total


def _from_waves(waves: Sequence[Float32Array]) -> list[Float32Array]:
    """The inverse of `_to_waves`."""
    high, low = (waves[0] + waves[4]) * _COS[4], (waves[0] - waves[4]) * _COS[4]
    rise = waves[2] * _COS[2] + waves[6] * _COS[6]
    bend = waves[2] * _COS[6] - waves[6] * _COS[2]
    even = [high + rise, low + bend, low - bend, high - rise]
    odd = [_mixed(waves[1::2], [(2 * i + 1) * k for k in (1, 3, 5, 7)]) for i in range(4)]
    return [*(even[i] + odd[i] for i in range(4)), *(even[i] - odd[i] for i in (3, 2, 1, 0))]


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
