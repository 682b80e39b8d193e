"""Pictures of scenes for a QGIS project: composites of bands, with one stretch for both dates."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NodataShadowWarning

from rsdetect.errors import RsdetectError
from rsdetect.geopackage.project import PictureBand
from rsdetect.paths import as_gdal_path
from rsdetect.scenes.band_files import absolute_path, archive_of
from rsdetect.scenes.handles import GDAL_ERRORS, open_raster, with_gdal_environment
from rsdetect.scenes.header import Header, read_header
from rsdetect.scenes.scene import Scene
from rsdetect.secrets import without_secrets

_COLOURS = (("True colour", ("red", "green", "blue")), ("Infrared", ("nir", "red", "green")))
_BROKEN: tuple[type[Exception], ...] = (RsdetectError, *GDAL_ERRORS)
_CUT = (2, 98)  # percent of the values between which a picture is stretched
_WINDOWS = 4  # along each side of a scene, from which the values are taken
_WINDOWS_AFAR = 2  # of a scene on a server
_EDGE = 128  # pixels of such a window
_STEP = 3  # of the rows and columns of a window, one is taken
_MIDDLE = 0.4  # brightness of a picture's median, by its gamma
_HIGHEST_GAMMA = 2.2


class ScenePicture:
    """Picture of a scene that QGIS can open: its composites, and a sample of the values of its bands."""

    def __init__(self, path: str, is_local: bool, header: Header) -> None:
        self.path, self.is_local = path, is_local
        self.composites = _composites(header)
        self.numbers = sorted({number for _, numbers in self.composites for number in numbers})
        with open_raster(path) as dataset:
            self.crs = dataset.crs.to_wkt() if dataset.crs else None
            self.kind = tuple(dataset.dtypes), tuple(dataset.scales), tuple(dataset.offsets)
            values = [
                _sample(dataset, number, _WINDOWS if is_local else _WINDOWS_AFAR) for number in self.numbers
            ]
        self.values: dict[int, NDArray[np.float64]] = dict(zip(self.numbers, values, strict=True))

    @classmethod
    def of(cls, scene: Scene) -> ScenePicture | None:
        """Picture of a scene; None if it is no single raster, or cannot be read any more."""
        if scene.source is not None or scene.files is not None or scene.control is not None:
            return None
        try:
            return cls(scene.path, scene.version is not None, read_header(scene.path))
        except _BROKEN:
            return None

    def is_like(self, other: ScenePicture) -> bool:
        """True for a picture with the same kind of numbers in the same bands."""
        return self.kind == other.kind and self.numbers == other.numbers

    def source(self, out: Path) -> str:
        """Source as QGIS opens it, relative to the folder `out` and without secrets."""
        if not self.is_local:
            return as_gdal_path(without_secrets(self.path))
        if archive_of(self.path):
            return absolute_path(self.path)
        try:
            return Path(os.path.relpath(self.path, out)).as_posix()
        except ValueError:  # on another drive
            return self.path


def _composites(header: Header) -> list[tuple[str, tuple[int, ...]]]:
    """Composites of a scene by the names of its bands: true colour and infrared, or the first bands."""
    numbers = {name: number for number, name in reversed(list(enumerate(header.names, 1)))}
    found = [
        (title, tuple(numbers[name] for name in names))
        for title, names in _COLOURS
        if all(name in numbers for name in names)
    ]
    count = len(header.dtypes) - (header.alpha is not None)
    return found or [("First bands", (1, 2, 3) if count >= 3 else (1,))]


@with_gdal_environment
def _sample(dataset: Any, number: int, windows: int) -> NDArray[np.float64]:
    """Sample of a band's valid values, as QGIS shows them (by the file's scale and offset)."""
    rows, cols = (_starts(length, windows) for length in (dataset.height, dataset.width))
    parts = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NodataShadowWarning)  # the mask decides, as in scoring
        for row in rows:
            for col in cols:
                window = ((row, min(row + _EDGE, dataset.height)), (col, min(col + _EDGE, dataset.width)))
                read = dataset.read(number, window=window, masked=True)
                parts.append(read[::_STEP, ::_STEP].compressed())
    values = np.concatenate(parts).astype(np.float64)
    values = values[np.isfinite(values)]
    scaled: NDArray[np.float64] = values * dataset.scales[number - 1] + dataset.offsets[number - 1]
    return scaled


def _starts(length: int, count: int) -> list[int]:
    return sorted({int(start) for start in np.linspace(0, max(length - _EDGE, 0), count)})


def stretched(numbers: Sequence[int], pictures: Sequence[ScenePicture]) -> list[PictureBand]:
    """Bands of a picture, with the cut of the values of all `pictures`."""
    bands = []
    for number in numbers:
        values = np.concatenate([picture.values[number] for picture in pictures])
        low, high = np.percentile(values, _CUT) if values.size else (0.0, 1.0)
        bands.append(PictureBand(number, float(low), float(high if high > low else low + 1)))
    return bands


def gamma_of(bands: Sequence[PictureBand], pictures: Sequence[ScenePicture]) -> float:
    """Gamma that brings the median of a dark picture to a middle brightness; 1 of a bright one.

    Clouds and bright roofs take much of the range between the cuts, and leave the ground dark.
    """
    shares = [
        np.clip((picture.values[band.number] - band.low) / (band.high - band.low), 0, 1)
        for band in bands
        for picture in pictures
    ]
    values = np.concatenate(shares)
    median = float(np.median(values)) if values.size else _MIDDLE
    if not 0 < median < _MIDDLE:
        return 1.0
    return round(min(_HIGHEST_GAMMA, float(np.log(median) / np.log(_MIDDLE))), 2)
