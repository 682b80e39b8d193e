"""Source images of composite scenes: one prepared file per place, with one or several dates.

A file is an .npz with `pixels` (dates, bands, height, width), `valid` (dates, height, width) and `bands`;
where the buildings of the place are known, `buildings` (height, width), True = building.
It is read without rasterio, so that training requires no raster library.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.errors import InputError
from rsdetect.training.compositing.land_classes import Drift, drift_between

BANDS = ("red", "green", "blue", "nir", "swir1", "swir2")  # possible names, in order
VISIBLE = BANDS[:3]
FINEST_STEP = 0.25  # an image is enlarged at most four times
_KEYS = {"pixels", "valid", "bands"}


@dataclass(frozen=True)
class Image:
    """Source image: one date of one place, each band relative to its median in units of its spread."""

    name: str
    pixels: Float32Array  # (bands, height, width), 0 where not valid
    valid: BoolArray  # (height, width), True = valid
    bands: tuple[str, ...]  # in the order of BANDS
    drifts: tuple[Drift, ...] = ()  # drift of the land classes to the other dates of this place
    buildings: BoolArray | None = None  # (height, width), True = building; None = not known

    @property
    def place(self) -> str:
        """Name that all dates of a place share."""
        return self.name.rpartition("-")[0]

    def only(self, bands: tuple[str, ...]) -> Image:
        """Source image with these bands only."""
        if bands == self.bands:
            return self
        rows = [self.bands.index(name) for name in bands]
        drifts = tuple(drift.only(rows) for drift in self.drifts)
        return replace(self, pixels=self.pixels[rows], bands=bands, drifts=drifts)


@dataclass(frozen=True)
class ImageCrop:
    """Position, scale and rotation of a crop of a source image."""

    centre: tuple[float, float]  # row, column in the image
    step: float  # image pixels per crop pixel; below 1 enlarges
    angle: float  # radians
    mirrored: bool


def read_images(folder: Path, size: int) -> tuple[Image, ...]:
    """Read the source images in `folder`, all dates, in the order of the file names.

    Parameters
    ----------
    size
        Edge in pixels of the crops that will be taken.

    Raises
    ------
    InputError
        There is none, a file is not a prepared image, or it is too small for a crop.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise InputError(f"{folder} has no prepared image (*.npz); prepare_images makes them from GeoTIFFs.")
    return tuple(image for path in paths for image in _read_source_image(path, size))


def _read_source_image(path: Path, size: int) -> list[Image]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            lacking = sorted(_KEYS - set(arrays.files))
            if lacking:
                raise InputError(f"{path} is not a prepared image: it lacks {', '.join(lacking)}.")
            pixels, valid = arrays["pixels"], arrays["valid"]
            bands = tuple(str(name) for name in arrays["bands"])
            buildings = arrays["buildings"] if "buildings" in arrays.files else None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a prepared image: {error}") from error
    check_bands(bands, str(path))
    if valid.ndim != 3 or pixels.shape != (len(valid), len(bands), *valid.shape[1:]):
        raise InputError(
            f"{path} is not a prepared image: pixels {pixels.shape}, valid {valid.shape} and "
            f"{len(bands)} bands are inconsistent."
        )
    if buildings is not None and buildings.shape != valid.shape[1:]:
        raise InputError(
            f"{path} is not a prepared image: pixels {pixels.shape} and buildings {buildings.shape} are "
            "inconsistent."
        )
    least = int(np.ceil(FINEST_STEP * size)) + 2
    if min(pixels.shape[2:]) < least:
        height, width = pixels.shape[2:]
        raise InputError(
            f"{path} has {height} x {width} pixels, and crops of {size} x {size} require at "
            f"least {least} x {least}; remove it."
        )
    rows = [bands.index(name) for name in BANDS if name in bands]
    ordered = tuple(bands[row] for row in rows)
    dates = _source_image_dates(path.stem, pixels[:, rows], valid, ordered)
    if buildings is None:
        return dates
    return [replace(date, buildings=buildings.astype(bool)) for date in dates]


def check_bands(bands: tuple[str, ...], where: str) -> None:
    """Check the band names of a source image.

    Raises
    ------
    InputError
        A name is unknown or duplicated, or red, green or blue is missing.
    """
    unknown = [name for name in bands if name not in BANDS]
    missing = [name for name in VISIBLE if name not in bands]
    if unknown:
        raise InputError(f"{where} has a band {unknown[0]!r}; known are {', '.join(BANDS)}.")
    if missing:
        raise InputError(f"{where} lacks {', '.join(missing)}; it has {', '.join(bands) or 'no named band'}.")
    if len(set(bands)) < len(bands):
        raise InputError(f"{where} has a duplicated band name: {', '.join(bands)}.")


def _source_image_dates(
    name: str, pixels: NDArray[np.generic], valid: BoolArray, bands: tuple[str, ...]
) -> list[Image]:
    standard = [
        standardise_image(date.astype(np.float32), mask) for date, mask in zip(pixels, valid, strict=True)
    ]
    found = []
    for number, (date, mask) in enumerate(zip(standard, valid, strict=True)):
        others = [other for other in range(len(standard)) if other != number]
        drifts = [drift_between(date, standard[other], mask & valid[other]) for other in others]
        found.append(Image(f"{name}-{number}", date, mask, bands, tuple(d for d in drifts if d is not None)))
    return found


def standardise_image(pixels: Float32Array, valid: BoolArray) -> Float32Array:
    """Standardise a source image: (band - median) / spread, with spread (p84 - p16) / 2; 0 if invalid."""
    if not valid.any():
        return np.zeros_like(pixels)
    low, middle, high = np.percentile(pixels[:, valid], (16, 50, 84), axis=1)[:, :, None, None]
    spread = np.maximum((high - low) / 2, 1e-6 + 1e-3 * np.abs(middle))
    return np.where(valid, (pixels - middle) / spread, 0).astype(np.float32)


def draw_image_crop(
    image: Image, size: int, rng: np.random.Generator, steps: tuple[float, float]
) -> ImageCrop:
    """Draw a crop of a source image: place, scale (within `steps`, if possible), rotation, mirroring."""

    rotated = rng.random() < 0.4
    angle = rng.uniform(0, 2 * np.pi) if rotated else 0.5 * np.pi * rng.integers(4)
    across = abs(np.cos(angle)) + abs(np.sin(angle))
    room = (min(image.valid.shape) - 1) / size
    if room / across < FINEST_STEP:  # too small for any angle
        angle, across = 0.5 * np.pi * rng.integers(4), 1.0
    most = min(steps[1], room / across)
    step = float(np.exp(rng.uniform(np.log(min(steps[0], most)), np.log(most))))
    extent = 0.5 * size * step * across
    centre = tuple(float(rng.uniform(extent, max(edge - 1 - extent, extent))) for edge in image.valid.shape)
    return ImageCrop((centre[0], centre[1]), step, float(angle), bool(rng.integers(2)))


def take_image_crop(image: Image, cut: ImageCrop, size: int) -> tuple[Float32Array, BoolArray]:
    """Take a crop of a source image, (bands, size, size), and its valid pixels, (size, size)."""
    window, matrix, options = _crop_transform(image.valid.shape, cut, size)
    order = 3 if cut.step < 0.7 else 1
    bands = []
    for band in image.pixels[(slice(None), *window)]:
        source = gaussian_filter(band, 0.45 * cut.step) if cut.step > 1.2 else band
        bands.append(affine_transform(source, matrix, order=order, **options))
    return np.stack(bands).astype(np.float32), take_mask_crop(image.valid, cut, size) > 0.99


def take_mask_crop(mask: BoolArray, cut: ImageCrop, size: int) -> Float32Array:
    """Take a crop of a mask of a source image: the share of True, interpolated, (size, size)."""
    window, matrix, options = _crop_transform(mask.shape, cut, size)
    return np.asarray(affine_transform(mask[window].astype(np.float32), matrix, order=1, **options))


def _crop_transform(
    shape: tuple[int, ...], cut: ImageCrop, size: int
) -> tuple[tuple[slice, slice], NDArray[np.float64], dict[str, Any]]:
    """Window of a source image that a crop reads, the matrix from crop to window, and options of SciPy."""
    cos, sin = np.cos(cut.angle) * cut.step, np.sin(cut.angle) * cut.step
    flip = -1.0 if cut.mirrored else 1.0
    matrix = np.array([[cos, -sin * flip], [sin, cos * flip]])
    half = (size - 1) / 2
    offset = np.array(cut.centre) - matrix @ (half, half)
    extent = half * (abs(cos) + abs(sin)) + 6 + 3 * cut.step
    low = [max(int(c - extent), 0) for c in cut.centre]
    high = [int(c + extent) + 1 for c in cut.centre]
    window = slice(low[0], high[0]), slice(low[1], high[1])
    return window, matrix, {"offset": offset - low, "output_shape": (size, size), "mode": "nearest"}
