"""The image on the detector: point spread, the product's own resampling, shift and warp."""

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

# Along an axis: by the offset of the ground's pixel, its weight for each of the image's pixels, (count,).
_Taps = tuple[tuple[int, Float32Array], ...]

MOST_WARP_PX = 2.0  # on either axis
_WARP_REACH_PX = 3  # MOST_WARP_PX, and the neighbour that is interpolated with


@dataclass(frozen=True)
class Optics:
    """How one date's image is formed; lengths in pixels of the product."""

    blur: float  # standard deviation of the point spread
    sharpen: float  # strength of the producer's sharpening, 0 = none
    native: float  # size of the detector's own pixels, which the product was resampled from; 1 = as it is
    nearest: bool  # bands with larger pixels are repeated instead of interpolated
    shift: tuple[float, float]  # (rows, columns) the image is moved down and right
    fringe: tuple[float, float]  # (rows, columns) by which each band lies further on than the one before
    warp: float  # standard deviation of the shift that changes slowly from place to place
    warp_scale: float  # from one bump of it to the next

    def reach_px(self, coarse: int = 1) -> int:
        """How far away the ground is that a pixel may see."""
        native = self.native * coarse
        spread = 3 * (self.blur + (0.6 if self.sharpen else 0.0)) + 0.5
        resampling = 1.5 * native if native > 1 else 0.0
        # A sensor has up to seven bands, the middle one in its place.
        moved = max(abs(shift) + 3 * abs(step) for shift, step in zip(self.shift, self.fringe, strict=True))
        return ceil(spread + resampling + moved) + (_WARP_REACH_PX if self.warp else 0)


def form_image(
    ground: Float32Array, optics: Optics, frame: Frame, margin: int, coarse: int = 1, step: float = 0.0
) -> Float32Array:
    """What the detector sees of `ground` in one band.

    Parameters
    ----------
    ground
        Reaches `margin` pixels beyond `frame` on every side.
    coarse
        How many times larger the band's own pixels are than those of the product.
    step
        The band's place in the order of the sensor, 0 = the middle.
    """
    native = optics.native * coarse
    assert margin >= optics.reach_px(coarse)
    pad = _WARP_REACH_PX if optics.warp else 0
    # Only whole ratios are repeated: at others the image would be moved by a part of a pixel.
    spread = (optics.blur, optics.sharpen, native, optics.nearest and optics.native == 1)
    down, right = (shift + step * fringe for shift, fringe in zip(optics.shift, optics.fringe, strict=True))
    rows = _operator(frame.row - pad, frame.height + 2 * pad, margin - pad, down, spread)
    cols = _operator(frame.col - pad, frame.width + 2 * pad, margin - pad, right, spread)
    image = _across(_down(ground, rows), cols)
    return _warp(image, optics, frame, pad) if optics.warp else image


def _down(ground: Float32Array, taps: _Taps) -> Float32Array:
    """Form the image along the columns."""
    count = len(taps[0][1])
    image = np.zeros((count, ground.shape[1]), dtype=np.float32)
    part = np.empty_like(image)
    for offset, weights in taps:
        image += np.multiply(ground[offset : offset + count], weights[:, None], out=part)
    return image


def _across(ground: Float32Array, taps: _Taps) -> Float32Array:
    """Form the image along the rows."""
    count = len(taps[0][1])
    image = np.zeros((ground.shape[0], count), dtype=np.float32)
    part = np.empty_like(image)
    for offset, weights in taps:
        image += np.multiply(ground[:, offset : offset + count], weights, out=part)
    return image


@lru_cache(maxsize=32)
def _operator(
    start: int, count: int, margin: int, shift: float, spread: tuple[float, float, float, bool]
) -> _Taps:
    """How the image along one axis follows from the ground.

    `count` pixels from `start` on of the scene's own grid are formed out of `count + 2 * margin`.
    """
    blur, sharpen, native, nearest = spread
    weights = _kernel(blur, shift, sharpen)
    half = len(weights) // 2
    own = {0: np.ones(count)} if native <= 1 else _resample(start, count, native, nearest)
    taps: dict[int, NDArray[np.float64]] = {}
    for away, shares in own.items():
        for number, weight in enumerate(weights.tolist()):
            offset = margin + away + half - number
            taps[offset] = taps.get(offset, 0.0) + shares * weight
    used = {offset: tap.astype(np.float32) for offset, tap in taps.items() if tap.any()}
    assert min(used) >= 0 and max(used) <= 2 * margin, (margin, min(used), max(used))
    return tuple(sorted(used.items()))


def _resample(start: int, count: int, native: float, nearest: bool) -> dict[int, NDArray[np.float64]]:
    """Averages over the detector's own pixels, then the product's pixels out of these.

    The own pixels lie at multiples of their size from the scene's corner, wherever the frame begins.
    Returned is, by the distance to a pixel from the one that is formed, its share; (count,).
    """
    pixel = start + np.arange(count)
    place = (pixel + 0.5) / native - 0.5
    below = np.floor(place + 0.5 if nearest else place)
    share = np.zeros(count) if nearest else place - below
    taken = {}
    reach = ceil(1.5 * native) + 1
    for away in range(-reach, reach + 1):
        near = pixel + away
        parts = [
            np.clip(np.minimum((own + 1) * native, near + 1) - np.maximum(own * native, near), 0, None)
            for own in (below, below + 1)
        ]
        taken[away] = ((1 - share) * parts[0] + share * parts[1]) / native
    return taken


def _kernel(blur_px: float, shift_px: float, sharpen: float) -> NDArray[np.float64]:
    """Weights of a Gaussian point spread whose middle is moved by `shift_px`, with some unsharp masking."""
    wide = blur_px + 0.6
    half = ceil(3 * (wide if sharpen else blur_px) + 0.5 + abs(shift_px))
    at = np.arange(-half, half + 1) - shift_px

    def bell(sigma: float) -> NDArray[np.float64]:
        # Integrated over the pixel by its mean at five places, so that narrow kernels stay true.
        parts = [exp(-0.5 * np.square((at + d) / sigma)) for d in (-0.4, -0.2, 0.0, 0.2, 0.4)]
        total = np.asarray(sum(parts))
        return np.asarray(total / total.sum())

    return (1 + sharpen) * bell(blur_px) - sharpen * bell(wide) if sharpen else bell(blur_px)


@lru_cache(maxsize=2)
def _places(optics: Optics, frame: Frame, pad: int) -> tuple[NDArray[np.intp], Float32Array, Float32Array]:
    """Where each pixel of a frame is taken from: flat index of its upper left neighbour, and shares."""
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


def _warp(image: Float32Array, optics: Optics, frame: Frame, pad: int) -> Float32Array:
    """Take each pixel from where the slow part of the shift has moved it to; linear between neighbours."""
    index, down, right = _places(optics, frame, pad)
    flat, wide = np.ascontiguousarray(image).ravel(), image.shape[1]
    upper = flat[index] * (1 - right) + flat[index + 1] * right
    lower = flat[index + wide] * (1 - right) + flat[index + wide + 1] * right
    return np.asarray(upper + (lower - upper) * down, dtype=np.float32)
