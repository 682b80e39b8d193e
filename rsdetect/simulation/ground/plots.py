"""Plots of the districts: streets and lots on a local grid of each district, before and after."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array, IndexArray, UInt8Array, UInt32Array
from rsdetect.simulation.ground.catalogue import ENTRIES
from rsdetect.simulation.ground.districts import DistrictCells, Districts
from rsdetect.simulation.ground.land import PLOT_RULES, URBAN, Land
from rsdetect.simulation.noise import Frame, hashed, uniform
from rsdetect.simulation.salts import Salt

_STREET_M = np.array([PLOT_RULES[land].street for land in Land], dtype=np.float32)
_LENGTH_M = np.array([PLOT_RULES[land].length for land in Land], dtype=np.float32)
_DEPTH_M = np.array([PLOT_RULES[land].depth for land in Land], dtype=np.float32)
_NATURAL = (Land.FOREST, Land.RANGE, Land.LAKE)
_PER_BLOCK = np.array([PLOT_RULES[land].per_block for land in Land], dtype=np.float32)


@dataclass(frozen=True)
class Plots:
    """Plot of each pixel on one date; arrays are (height, width)."""

    land: UInt8Array
    entry: IndexArray  # `land * ENTRIES + entry`, into the catalogue
    key: UInt32Array  # hash of the plot, which seeds draws
    area: UInt32Array  # hash of the district
    along_m: Float32Array  # from the plot's middle, along the street
    away_m: Float32Array  # from the plot's front, away from the street
    length_m: Float32Array
    depth_m: Float32Array
    street: BoolArray
    street_m: Float32Array  # position across the street, from its middle; valid where `street`
    run_m: Float32Array  # position along the street
    width_m: Float32Array  # of the street
    cos: Float32Array  # of the street grid against east
    sin: Float32Array


def map_plots(districts: Districts, frame: Frame) -> tuple[Plots, Plots, BoolArray]:
    """Map pixels to plots before and after, and to the converted parts of districts (height, width)."""
    before, _ = _plots_on_date(districts, 0, frame)
    may = districts.cells.converts[districts.cell]
    if not may.any():
        return before, before, may
    after, middle = _plots_on_date(districts, 1, frame)
    normal_v, normal_u, offset = (districts.cells.cut[k][districts.cell] for k in range(3))
    # Settlements grow by whole plots; water and clearings ignore plots and have irregular outlines.
    planned = np.isin(after.land, URBAN)
    u = np.where(planned, middle[0], districts.east_m)
    v = np.where(planned, middle[1], districts.south_m)
    stray = np.where(planned, 0, 0.06 * np.abs(offset) + 8) * districts.stray
    converted = may & (v * normal_v + u * normal_u > offset + stray)
    parts = {
        f.name: np.where(converted, getattr(after, f.name), getattr(before, f.name)) for f in fields(Plots)
    }
    return before, Plots(**parts), converted


def _plots_on_date(
    districts: Districts, date: int, frame: Frame
) -> tuple[Plots, tuple[Float32Array, Float32Array]]:
    """Plots of every district with its land of `date`, and the centres of the plots."""
    cells, cell = districts.cells, districts.cell
    land = cells.land[date][cell]
    cos, sin = cells.angle[date][0][cell], cells.angle[date][1][cell]
    u, v = _street_coordinates(districts, cos, sin)
    # The edges of clearings and pastures are irregular.
    far_m = max(8.0, 2.0 * frame.gsd_m)
    astray = np.isin(land, _NATURAL) * districts.stray * np.float32(far_m)
    u, v = u + astray, v - astray
    length, depth, street_w = (table[cell] for table in _plot_measures(cells, date, frame.gsd_m))

    period = 2 * depth + street_w
    row = np.floor(v / period)
    across = v - row * period
    far = across - street_w >= depth
    # Two rows of plots back to back, each with a street in front.
    away = np.where(far, period - across, across - street_w)
    block = _PER_BLOCK[land] * length + street_w
    strip = 2 * row + far
    # Fields of neighbouring strips are not aligned; city blocks are.
    loose = (land <= Land.RANGE) * uniform(frame.seed, Salt.PLOT_OFFSET, cells.key[cell], strip)
    u = u + loose * block
    number = np.floor(u / block)
    inside = u - number * block - street_w
    plot = np.floor(inside / length)
    along = inside - (plot + np.float32(0.5)) * length
    key = hashed(frame.seed, Salt.PLOT_KEY, cells.key[cell], strip, number * 16 + plot, part=date)
    # Entries of the upper half of the catalogue may change, in a share of plots that varies by district.
    # Drawn independently of the plot's key, because the appearance follows from the key.
    busy = uniform(frame.seed, Salt.PLOT_BUSY, key) < cells.busy[cell]
    entry = (hashed(frame.seed, Salt.PLOT_ENTRY, key) % np.uint32(ENTRIES // 2)).astype(np.intp)
    entry += (ENTRIES // 2) * busy
    front = across < street_w
    plots = Plots(
        land=land,
        entry=land.astype(np.intp) * ENTRIES + entry,
        key=key,
        area=cells.key[cell] + np.uint32(date * 77777),
        along_m=along,
        away_m=away,
        length_m=length,
        depth_m=depth,
        street=front | ((inside < 0) & (land != Land.FARM)),
        street_m=np.where(front, across - street_w / 2, inside + street_w / 2),
        run_m=np.where(front, u, v),
        width_m=street_w,
        cos=cos,
        sin=sin,
    )
    middle = (u - loose * block - along, v + np.where(far, away - depth / 2, depth / 2 - away))
    return plots, middle


def _street_coordinates(
    districts: Districts, cos: Float32Array, sin: Float32Array
) -> tuple[Float32Array, Float32Array]:
    """Coordinates of each pixel along and across the streets of its plots, in metres."""
    u = districts.east_m * cos + districts.south_m * sin
    v = districts.south_m * cos - districts.east_m * sin
    bend = districts.cells.bend_m
    curve = np.divide(1.0, bend, out=np.zeros_like(bend), where=bend != 0)[districts.cell]
    # Streets on a large circle; second order is accurate enough.
    v = v + np.float32(0.5) * u * u * curve
    return u - u * v * curve, v


def _plot_measures(
    cells: DistrictCells, date: int, gsd_m: float
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Length and depth of the plots of each district, and width of its streets, in metres; (n,)."""
    land = cells.land[date]
    spans = []
    for number, table in enumerate((_LENGTH_M, _DEPTH_M, _STREET_M)):
        lot = uniform(0, Salt.PLOT_MEASURE, cells.key, part=number)
        spans.append(table[land, 0] + (table[land, 1] - table[land, 0]) * lot)
    street_w = np.where(spans[2] < 0.8 * gsd_m, np.float32(0), spans[2])
    return spans[0] * cells.size, spans[1] * cells.size, street_w
