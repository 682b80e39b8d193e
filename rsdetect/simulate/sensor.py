"""The sensor: point spread and shift, tone, noise, numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from rsdetect.simulate.look import Look
from rsdetect.simulate.noise import Float32Array, Frame, uniform

KERNEL_REACH_PX = 7  # to either side: three pixels of blur, and MAX_SHIFT_PX


def blur_and_shift(image: Float32Array, look: Look, margin: int) -> Float32Array:
    """Convolve with the point spread, moved by the date's shift, and cut `margin` pixels off each side."""
    assert margin >= KERNEL_REACH_PX
    for axis in (0, 1):
        weights = _kernel(look.blur_px, look.shift_px[axis], look.sharpen)
        size = image.shape[axis] - 2 * margin
        parts = [
            k
            for k in range(-KERNEL_REACH_PX, KERNEL_REACH_PX + 1)
            if abs(weights[k + KERNEL_REACH_PX]) > 1e-4
        ]
        total = np.zeros((size, image.shape[1]) if axis == 0 else (image.shape[0], size), dtype=np.float32)
        for k in parts:
            start = margin - k
            cut = image[start : start + size] if axis == 0 else image[:, start : start + size]
            total += weights[k + KERNEL_REACH_PX] * cut
        image = total
    return image


def _kernel(blur_px: float, shift_px: float, sharpen: float) -> Float32Array:
    """Weights of a Gaussian point spread whose middle is moved by `shift_px`, with some unsharp masking."""
    at = np.arange(-KERNEL_REACH_PX, KERNEL_REACH_PX + 1) - shift_px

    def bell(sigma: float) -> NDArray[np.float64]:
        # Integrated over the pixel by its mean at five places, so that narrow kernels stay true.
        parts = [np.exp(-0.5 * ((at + d) / sigma) ** 2) for d in (-0.4, -0.2, 0.0, 0.2, 0.4)]
        total = np.asarray(sum(parts))
        return np.asarray(total / total.sum())

    weights = (1 + sharpen) * bell(blur_px) - sharpen * bell(blur_px + 0.6)
    return weights.astype(np.float32)


def tone_curve(rgb: list[Float32Array], look: Look) -> list[Float32Array]:
    """Reflectance to the 0 to 255 numbers of an 8-bit product, still float; red, green, blue."""
    gains = look.gain[[2, 1, 0]] * np.float32(look.brightness)
    lifted = [
        np.clip((band - np.float32(look.black)) * gain, 0, None) ** np.float32(look.gamma)
        for band, gain in zip(rgb, gains, strict=True)
    ]
    return [255 * (row[0] * lifted[0] + row[1] * lifted[1] + row[2] * lifted[2]) for row in look.mix]


def add_noise(
    bands: list[Float32Array], look: Look, frame: Frame, salt: int, rng: np.random.Generator
) -> list[Float32Array]:
    """Sensor noise, stronger where brighter, and column stripes; in reflectance."""
    out = []
    columns = np.arange(frame.col, frame.col + frame.width)
    for number, band in enumerate(bands):
        noise = rng.standard_normal(band.shape, dtype=np.float32)
        noisy = band + np.float32(look.noise) * (0.6 + 2 * band) * noise
        if look.stripe:
            column = uniform(frame.seed, salt + number, columns) - np.float32(0.5)
            noisy += np.float32(look.stripe * 12**0.5) * column[None, :]
        out.append(noisy)
    return out


def to_numbers(bands: list[Float32Array], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Round to the sensor's numbers, 1 at least, because 0 says no data; (bands, height, width)."""
    top = 255 if dtype == np.uint8 else 65535
    stack = np.stack(bands)
    return np.clip(np.rint(stack), 1, top).astype(dtype)


def compress(bands: list[Float32Array], coarseness: float) -> list[Float32Array]:
    """What is left of red, green, blue numbers after a block-transform compression like JPEG's.

    Frames must begin at multiples of 8 pixels, or the blocks would not lie where the product has them.
    """
    red, green, blue = bands
    luma = 0.3 * red + 0.59 * green + 0.11 * blue
    planes = [
        _quantise(luma, coarseness),
        _quantise(red - luma, 2 * coarseness),
        _quantise(blue - luma, 2 * coarseness),
    ]
    luma, red, blue = planes[0], planes[0] + planes[1], planes[0] + planes[2]
    return [red, (luma - 0.3 * red - 0.11 * blue) / 0.59, blue]


def _quantise(plane: Float32Array, step: float) -> Float32Array:
    rows, cols = plane.shape
    assert rows % 8 == 0 and cols % 8 == 0
    waves = dctn(plane.reshape(rows // 8, 8, cols // 8, 8), axes=(1, 3), norm="ortho")
    # Finer waves are kept more coarsely, about as in the standard's example tables.
    order = np.arange(8)[:, None, None] + np.arange(8)[None, None, :]
    steps = np.float32(step) * (1 + np.float32(0.7) * order.astype(np.float32))
    kept = np.rint(waves / steps) * steps
    return np.asarray(idctn(kept, axes=(1, 3), norm="ortho").reshape(rows, cols), dtype=np.float32)
