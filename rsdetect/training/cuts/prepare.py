"""GeoTIFFs to prepared images; the only module here that reads rasters, once, where rasterio is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from rsdetect.errors import InputError
from rsdetect.grid import Grid
from rsdetect.handles import GDAL_ERRORS, one_line, open_raster
from rsdetect.tiles import BoolArray
from rsdetect.training.cuts.images import BANDS, check_bands

_CACHE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Source:
    """One date of one place in a raster file."""

    path: Path
    bands: tuple[str, ...] | None = None  # name of each band of the file, "" = leave out; None = as described
    mask_band: int | None = None  # number of a band that says where the others do not count, 1 = first
    mask_values: tuple[int, ...] = ()  # its values there


def prepare_images(sources: Sequence[Source], folder: Path) -> list[Path]:
    """Write one prepared image a place into `folder`; returns their paths.

    Georeferenced files with the same grid and the same bands are dates of one place.

    Raises
    ------
    InputError
        A file cannot be read, or a band's name is unknown or missing; nothing was written.
    """
    places: dict[tuple[object, tuple[str, ...]], list[tuple[Path, NDArray[np.generic], BoolArray]]] = {}
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
        for source in sources:
            grid, bands, pixels, valid = _read(source)
            # Without georeference, equal sizes do not make two files one place.
            place: object = grid if grid.crs is not None else source.path
            places.setdefault((place, bands), []).append((source.path, pixels, valid))
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, ((_, bands), dates) in enumerate(places.items()):
        path = folder / f"{number:02d}-{dates[0][0].stem}.npz"
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(
                file,
                pixels=np.stack([pixels for _, pixels, _ in dates]),
                valid=np.stack([valid for _, _, valid in dates]),
                bands=np.array(bands),
            )
        part.replace(path)
        written.append(path)
    return written


def _read(source: Source) -> tuple[Grid, tuple[str, ...], NDArray[np.generic], BoolArray]:
    with open_raster(str(source.path)) as dataset:
        named = source.bands or tuple((text or "").strip().lower() for text in dataset.descriptions)
        if len(named) != dataset.count:
            raise InputError(f"{source.path} has {dataset.count} bands, and {len(named)} are named.")
        # What the user names must be known; what a file describes may be anything else besides.
        bands = tuple(name for name in named if name and (source.bands or name in BANDS))
        check_bands(bands, str(source.path))
        numbers = [named.index(name) + 1 for name in bands]
        if source.mask_band is not None and not 1 <= source.mask_band <= dataset.count:
            raise InputError(
                f"{source.path} has bands 1 to {dataset.count}, and the mask is band {source.mask_band}."
            )
        try:
            pixels = dataset.read(numbers)
            valid = (dataset.read_masks(numbers) > 0).all(axis=0)
            if np.issubdtype(pixels.dtype, np.floating):
                valid &= np.isfinite(pixels).all(axis=0)
            if source.mask_band is not None:
                valid &= ~np.isin(dataset.read(source.mask_band), source.mask_values)
        except GDAL_ERRORS as error:
            raise InputError(f"{source.path} cannot be read: {one_line(error)}.") from error
        crs = dataset.crs.to_wkt() if dataset.crs else None
        grid = Grid(crs, dataset.transform, dataset.height, dataset.width)
    return grid, bands, pixels, valid
