"""Prepared images that training pairs are cut from: one file a place, with one date or several.

A file is an .npz with `pixels` (dates, bands, height, width), `valid` (dates, height, width) and `bands`.
It is read without rasterio, so that pairs can be cut where no raster library is.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.errors import InputError
from rsdetect.training.compositing.classes import Drift, drift_between

BANDS = ("red", "green", "blue", "nir", "swir1", "swir2")  # the names a scene may have, in their order
VISIBLE = BANDS[:3]
FINEST_STEP = 0.25  # an image is enlarged four times at most
_KEYS = {"pixels", "valid", "bands"}


@dataclass(frozen=True)
class Image:
    """One date of one place, each band about its median in units of its own spread."""

    name: str
    pixels: Float32Array  # (bands, height, width), 0 where not valid
    valid: BoolArray  # (height, width), True = usable
    bands: tuple[str, ...]  # in the order of BANDS
    drifts: tuple[Drift, ...] = ()  # how the classes of this place really looked on its other dates

    def only(self, bands: tuple[str, ...]) -> Image:
        """The image with these of its bands."""
        if bands == self.bands:
            return self
        rows = [self.bands.index(name) for name in bands]
        drifts = tuple(drift.only(rows) for drift in self.drifts)
        return replace(self, pixels=self.pixels[rows], bands=bands, drifts=drifts)


@dataclass(frozen=True)
class Cut:
    """Where a crop lies in an image."""

    centre: tuple[float, float]  # row, column in the image
    step: float  # image pixels a crop pixel; below 1 enlarges
    angle: float  # radians
    mirrored: bool


def read_images(folder: Path, size: int) -> tuple[Image, ...]:
    """Every prepared image in `folder`, all dates, in the order of the file names.

    Parameters
    ----------
    size
        Edge in pixels of the crops that will be wanted.

    Raises
    ------
    InputError
        There is none, a file is no prepared image, or it is too small for a crop.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise InputError(f"{folder} holds no prepared image (*.npz); prepare_images makes them of GeoTIFFs.")
    return tuple(image for path in paths for image in _read(path, size))


def _read(path: Path, size: int) -> list[Image]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            lacking = sorted(_KEYS - set(arrays.files))
            if lacking:
                raise InputError(f"{path} is no prepared image: it lacks {', '.join(lacking)}.")
            pixels, valid = arrays["pixels"], arrays["valid"]
            bands = tuple(str(name) for name in arrays["bands"])
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no prepared image: {error}") from error
    check_bands(bands, str(path))
    if valid.ndim != 3 or pixels.shape != (len(valid), len(bands), *valid.shape[1:]):
        raise InputError(
            f"{path} is no prepared image: pixels {pixels.shape}, valid {valid.shape} and "
            f"{len(bands)} bands do not belong together."
        )
    least = int(np.ceil(FINEST_STEP * size)) + 2
    if min(pixels.shape[2:]) < least:
        height, width = pixels.shape[2:]
        raise InputError(
            f"{path} has {height} x {width} pixels, and crops of {size} x {size} need {least} x {least} "
            "at least; leave it out."
        )
    rows = [bands.index(name) for name in BANDS if name in bands]
    ordered = tuple(bands[row] for row in rows)
    return _dates(path.stem, pixels[:, rows], valid, ordered)


def check_bands(bands: tuple[str, ...], where: str) -> None:
    """Refuse band names that a scene cannot have.

    Raises
    ------
    InputError
        A name is unknown or there twice, or red, green or blue is missing.
    """
    unknown = [name for name in bands if name not in BANDS]
    missing = [name for name in VISIBLE if name not in bands]
    if unknown:
        raise InputError(f"{where} has a band {unknown[0]!r}; known are {', '.join(BANDS)}.")
    if missing:
        raise InputError(f"{where} lacks {', '.join(missing)}; it has {', '.join(bands) or 'no named band'}.")
    if len(set(bands)) < len(bands):
        raise InputError(f"{where} names a band twice: {', '.join(bands)}.")


def _dates(name: str, pixels: NDArray[np.generic], valid: BoolArray, bands: tuple[str, ...]) -> list[Image]:
    standard = [standardise(date.astype(np.float32), mask) for date, mask in zip(pixels, valid, strict=True)]
    found = []
    for number, (date, mask) in enumerate(zip(standard, valid, strict=True)):
        others = [other for other in range(len(standard)) if other != number]
        drifts = [drift_between(date, standard[other], mask & valid[other]) for other in others]
        found.append(Image(f"{name}-{number}", date, mask, bands, tuple(d for d in drifts if d is not None)))
    return found


def standardise(pixels: Float32Array, valid: BoolArray) -> Float32Array:
    """Each band less its median, in halves of its middle two thirds' width; 0 where not valid."""
    if not valid.any():
        return np.zeros_like(pixels)
    low, middle, high = np.percentile(pixels[:, valid], (16, 50, 84), axis=1)[:, :, None, None]
    spread = np.maximum((high - low) / 2, 1e-6 + 1e-3 * np.abs(middle))
    return np.where(valid, (pixels - middle) / spread, 0).astype(np.float32)


def draw_cut(image: Image, size: int, rng: np.random.Generator, steps: tuple[float, float]) -> Cut:
    """A random place, scale (between `steps`, as far as the image is large enough), turn and mirroring."""
    turned = rng.random() < 0.4
    angle = rng.uniform(0, 2 * np.pi) if turned else 0.5 * np.pi * rng.integers(4)
    across = abs(np.cos(angle)) + abs(np.sin(angle))
    room = (min(image.valid.shape) - 1) / size
    if room / across < FINEST_STEP:  # too small to be turned freely
        angle, across = 0.5 * np.pi * rng.integers(4), 1.0
    most = min(steps[1], room / across)
    step = float(np.exp(rng.uniform(np.log(min(steps[0], most)), np.log(most))))
    reach = 0.5 * size * step * across
    centre = tuple(float(rng.uniform(reach, max(edge - 1 - reach, reach))) for edge in image.valid.shape)
    return Cut((centre[0], centre[1]), step, float(angle), bool(rng.integers(2)))


def take(image: Image, cut: Cut, size: int) -> tuple[Float32Array, BoolArray]:
    """The crop (bands, size, size) and where it is valid (size, size)."""
    cos, sin = np.cos(cut.angle) * cut.step, np.sin(cut.angle) * cut.step
    flip = -1.0 if cut.mirrored else 1.0
    matrix = np.array([[cos, -sin * flip], [sin, cos * flip]])
    half = (size - 1) / 2
    offset = np.array(cut.centre) - matrix @ (half, half)
    reach = half * (abs(cos) + abs(sin)) + 6 + 3 * cut.step
    low = [max(int(c - reach), 0) for c in cut.centre]
    high = [int(c + reach) + 1 for c in cut.centre]
    window = np.s_[low[0] : high[0], low[1] : high[1]]
    offset = offset - low
    options = {"offset": offset, "output_shape": (size, size), "mode": "nearest"}
    order = 3 if cut.step < 0.7 else 1
    bands = []
    for band in image.pixels[(slice(None), *window)]:
        source = gaussian_filter(band, 0.45 * cut.step) if cut.step > 1.2 else band
        bands.append(affine_transform(source, matrix, order=order, **options))
    share = affine_transform(image.valid[window].astype(np.float32), matrix, order=1, **options)
    return np.stack(bands).astype(np.float32), share > 0.99
