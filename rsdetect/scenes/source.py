"""The seam for scenes: whatever has a header and gives pixels by window can be compared.

Files are read by `rsdetect.scenes.scene`, with handles by thread, shared blocks and warps.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union, runtime_checkable

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
    """One scene, wherever its pixels are.

    A source is immutable and hashable; where `in_process` is False it pickles. `read` may be called by
    several threads at once.
    """

    @property
    def name(self) -> str:
        """What messages and records call the scene; a file's path."""

    @property
    def in_process(self) -> bool:
        """True when the pixels are held or computed by this process, so that no other can read them."""

    def header(self) -> Header:
        """Grid, bands and whatever else is known without reading pixels.

        Raises
        ------
        SceneError
            This is no raster of real numbers on a regular grid.
        """

    def read(self, window: Window, bands: tuple[int, ...]) -> tuple[NDArray[Any], BoolArray]:
        """The pixels of a window that lies inside the header's grid.

        Parameters
        ----------
        bands
            Numbers of the bands, 1 = first; one may be repeated.

        Returns
        -------
        values, valid
            (bands, height, width) of the source's dtype, or float32, and (height, width) bool, True where
            the pixel is data. Neither what is not finite need be marked nor what `nodatas` of the header
            says; the caller does both.
        """

    def token(self) -> str:
        """What changes whenever the pixels or the grid may have changed; the same in another process.

        An interrupted job is resumed by it. It may take as long as one pass over the pixels.
        """


PathLike: TypeAlias = str | os.PathLike[str]
SceneLike: TypeAlias = Union[
    PathLike,
    Sequence[PathLike],  # a file a band
    Mapping[str, PathLike],  # the same by the names of the bands
    "BandFiles",
    "Item",
    "DatasetReader",
    "DataArray",
    Source,
]
"""What `detect`, `score`, `check` and `open_pair` take as a scene."""
