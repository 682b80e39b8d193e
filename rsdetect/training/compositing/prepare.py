"""GeoTIFFs to prepared images; the only module here that reads rasters, once, where rasterio is."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rsdetect.arraytypes import BoolArray
from rsdetect.errors import InputError, OutputError
from rsdetect.files import atomic_path
from rsdetect.grid import Grid
from rsdetect.scenes.handles import GDAL_ERRORS, open_raster, read_failure
from rsdetect.training.compositing.images import BANDS, check_bands

_CACHE_BYTES = 64 * 2**20
_Date = tuple[Path, NDArray[np.generic], BoolArray]  # file, (bands, height, width), (height, width)


class ImageFile(BaseModel):
    """One date of one place in a raster file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    bands: tuple[str, ...] | None = None  # name of each band of the file, "" = leave out; None = as described
    mask_band: int | None = None  # number of a band that says where the others do not count, 1 = first
    mask_values: tuple[int, ...] = ()  # its values there


class _Listed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    image: tuple[ImageFile, ...] = Field(min_length=1)


def read_sources(path: Path) -> list[ImageFile]:
    """Read a list of images: a TOML file with a table `[[image]]` each, its keys those of `ImageFile`.

    A relative path counts from the folder that the list lies in.

    Raises
    ------
    InputError
        The list cannot be read, or a key or value of it is wrong.
    """
    try:
        listed = _Listed.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}, {where}: {first['msg'].lower()}.") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list of images: {error}.") from error
    return [one.model_copy(update={"path": path.absolute().parent / one.path}) for one in listed.image]


def prepare_images(sources: Sequence[ImageFile], folder: Path) -> list[Path]:
    """Write one prepared image a place into `folder`, which is new; returns their paths.

    Georeferenced files with the same grid and the same bands are dates of one place.

    Raises
    ------
    InputError
        A file cannot be opened, or a band's name is unknown or missing; nothing was written.
    ReadError
        A file is damaged.
    OutputError
        The folder holds something already, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is there already; name a new folder.")
    places: dict[tuple[object, tuple[str, ...]], list[_Date]] = {}
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
        for source in sources:
            grid, bands, pixels, valid = _read(source)
            # Without georeference, equal sizes do not make two files one place.
            place: object = grid if grid.crs is not None else source.path
            places.setdefault((place, bands), []).append((source.path, pixels, valid))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder) as unfinished:
            unfinished.mkdir()
            written = [
                _write(unfinished, at, bands, dates) for at, ((_, bands), dates) in enumerate(places.items())
            ]
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from error
    return [folder / path.name for path in written]


def _write(folder: Path, number: int, bands: tuple[str, ...], dates: Sequence[_Date]) -> Path:
    path = folder / f"{number:02d}-{dates[0][0].stem}.npz"
    np.savez_compressed(
        path,
        pixels=np.stack([pixels for _, pixels, _ in dates]),
        valid=np.stack([valid for _, _, valid in dates]),
        bands=np.array(bands),
    )
    return path


def _read(source: ImageFile) -> tuple[Grid, tuple[str, ...], NDArray[np.generic], BoolArray]:
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
                f"{source.path} has bands 1 to {dataset.count}, the mask is to be band {source.mask_band}."
            )
        try:
            pixels = dataset.read(numbers)
            valid = (dataset.read_masks(numbers) > 0).all(axis=0)
            if np.issubdtype(pixels.dtype, np.floating):
                valid &= np.isfinite(pixels).all(axis=0)
            if source.mask_band is not None:
                valid &= ~np.isin(dataset.read(source.mask_band), source.mask_values)
        except GDAL_ERRORS as error:
            raise read_failure(f"{source.path} cannot be read", error, is_local=True) from error
        crs = dataset.crs.to_wkt() if dataset.crs else None
        grid = Grid(crs, dataset.transform, dataset.height, dataset.width)
    return grid, bands, pixels, valid
