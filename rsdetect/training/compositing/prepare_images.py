"""Preparation of source images from GeoTIFFs, the only module here that requires rasterio."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rsdetect.arraytypes import BoolArray
from rsdetect.errors import InputError, OutputError
from rsdetect.files import atomic_path
from rsdetect.folders import refuse_place
from rsdetect.grid import Grid
from rsdetect.reading import read_text
from rsdetect.scenes.handles import GDAL_ERRORS, open_raster, read_failure
from rsdetect.statuses import write_error
from rsdetect.training.compositing.source_images import BANDS, check_bands

_CACHE_BYTES = 64 * 2**20
# File, (bands, height, width), (height, width), and buildings as the last.
_Date = tuple[Path, NDArray[np.generic], BoolArray, BoolArray | None]


class ImageFile(BaseModel):
    """Image file to prepare: one date of one place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    bands: tuple[str, ...] | None = None  # name of each band of the file, "" = skip; None = band descriptions
    mask_band: int | None = None  # index of the band with the mask, 1 = first
    mask_values: tuple[int, ...] = ()  # values of masked pixels
    # Raster of the same size, not 0 = building; "none" = nothing is built; None = not known.
    buildings: Literal["none"] | Path | None = None


class _ImageList(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    image: tuple[ImageFile, ...] = Field(min_length=1)


def read_image_list(path: Path) -> list[ImageFile]:
    """Read a list of images to prepare: a TOML file with tables `[[image]]`, with the keys of `ImageFile`.

    Paths are relative to the folder of the list.

    Raises
    ------
    InputError
        The list cannot be read, or a key or value of it is wrong.
    """
    try:
        listed = _ImageList.model_validate(tomllib.loads(read_text(path, "a list of images")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}, {where}: {first['msg'].lower()}.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} cannot be read as a list of images: {error}.") from error
    folder = path.absolute().parent
    return [
        one.model_copy(
            update={
                "path": folder / one.path,
                "buildings": folder / one.buildings if isinstance(one.buildings, Path) else one.buildings,
            }
        )
        for one in listed.image
    ]


def prepare_images(sources: Sequence[ImageFile], folder: Path) -> list[Path]:
    """Prepare source images: one file per place in the new `folder`; returns their paths.

    Georeferenced files with the same grid and the same bands are dates of one place.

    Raises
    ------
    InputError
        A file cannot be opened, or a band's name is unknown or missing; nothing was written.
    ReadError
        A file is damaged.
    OutputError
        The folder is not empty, or cannot be written.
    """
    refuse_place(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists already; give a new folder.")
    places: dict[tuple[object, tuple[str, ...]], list[_Date]] = {}
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
        for source in sources:
            grid, bands, pixels, valid = _read_image_file(source)
            buildings = _read_buildings(source, valid.shape)
            # Without georeference, files of equal size may be of different places.
            place: object = grid if grid.crs is not None else source.path
            places.setdefault((place, bands), []).append((source.path, pixels, valid, buildings))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder) as unfinished:
            unfinished.mkdir()
            written = [
                _write_prepared_image(unfinished, at, bands, dates)
                for at, ((_, bands), dates) in enumerate(places.items())
            ]
    except OSError as error:
        raise write_error(str(folder), error) from error
    return [folder / path.name for path in written]


def _write_prepared_image(folder: Path, number: int, bands: tuple[str, ...], dates: Sequence[_Date]) -> Path:
    path = folder / f"{number:02d}-{dates[0][0].stem}.npz"
    known = [buildings for *_, buildings in dates if buildings is not None]
    np.savez_compressed(
        path,
        pixels=np.stack([pixels for _, pixels, *_ in dates]),
        valid=np.stack([valid for _, _, valid, _ in dates]),
        bands=np.array(bands),
        **({"buildings": np.logical_or.reduce(known)} if known else {}),
    )
    return path


def _read_buildings(source: ImageFile, shape: tuple[int, ...]) -> BoolArray | None:
    """Buildings of an image file, (height, width), True = building; None = not known."""
    if source.buildings is None:
        return None
    if not isinstance(source.buildings, Path):
        return np.zeros(shape, bool)
    with open_raster(str(source.buildings)) as dataset:
        if dataset.shape != shape:
            raise InputError(
                f"{source.buildings} has {dataset.height} x {dataset.width} pixels, and {source.path} has "
                f"{shape[0]} x {shape[1]}."
            )
        try:
            return np.asarray(dataset.read(1) != 0)
        except GDAL_ERRORS as error:
            raise read_failure(f"{source.buildings} cannot be read", error, is_local=True) from error


def _read_image_file(source: ImageFile) -> tuple[Grid, tuple[str, ...], NDArray[np.generic], BoolArray]:
    with open_raster(str(source.path)) as dataset:
        named = source.bands or tuple((text or "").strip().lower() for text in dataset.descriptions)
        if len(named) != dataset.count:
            raise InputError(f"{source.path} has {dataset.count} bands, and {len(named)} are listed.")
        # Names given by the user must be known; unknown band descriptions of a file are skipped.
        bands = tuple(name for name in named if name and (source.bands or name in BANDS))
        check_bands(bands, str(source.path))
        numbers = [named.index(name) + 1 for name in bands]
        if source.mask_band is not None and not 1 <= source.mask_band <= dataset.count:
            raise InputError(
                f"{source.path} has bands 1 to {dataset.count}, and no band {source.mask_band} for the mask."
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
