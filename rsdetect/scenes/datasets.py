"""Open rasterio datasets as scenes."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray
from rsdetect.errors import InputError, SceneError
from rsdetect.grid import Window
from rsdetect.scenes.band_files import file_version
from rsdetect.scenes.handles import gdal_window, with_gdal_environment
from rsdetect.scenes.header import Header, read_header, valid_header
from rsdetect.scenes.scene import read_unmasked
from rsdetect.scenes.source import Source

# Names of files that exist only in this process.
_IN_PROCESS = ("/vsimem/", "/vsipython", "/vsirio")


@with_gdal_environment
def dataset_source(dataset: Any, role: str) -> str | Source:
    """Path of an open dataset, if opening it gives the same scene; else a source for the dataset.

    Raises
    ------
    SceneError
        The dataset is closed, open for writing, or no raster to compare.
    """
    if dataset.closed:
        raise SceneError(f"the dataset {dataset.name} is closed; give its path, or open it again.")
    if dataset.mode != "r":
        raise SceneError(
            f"the dataset {dataset.name} is open for writing; close it and give its path, or open it with "
            "mode 'r'."
        )
    name = str(dataset.name)
    if dataset.driver != "MEM" and not any(prefix in name for prefix in _IN_PROCESS):
        try:
            found = read_header(name, align=True)
        except SceneError:
            pass  # a WarpedVRT, or another dataset whose name is not a path
        else:
            # Open options, such as an overview level, are lost with the path.
            if repr(found) == repr(valid_header(dataset, name, align=True)):
                return name
    return DatasetSource(dataset, f"{role} (dataset {name})")


@dataclass(frozen=True, eq=False)
class DatasetSource:
    """Source of an open dataset that only this process can read, one thread at a time, as GDAL requires."""

    dataset: Any
    name: str
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    @property
    def in_process(self) -> bool:
        """True: the dataset is open in this process."""
        return True

    def __reduce__(self) -> NoReturn:
        raise InputError(
            f"{self.name} cannot be sent to another process; write the scene to a file and give its path."
        )

    def header(self) -> Header:
        """Header of the open dataset."""
        return valid_header(self.dataset, self.name)

    @with_gdal_environment
    def read(self, window: Window, bands: tuple[int, ...]) -> tuple[NDArray[np.generic], BoolArray]:
        """Read bands of the open dataset, and their validity by nodata, mask band and alpha band."""
        with self._lock:
            return read_unmasked(self.dataset, bands, gdal_window(window))

    @with_gdal_environment
    def token(self) -> str:
        """Token of the open dataset: hash of the header and path of a warped file, else of all pixels."""
        dataset = self.dataset
        digest = hashlib.sha256(repr(valid_header(dataset, "")).encode())
        warped = getattr(dataset, "src_dataset", None)
        version = None if warped is None else file_version(str(warped.name))
        if warped is not None and version is not None:
            about = [str(warped.name), version, str(dataset.resampling), dataset.tolerance]
            digest.update(json.dumps(about).encode())
            return digest.hexdigest()
        bands = tuple(range(1, dataset.count + 1))
        with self._lock:
            for _, block in dataset.block_windows(1):
                place = gdal_window(Window(block.row_off, block.col_off, block.height, block.width))
                for part in read_unmasked(dataset, bands, place):
                    digest.update(part.tobytes())
        return digest.hexdigest()
