"""The truth as polygons, traced band by band, so that memory does not grow with the scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import rasterio
import shapely
from numpy.typing import NDArray

from rsdetect.grid import Grid, Window
from rsdetect.regions.trace import TraceOptions, trace_regions
from rsdetect.scenes.handles import gdal_window
from rsdetect.simulation.spec import ChangeKind

_KINDS = [kind for kind in ChangeKind if kind is not ChangeKind.NONE]
_NAMES = np.array([kind.name.lower() for kind in _KINDS], dtype=object)
_BAND_PIXELS = 16 << 20  # traced at a time; some hundred bytes each where change is everywhere
_BLOCK = 512  # edge of the blocks that are read


@dataclass(frozen=True)
class Pieces:
    """Regions, or parts of regions that go on in the next band."""

    geometry: NDArray[np.object_]  # (n,) shapely Polygons in CRS units
    counts: NDArray[np.float64]  # (n, kinds) pixels of each `ChangeKind`, without NONE

    def at(self, which: NDArray[Any]) -> Pieces:
        """Those that an index or a mask selects."""
        return Pieces(self.geometry[which], self.counts[which])

    def __add__(self, other: Pieces) -> Pieces:
        return Pieces(np.append(self.geometry, other.geometry), np.concatenate([self.counts, other.counts]))


_NOTHING = Pieces(np.array([], dtype=object), np.zeros((0, len(_KINDS))))


class _Band:
    """Some rows of an open one-band file, as `trace_regions` wants it; for one thread."""

    def __init__(self, dataset: Any, grid: Grid, rows: Window) -> None:
        self.grid = grid.crop(rows)
        self._dataset, self._rows = dataset, rows

    def read(self, window: Window) -> NDArray[np.uint8]:
        place = gdal_window(window.shifted(self._rows.row_off, 0))
        values: NDArray[np.uint8] = self._dataset.read(1, window=place)
        return values


def write_truth_polygons(
    truth: Path, kinds: Path, grid: Grid, target: Path, *, band_rows: int | None = None
) -> int:
    """Write the 4-connected changed regions of the raster `truth` to the layer `truth` of a new GeoPackage.

    Parameters
    ----------
    kinds
        A raster of `ChangeKind` on the same grid; a region's `kind` is the one that most of it is.
    grid
        Of both rasters; north up, in a projected CRS.
    band_rows
        Rows that are traced at a time, None = as many as memory is well spent on; the regions do not
        depend on it.

    Returns
    -------
    int
        The number of regions.
    """
    total = 0
    band_rows = band_rows or max(_BAND_PIXELS // grid.width // _BLOCK, 1) * _BLOCK
    with rasterio.open(truth) as truth_file, rasterio.open(kinds) as kinds_file:
        for regions in _whole_regions(truth_file, kinds_file, grid, band_rows):
            if len(regions.geometry) or not total:
                _append(target, regions, grid, append=target.exists())
            total += len(regions.geometry)
    return total


def _whole_regions(truth: Any, kinds: Any, grid: Grid, band_rows: int) -> Iterator[Pieces]:
    """The regions that no later band can add to, band by band."""
    open_pieces = _NOTHING
    for rows in grid.window.blocks(band_rows, grid.width):
        traced = _trace(_Band(truth, grid, rows), _Band(kinds, grid, rows))
        _, bottom, _, top = grid.crop(rows).bounds
        bounds = shapely.bounds(traced.geometry).reshape(-1, 4)
        joins = (bounds[:, 3] >= top) & (rows.row_off > 0)
        met = _join(open_pieces + traced.at(joins))
        pieces = met + traced.at(~joins)
        low = shapely.bounds(pieces.geometry).reshape(-1, 4)[:, 1] <= bottom
        ends = low & (rows.row_end < grid.height)
        yield pieces.at(~ends)
        open_pieces = pieces.at(ends)


def _trace(truth: _Band, kinds: _Band) -> Pieces:
    def shares(window: Window) -> tuple[tuple[str, ...], NDArray[np.float32]]:
        code = kinds.read(window)
        return tuple(_NAMES), np.stack([code == kind for kind in _KINDS]).astype(np.float32)

    regions = trace_regions(truth, 1, options=TraceOptions(block_size=_BLOCK, difference=shares))
    if not len(regions):
        return _NOTHING
    share = np.stack([regions.differences[name] for name in _NAMES], axis=1)
    return Pieces(regions.geometry, share * regions.pixels[:, None])


def _join(pieces: Pieces) -> Pieces:
    """Make one region of pieces that share an edge; those that only touch at a corner stay apart."""
    if not len(pieces.geometry):
        return pieces
    parts = shapely.get_parts(shapely.union_all(pieces.geometry))
    # A first vertex is a true corner once normalised, so no vertex is left over where bands met.
    parts = shapely.normalize(shapely.simplify(shapely.normalize(parts), 0))
    inside = shapely.point_on_surface(pieces.geometry)
    piece, part = shapely.STRtree(parts).query(inside, predicate="intersects")
    assert len(piece) == len(pieces.geometry)
    counts = np.zeros((len(parts), len(_KINDS)))
    np.add.at(counts, part, pieces.counts[piece])
    return Pieces(parts, counts)


def _append(target: Path, regions: Pieces, grid: Grid, *, append: bool) -> None:
    pixels = np.rint(regions.counts.sum(axis=1)).astype(np.int64)
    pyogrio.raw.write(
        target,
        geometry=shapely.to_wkb(regions.geometry),
        field_data=[_NAMES[regions.counts.argmax(axis=1)], pixels, pixels * grid.pixel_area],
        fields=["kind", "pixels", "area_m2"],
        layer="truth",
        driver="GPKG",
        geometry_type="Polygon",
        crs=grid.crs,
        append=append,
        dataset_options=None if append else {"VERSION": "1.2"},
    )
