"""Optics: point spread, resampling, shift and warp of the image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation.exact import exp
from rsdetect.simulation.noise import Frame, smooth
from rsdetect.simulation.salts import Salt

# Sparse operator along an axis: offset of the ground pixel -> its weight for each image pixel, (count,).
_Taps = tuple[tuple[int, Float32Array], ...]

MOST_WARP_PX = 2.0  # on either axis
_WARP_REACH_PX = 3  # MOST_WARP_PX, and the neighbour for interpolation


@dataclass(frozen=True)
class Optics:
    """Optics of one date; lengths in pixels of the product."""

    blur: float  # standard deviation of the point spread
    sharpen: float  # strength of the producer's sharpening, 0 = none
    native: (
        float  # size of the detector's native pixels, from which the product was resampled; 1 = not resampled
    )
    nearest: bool  # nearest neighbour resampling of bands with larger pixels, else linear
    shift: tuple[float, float]  # (rows, columns) of the image, down and right
    fringe: tuple[float, float]  # (rows, columns) of each band relative to the previous one
    warp: float  # standard deviation of the local shift
    warp_scale: float  # wavelength of the local shift

    def reach_px(self, coarse: int = 1) -> int:
        """Radius of the ground that contributes to a pixel."""
        native = self.native * coarse
        spread = 3 * (self.blur + (0.6 if self.sharpen else 0.0)) + 0.5
        resampling = 1.5 * native if native > 1 else 0.0
        # A sensor has up to seven bands, the middle one unshifted.
        moved = max(abs(shift) + 3 * abs(step) for shift, step in zip(self.shift, self.fringe, strict=True))
        return ceil(spread + resampling + moved) + (_WARP_REACH_PX if self.warp else 0)


def form_image(
    ground: Float32Array, optics: Optics, frame: Frame, margin: int, coarse: int = 1, step: float = 0.0
) -> Float32Array:
    """Image of `ground` in one band, formed by the optics.

    Parameters
    ----------
    ground
        Extends `margin` pixels beyond `frame` on every side.
    coarse
        Pixel size of the band, as a multiple of the product's pixel size.
    step
        The band's position in the order of the sensor, 0 = the middle.
    """
    native = optics.native * coarse
    assert margin >= optics.reach_px(coarse)
    pad = _WARP_REACH_PX if optics.warp else 0
    # Nearest neighbour only at integer ratios: at others the image would be shifted by a part of a pixel.
    spread = (optics.blur, optics.sharpen, native, optics.nearest and optics.native == 1)
    down, right = (shift + step * fringe for shift, fringe in zip(optics.shift, optics.fringe, strict=True))
    rows = _optics_operator(frame.row - pad, frame.height + 2 * pad, margin - pad, down, spread)
    cols = _optics_operator(frame.col - pad, frame.width + 2 * pad, margin - pad, right, spread)
    image = _convolve_rows(_convolve_columns(ground, rows), cols)
    return _warp_image(image, optics, frame, pad) if optics.warp else image


def _convolve_columns(ground: Float32Array, taps: _Taps) -> Float32Array:
    """Apply the optics' operator along the columns."""
    count = len(taps[0][1])
    image = np.zeros((count, ground.shape[1]), dtype=np.float32)
    part = np.empty_like(image)
    for offset, weights in taps:
        image += np.multiply(ground[offset : offset + count], weights[:, None], out=part)
    return image


def _convolve_rows(ground: Float32Array, taps: _Taps) -> Float32Array:
    """Apply the optics' operator along the rows."""
    count = len(taps[0][1])
    image = np.zeros((ground.shape[0], count), dtype=np.float32)
    part = np.empty_like(image)
    for offset, weights in taps:
        image += np.multiply(ground[:, offset : offset + count], weights, out=part)
    return image


@lru_cache(maxsize=32)
def _optics_operator(
    start: int, count: int, margin: int, shift: float, spread: tuple[float, float, float, bool]
) -> _Taps:
    """Operator of the optics along one axis, from ground to image.

    `count` pixels of the scene's grid, from `start` on, are computed from `count + 2 * margin`.
    """
    blur, sharpen, native, nearest = spread
    weights = _point_spread_kernel(blur, shift, sharpen)
    half = len(weights) // 2
    own = {0: np.ones(count)} if native <= 1 else _native_pixel_weights(start, count, native, nearest)
    taps: dict[int, NDArray[np.float64]] = {}
    for away, shares in own.items():
        for number, weight in enumerate(weights.tolist()):
            offset = margin + away + half - number
            taps[offset] = taps.get(offset, 0.0) + shares * weight
    used = {offset: tap.astype(np.float32) for offset, tap in taps.items() if tap.any()}
    assert min(used) >= 0 and max(used) <= 2 * margin, (margin, min(used), max(used))
    return tuple(sorted(used.items()))


def _native_pixel_weights(
    start: int, count: int, native: float, nearest: bool
) -> dict[int, NDArray[np.float64]]:
    """Resampling by the optics: averages over native detector pixels, resampled to the product's pixels.

    Native pixels are aligned to the scene's corner, independent of the frame. Returns the weight of the
    ground pixel at each distance from the image pixel; (count,).
    """
    pixel = start + np.arange(count)
    place = (pixel + 0.5) / native - 0.5
    below = np.floor(place + 0.5 if nearest else place)
    share = np.zeros(count) if nearest else place - below
    taken = {}
    radius = ceil(1.5 * native) + 1
    for away in range(-radius, radius + 1):
        near = pixel + away
        parts = [
            np.clip(np.minimum((own + 1) * native, near + 1) - np.maximum(own * native, near), 0, None)
            for own in (below, below + 1)
        ]
        taken[away] = ((1 - share) * parts[0] + share * parts[1]) / native
    return taken


def _point_spread_kernel(blur_px: float, shift_px: float, sharpen: float) -> NDArray[np.float64]:
    """Kernel of a Gaussian point spread, shifted by `shift_px`, with optional unsharp masking."""
    wide = blur_px + 0.6
    half = ceil(3 * (wide if sharpen else blur_px) + 0.5 + abs(shift_px))
    at = np.arange(-half, half + 1) - shift_px

    def bell(sigma: float) -> NDArray[np.float64]:
        # Integrated over the pixel as a mean of five samples, so that narrow kernels are accurate.
        parts = [exp(-0.5 * np.square((at + d) / sigma)) for d in (-0.4, -0.2, 0.0, 0.2, 0.4)]
        total = np.asarray(sum(parts))
        return np.asarray(total / total.sum())

    return (1 + sharpen) * bell(blur_px) - sharpen * bell(wide) if sharpen else bell(blur_px)


@lru_cache(maxsize=2)
def _warp_sources(
    optics: Optics, frame: Frame, pad: int
) -> tuple[NDArray[np.intp], Float32Array, Float32Array]:
    """Warp of the optics: flat index of each pixel's upper left source, and the weights of the others."""
    wide = frame.width + 2 * pad
    moved = [
        np.clip(
            np.float32(optics.warp) * smooth(frame, salt, optics.warp_scale * frame.gsd_m),
            -MOST_WARP_PX,
            MOST_WARP_PX,
        )
        for salt in (Salt.WARP_DOWN, Salt.WARP_RIGHT)
    ]
    row = np.arange(pad, pad + frame.height, dtype=np.float32)[:, None] - moved[0]
    col = np.arange(pad, pad + frame.width, dtype=np.float32)[None, :] - moved[1]
    above, left = np.floor(row), np.floor(col)
    index = above.astype(np.intp) * wide + left.astype(np.intp)
    return index, row - above, col - left


def _warp_image(image: Float32Array, optics: Optics, frame: Frame, pad: int) -> Float32Array:
    """Warp the image by the optics' local shift, with bilinear interpolation."""
    index, down, right = _warp_sources(optics, frame, pad)
    flat, wide = np.ascontiguousarray(image).ravel(), image.shape[1]
    upper = flat[index] * (1 - right) + flat[index + 1] * right
    lower = flat[index + wide] * (1 - right) + flat[index + wide + 1] * right
    return np.asarray(upper + (lower - upper) * down, dtype=np.float32)
