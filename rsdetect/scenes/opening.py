"""Opening of scenes: the source of any value that a caller gives."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from rsdetect.errors import InputError, SceneError
from rsdetect.scenes.band_files import BandFiles
from rsdetect.scenes.given import find_files
from rsdetect.scenes.header import Header, read_header
from rsdetect.scenes.products import open_product
from rsdetect.scenes.source import Source
from rsdetect.scenes.stac_item import stack_item
from rsdetect.scenes.stacking import with_nodata
from rsdetect.scenes.validity import Nodata


def open_source(scene: Any, role: str = "scene", nodata: Nodata = "auto") -> str | BandFiles | Source:
    """Open the source of a scene: a path for GDAL, its band files, or a source of pixels.

    Parameters
    ----------
    scene
        A `SceneLike`; anything else is refused.
    role
        Name in messages for a scene without a name: "before", "after".
    nodata
        Of the user, by which bands of a coarser grid are warped.

    Raises
    ------
    SceneError
        The value is not a scene, or cannot be compared.
    """
    source = _open(scene, role)
    return with_nodata(source, nodata) if isinstance(source, BandFiles) else source


def _open(scene: Any, role: str) -> str | BandFiles | Source:
    if isinstance(scene, str | os.PathLike):
        path = os.fspath(scene)
        return open_product(path) or path
    if _is_a(scene, "rasterio._base", "DatasetBase"):
        from rsdetect.scenes.datasets import dataset_source

        return dataset_source(scene, role)
    if _is_a(scene, "xarray", "DataArray"):
        from rsdetect.scenes.arrays import DataArraySource

        return DataArraySource.of(scene, role)
    if _is_a(scene, "xarray", "Dataset"):
        nodata = next((each.attrs["nodata"] for each in scene.values() if "nodata" in each.attrs), None)
        kept = "" if nodata is None else f".assign_attrs(nodata={nodata})"  # which to_array loses
        raise SceneError(f"{role} is an xarray Dataset; give one array: dataset.to_array('band'){kept}.")
    if _is_a(scene, "pystac", "Item"):
        return stack_item(scene)
    if isinstance(scene, BandFiles | Mapping | list | tuple):
        return find_files(scene)
    if isinstance(scene, Source):
        return scene
    raise SceneError(
        f"{role} is of type {type(scene).__name__}; give a path, a list or mapping of band files, an open "
        "rasterio dataset, an xarray DataArray (with dims y, x and a CRS), or an object with the methods of "
        "rsdetect.scenes.source.Source."
    )


def header_of(source: str | BandFiles | Source, *, align: bool = False) -> Header:
    """Header of an opened source; with `align` also of a file that only ground control points place."""
    return read_header(source, align=align) if isinstance(source, str | BandFiles) else source.header()


def require_sendable(*sources: Source | None) -> None:
    """Refuse opened sources that the workers of a cluster cannot read.

    Raises
    ------
    InputError
        The pixels of a source are in this process.
    """
    for source in sources:
        if source is not None and source.in_process:
            raise InputError(
                f"the pixels of {source.name} are in this process, where the workers of `scheduler` cannot "
                "read them: write the scene to a file that all workers see and give its path, or leave "
                "`scheduler` out."
            )


def _is_a(scene: Any, module: str, name: str) -> bool:
    """True for an instance of a class whose package may not be imported."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(scene, kind)
