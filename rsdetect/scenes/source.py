"""Source protocol of scenes: any object with a header and pixels by window can be compared.

Files are read by `rsdetect.scenes.scene`, with handles by thread, shared blocks and warps.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, Union, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray
from rsdetect.grid import Window

if TYPE_CHECKING:
    from pystac import Item
    from rasterio.io import DatasetReader
    from xarray import DataArray

    from rsdetect.scenes.band_files import BandFiles
    from rsdetect.scenes.header import Header


@runtime_checkable
class Source(Protocol):
    """Source of one scene's pixels.

    A source is immutable and hashable, and picklable if `in_process` is False. `read` may be called by
    several threads concurrently.
    """

    @property
    def name(self) -> str:
        """Name of the source in messages and records; a file's path."""

    @property
    def in_process(self) -> bool:
        """True if the source's pixels are held or computed by this process only."""

    def header(self) -> Header:
        """Header of the source: grid, bands and other properties known without reading pixels.

        Raises
        ------
        SceneError
            The source is not a raster of real numbers on a regular grid.
        """

    def read(self, window: Window, bands: tuple[int, ...]) -> tuple[NDArray[np.generic], BoolArray]:
        """Read the source's pixels of a window inside the header's grid.

        Parameters
        ----------
        bands
            Numbers of the bands, 1 = first; one may be repeated.

        Returns
        -------
        values, valid
            (bands, height, width) of the source's dtype, or float32, and (height, width) bool, True where
            the pixel is data. Non-finite pixels and `nodatas` of the header need not be marked; the caller
            does both.
        """

    def token(self) -> str:
        """Token of the source; it changes if pixels or grid may have changed, and is equal in all processes.

        It identifies interrupted jobs, and may take as long as one pass over the pixels.
        """


PathLike: TypeAlias = str | os.PathLike[str]
SceneLike: TypeAlias = Union[
    PathLike,
    Sequence[PathLike],  # one file per band
    Mapping[str, PathLike],  # by band name
    "BandFiles",
    "Item",
    "DatasetReader",
    "DataArray",
    Source,
]
"""What `detect`, `score`, `check` and `open_pair` take as a scene."""
