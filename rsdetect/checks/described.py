"""Scenes and grids as a check report describes them, in JSON types."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from rsdetect.grid import Grid
from rsdetect.scenes.alignment import crs_name
from rsdetect.scenes.band_files import without_query
from rsdetect.scenes.scene import Scene
from rsdetect.secrets import without_secrets


class GridDescription(TypedDict):
    """Grid in a check report; lengths in units of the CRS."""

    crs: str
    width: int  # pixels
    height: int
    transform: list[float]  # six coefficients, as of affine
    pixel_size: list[float]  # width, height
    bounds: list[float]  # left, bottom, right, top


class NodataDescription(TypedDict):
    """Nodata value of a scene; JSON has neither infinity nor NaN."""

    nodata: float | str | None  # text if infinite
    nodata_is_nan: bool
    nodata_from: str | None  # origin of the rule, "mask" where a mask replaces it


class SceneDescription(NodataDescription):
    """Scene in a check report."""

    path: str
    date: str | None  # ISO date
    band_numbers: list[int]
    dtype: str
    scales: list[float] | None
    offsets: list[float] | None
    mask: str | None  # path
    warped_by: str | None  # resampling
    grid: GridDescription


def describe_scene(scene: Scene, taken: str | None) -> SceneDescription:
    """Describe a scene; `taken` is its ISO date."""
    return {
        "path": without_secrets(scene.path),
        "date": taken,
        "band_numbers": list(scene.bands),
        "dtype": scene.dtype,
        **_describe_nodata(scene),
        "scales": list(scene.scales) or None,
        "offsets": list(scene.offsets) or None,
        "mask": without_query(scene.mask.path) if scene.mask else None,
        "warped_by": scene.warp,
        "grid": describe_grid(scene.grid),
    }


def describe_grid(grid: Grid) -> GridDescription:
    """Describe a grid."""
    return {
        "crs": crs_name(grid.crs),
        "width": grid.width,
        "height": grid.height,
        "transform": [float(number) for number in tuple(grid.transform)[:6]],
        "pixel_size": list(grid.pixel_size),
        "bounds": list(grid.bounds),
    }


def _describe_nodata(scene: Scene) -> NodataDescription:
    rule = scene.validity
    nodata = next(iter(rule.values), scene.nodata)
    number = None if nodata is None or np.isnan(nodata) else nodata
    return {
        "nodata": number if number is None or np.isfinite(number) else str(number),
        "nodata_is_nan": nodata is not None and number is None,
        "nodata_from": "mask" if rule.masked else rule.origin if rule.values else None,
    }
