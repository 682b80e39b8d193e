"""Artefacts of lossy compression in an 8-bit product.

Frames must begin at multiples of 8 pixels, so that blocks coincide with those of the product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation.exact import cos_turns

# Half the cosine of multiples of pi / 16.
_COS = np.array([cos_turns(k / 32) / 2 for k in range(32)], dtype=np.float32)


@dataclass(frozen=True)
class Compression:
    """Strength of lossy compression, in digital numbers; 0 = none."""

    blocks: float = 0.0  # quantization step of the 8 x 8 block transform, as in JPEG
    halved_colour: bool = False  # chroma subsampling by two
    waves: float = 0.0  # threshold of details, as in wavelet coders


def compress(bands: list[Float32Array], how: Compression) -> list[Float32Array]:
    """Apply lossy compression to red, green and blue jointly; further bands are compressed separately."""
    if not (how.blocks or how.waves):
        return bands
    red, green, blue = bands[:3]
    luma = 0.3 * red + 0.59 * green + 0.11 * blue
    colours = [red - luma, blue - luma]
    if how.halved_colour:
        colours = [_subsample_chroma(colour) for colour in colours]
    luma, red, blue = (
        _compress_plane(plane, how, factor) for plane, factor in zip((luma, *colours), (1, 2, 2), strict=True)
    )
    red, blue = red + luma, blue + luma
    rest = [_compress_plane(band, how, 1) for band in bands[3:]]
    return [red, (luma - 0.3 * red - 0.11 * blue) / 0.59, blue, *rest]


def _compress_plane(plane: Float32Array, how: Compression, factor: int) -> Float32Array:
    if how.waves:
        plane = _threshold_wavelets(plane, factor * how.waves)
    return _quantize_blocks(plane, factor * how.blocks) if how.blocks else plane


def _subsample_chroma(plane: Float32Array) -> Float32Array:
    rows, cols = plane.shape
    quarters = plane.reshape(rows // 2, 2, cols // 2, 2)
    upper, lower = (quarters[:, i, :, 0] + quarters[:, i, :, 1] for i in (0, 1))
    return ((upper + lower) * np.float32(0.25)).repeat(2, axis=0).repeat(2, axis=1)


def _quantize_blocks(plane: Float32Array, step: float) -> Float32Array:
    rows, cols = plane.shape
    assert rows % 8 == 0 and cols % 8 == 0
    blocks = np.ascontiguousarray(plane.reshape(rows // 8, 8, cols // 8, 8).transpose(1, 3, 0, 2))
    waves = _transform_both_axes(_cosine_transform, blocks)
    # Higher frequencies have larger steps, about as in the standard's example tables.
    order = np.arange(8)[:, None] + np.arange(8)[None, :]
    steps = (np.float32(step) * (1 + np.float32(0.7) * order.astype(np.float32)))[:, :, None, None]
    waves /= steps
    np.rint(waves, out=waves)
    waves *= steps
    return _transform_both_axes(_inverse_cosine_transform, waves).transpose(2, 0, 3, 1).reshape(rows, cols)


def _transform_both_axes(
    transform: Callable[[Sequence[Float32Array]], list[Float32Array]], blocks: Float32Array
) -> Float32Array:
    """Transform the first two axes of compression blocks, (8, 8, ...)."""
    down = np.stack(transform(list(blocks)))
    return np.stack(transform([down[:, k] for k in range(8)]), axis=1)


def _cosine_transform(x: Sequence[Float32Array]) -> list[Float32Array]:
    """Cosine transform of block compression (DCT-II, orthonormal) of eight values, each an array."""
    plus, minus = [x[i] + x[7 - i] for i in range(4)], [x[i] - x[7 - i] for i in range(4)]
    outer, inner = plus[0] + plus[3], plus[1] + plus[2]
    rise, bend = plus[0] - plus[3], plus[1] - plus[2]
    odd = [_cosine_sum(minus, [(2 * i + 1) * k for i in range(4)]) for k in (1, 3, 5, 7)]
    return [
        (outer + inner) * _COS[4], odd[0], rise * _COS[2] + bend * _COS[6], odd[1],
        (outer - inner) * _COS[4], odd[2], rise * _COS[6] - bend * _COS[2], odd[3],
    ]  # fmt: skip


def _cosine_sum(parts: Sequence[Float32Array], angles: Sequence[int]) -> Float32Array:
    """Sum of four parts for the compression's transform, weighted by cosines of multiples of pi / 16."""
    total: Float32Array = parts[0] * _COS[angles[0] % 32]
    for part, angle in zip(parts[1:], angles[1:], strict=True):
        total += part * _COS[angle % 32]
    return total


def _inverse_cosine_transform(waves: Sequence[Float32Array]) -> list[Float32Array]:
    """Inverse of `_cosine_transform`, for block compression."""
    high, low = (waves[0] + waves[4]) * _COS[4], (waves[0] - waves[4]) * _COS[4]
    rise = waves[2] * _COS[2] + waves[6] * _COS[6]
    bend = waves[2] * _COS[6] - waves[6] * _COS[2]
    even = [high + rise, low + bend, low - bend, high - rise]
    odd = [_cosine_sum(waves[1::2], [(2 * i + 1) * k for k in (1, 3, 5, 7)]) for i in range(4)]
    return [*(even[i] + odd[i] for i in range(4)), *(even[i] - odd[i] for i in (3, 2, 1, 0))]


def _threshold_wavelets(plane: Float32Array, least: float, levels: int = 3) -> Float32Array:
    """Wavelet compression: soft threshold of Haar details at `least`, on `levels` scales."""
    quarters = [plane[i::2, j::2] for i in (0, 1) for j in (0, 1)]
    mean = (quarters[0] + quarters[1] + quarters[2] + quarters[3]) / 4
    rough = mean if levels == 1 else _threshold_wavelets(np.asarray(mean, np.float32), least / 2, levels - 1)
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
