"""Find the source behind what a caller gives as a scene."""

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


def open_source(scene: Any, role: str = "scene") -> str | BandFiles | Source:
    """The path of a file that GDAL opens, the files of its bands, or the source that gives the pixels.

    Parameters
    ----------
    scene
        A `SceneLike`; anything else is refused.
    role
        What messages call a scene without a name of its own: "before", "after".

    Raises
    ------
    SceneError
        The scene is none, or cannot be compared.
    """
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
        kept = "" if nodata is None else f".assign_attrs(nodata={nodata})"  # which to_array would lose
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


def header_of(source: str | BandFiles | Source) -> Header:
    """The header of a file, of band files or of any other source."""
    return read_header(source) if isinstance(source, str | BandFiles) else source.header()


def require_sendable(*sources: Source | None) -> None:
    """Refuse what the workers of a cluster cannot read.

    Raises
    ------
    InputError
        The pixels of a source live in this process.
    """
    for source in sources:
        if source is not None and source.in_process:
            raise InputError(
                f"the pixels of {source.name} are in this process, where the workers of `scheduler` cannot "
                "read them: write the scene to a file that all workers see and give its path, or leave "
                "`scheduler` out."
            )


def _is_a(scene: Any, module: str, name: str) -> bool:
    """True for an instance of a class of a package that is perhaps not imported yet."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(scene, kind)
