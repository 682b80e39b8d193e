"""Truth polygons, traced strip by strip, so that memory does not grow with the scene."""

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
from rsdetect.kinds.classes import PAIR_CODES
from rsdetect.kinds.columns import kind_columns
from rsdetect.regions.code_counts import CodeCounts
from rsdetect.regions.collected import TraceOptions
from rsdetect.regions.pieces import Layers
from rsdetect.regions.trace import trace_regions
from rsdetect.scenes.handles import gdal_window
from rsdetect.simulation.spec import ChangeKind

_KINDS = [kind for kind in ChangeKind if kind is not ChangeKind.NONE]
_NAMES = np.array([kind.name.lower() for kind in _KINDS], dtype=object)
_BAND_PIXELS = 16 << 20  # traced at a time; some hundred bytes each where everything changed
_BLOCK = 512  # edge of the blocks that are read


@dataclass(frozen=True)
class TruthPieces:
    """Truth regions, or parts of regions that continue in the next strip."""

    geometry: NDArray[np.object_]  # (n,) shapely Polygons in CRS units
    counts: NDArray[np.float64]  # (n, kinds) pixels of each `ChangeKind`, without NONE
    codes: NDArray[np.int64]  # (n, codes) pixels of each pair of land classes

    def at(self, which: NDArray[Any]) -> TruthPieces:
        """The truth pieces selected by an index or a mask."""
        return TruthPieces(self.geometry[which], self.counts[which], self.codes[which])

    def __add__(self, other: TruthPieces) -> TruthPieces:
        return TruthPieces(
            np.append(self.geometry, other.geometry),
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.codes, other.codes]),
        )


_NO_PIECES = TruthPieces(
    np.array([], dtype=object), np.zeros((0, len(_KINDS))), np.zeros((0, PAIR_CODES), np.int64)
)


class _TruthStrip:
    """Strip of rows of a band of an open file, as `trace_regions` reads it; for one thread."""

    def __init__(self, dataset: Any, grid: Grid, rows: Window, band: int = 1) -> None:
        self.grid = grid.crop(rows)
        self._dataset, self._rows, self._band = dataset, rows, band

    def read(self, window: Window) -> NDArray[np.uint8]:
        place = gdal_window(window.shifted(self._rows.row_off, 0))
        values: NDArray[np.uint8] = self._dataset.read(self._band, window=place)
        return values


def write_truth_polygons(
    truth: Path, kinds: Path, grid: Grid, target: Path, *, band_rows: int | None = None
) -> int:
    """Write the 4-connected changed regions of the raster `truth` to the layer `truth` of a new GeoPackage.

    Parameters
    ----------
    kinds
        A raster on the same grid of two bands: `ChangeKind`, a region's `kind` being its most frequent one;
        and codes of the land classes of both dates (`rsdetect.kinds.classes`), for the columns `land_kind`,
        `from_class` and `to_class`.
    grid
        Of both rasters; north up, in a projected CRS.
    band_rows
        Rows traced at a time; None = chosen by memory. The regions do not depend on it.

    Returns
    -------
    int
        The number of regions.
    """
    total = 0
    band_rows = band_rows or max(_BAND_PIXELS // grid.width // _BLOCK, 1) * _BLOCK
    with rasterio.open(truth) as truth_file, rasterio.open(kinds) as kinds_file:
        for regions in _closed_truth_regions(truth_file, kinds_file, grid, band_rows):
            if len(regions.geometry) or not total:
                _append_truth_regions(target, regions, grid, append=target.exists())
            total += len(regions.geometry)
    return total


def _closed_truth_regions(truth: Any, kinds: Any, grid: Grid, band_rows: int) -> Iterator[TruthPieces]:
    """Truth regions that no later strip can extend, strip by strip."""
    open_pieces = _NO_PIECES
    for rows in grid.window.blocks(band_rows, grid.width):
        traced = _trace_truth(
            _TruthStrip(truth, grid, rows),
            _TruthStrip(kinds, grid, rows),
            _TruthStrip(kinds, grid, rows, band=2),
        )
        _, bottom, _, top = grid.crop(rows).bounds
        bounds = shapely.bounds(traced.geometry).reshape(-1, 4)
        joins = (bounds[:, 3] >= top) & (rows.row_off > 0)
        met = _join_truth_pieces(open_pieces + traced.at(joins))
        pieces = met + traced.at(~joins)
        low = shapely.bounds(pieces.geometry).reshape(-1, 4)[:, 1] <= bottom
        ends = low & (rows.row_end < grid.height)
        yield pieces.at(~ends)
        open_pieces = pieces.at(ends)


def _trace_truth(truth: _TruthStrip, kinds: _TruthStrip, land: _TruthStrip) -> TruthPieces:
    def shares(window: Window) -> Layers:
        code = kinds.read(window)
        values = np.stack([code == kind for kind in _KINDS]).astype(np.float32)
        return Layers(tuple(_NAMES), values, land.read(window))

    regions = trace_regions(truth, 1, options=TraceOptions(block_size=_BLOCK, difference=shares))
    if not len(regions):
        return _NO_PIECES
    share = np.stack([regions.differences[name] for name in _NAMES], axis=1)
    codes = np.zeros((len(regions), PAIR_CODES), np.int64)
    codes[regions.codes.owner, regions.codes.code] = regions.codes.count
    return TruthPieces(regions.geometry, share * regions.pixels[:, None], codes)


def _join_truth_pieces(pieces: TruthPieces) -> TruthPieces:
    """Merge truth pieces that share an edge; pieces that only touch at a corner stay separate."""
    if not len(pieces.geometry):
        return pieces
    parts = shapely.get_parts(shapely.union_all(pieces.geometry))
    # Once normalised, the first vertex is a true corner, so no vertex remains where strips met.
    parts = shapely.normalize(shapely.simplify(shapely.normalize(parts), 0))
    inside = shapely.point_on_surface(pieces.geometry)
    piece, part = shapely.STRtree(parts).query(inside, predicate="intersects")
    assert len(piece) == len(pieces.geometry)
    counts = np.zeros((len(parts), len(_KINDS)))
    np.add.at(counts, part, pieces.counts[piece])
    codes = np.zeros((len(parts), PAIR_CODES), np.int64)
    np.add.at(codes, part, pieces.codes[piece])
    return TruthPieces(parts, counts, codes)


def _append_truth_regions(target: Path, regions: TruthPieces, grid: Grid, *, append: bool) -> None:
    pixels = np.rint(regions.counts.sum(axis=1)).astype(np.int64)
    owner, code = np.nonzero(regions.codes)
    land = kind_columns(CodeCounts(owner, code, regions.codes[owner, code]), pixels, least=0.0)
    pyogrio.raw.write(
        target,
        geometry=shapely.to_wkb(regions.geometry),
        field_data=[
            _NAMES[regions.counts.argmax(axis=1)],
            pixels,
            pixels * grid.pixel_area,
            land["kind"],
            land["from_class"],
            land["to_class"],
        ],
        fields=["kind", "pixels", "area_m2", "land_kind", "from_class", "to_class"],
        layer="truth",
        driver="GPKG",
        geometry_type="Polygon",
        crs=grid.crs,
        append=append,
        dataset_options=None if append else {"VERSION": "1.2"},
    )
