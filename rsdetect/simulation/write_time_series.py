"""Writing a simulated time series: a scene and a mask for each date, and the truth with its dates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
from affine import Affine
from rasterio.features import shapes
from shapely.geometry import shape

from rsdetect.files import atomic_path, move, scratch_folder
from rsdetect.grid import Grid
from rsdetect.scenes.geotiff import checked_writing, geotiff_profile
from rsdetect.simulation.time_series import BANDS, GSD_M, Series

CRS = "EPSG:32632"
TRANSFORM = Affine(GSD_M, 0, 500_000, 0, -GSD_M, 5_300_000)
TRUTH = "truth.gpkg"


def write_series(series: Series, folder: Path) -> tuple[Path, ...]:
    """Write a time series: every date, and `truth.gpkg` with the planted changes and their dates.

    Scenes are named by date, `20240503.tif`, and masks `20240503_mask.tif`. Returns the scenes' paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(write_series_date(series, number, folder) for number in range(len(series.spec.dates)))
    with scratch_folder(folder) as scratch:  # GDAL requires the suffix of a GeoPackage
        _write_series_truth(series, scratch / TRUTH)
        move(scratch / TRUTH, folder / TRUTH)
    return paths


def write_series_date(series: Series, number: int, folder: Path) -> Path:
    """Write the scene and the mask of one date of a time series; returns the scene's path."""
    image, mask = series.draw(number)
    name = f"{series.spec.dates[number]:%Y%m%d}"
    _write_series_raster(folder / f"{name}_mask.tif", mask[None], ("mask",))
    _write_series_raster(folder / f"{name}.tif", image, BANDS)
    return folder / f"{name}.tif"


def _write_series_raster(path: Path, array: Any, names: tuple[str, ...]) -> None:
    count, height, width = array.shape
    profile = geotiff_profile(Grid(CRS, TRANSFORM, height, width), array.dtype, count=count)
    profile |= {"compress": "deflate", "predictor": 2}
    with (
        atomic_path(path) as unfinished,
        checked_writing(path),
        rasterio.open(unfinished, "w", **profile) as dataset,
    ):
        dataset.descriptions = names
        dataset.write(array)


def _write_series_truth(series: Series, path: Path) -> None:
    dates = series.spec.dates
    rows = []
    for change in series.planted:
        ((outline, _),) = shapes(change.where.astype(np.uint8), mask=change.where, transform=TRANSFORM)
        end = change.end if change.end is not None and change.end < len(dates) else None
        rows.append(
            {
                "kind": change.kind,
                "first_date": dates[change.first].isoformat(),
                "end_date": None if end is None else dates[end].isoformat(),
                "geometry": shape(outline),
            }
        )
    columns = ["kind", "first_date", "end_date", "geometry"]
    geopandas.GeoDataFrame(rows, columns=columns, crs=CRS).to_file(path, layer="planted", driver="GPKG")
