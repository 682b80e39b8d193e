"""Steps after tracing equal those on the whole raster, made by scipy, shapely and pyproj, for any blocks."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from rsdetect.grid import Grid
from rsdetect.regions.collected import TraceOptions
from rsdetect.regions.merging import near_regions
from rsdetect.regions.shape import shapes_of
from rsdetect.regions.trace import trace_changes_and_footprint, trace_regions

PLAIN = Affine.identity()
UTM = pyproj.CRS(32633).to_wkt()
PIXELS_10M = Affine(10, 0, 500000, 0, -10, 5300000)


class ArrayRaster:
    def __init__(self, values, crs=None, transform=PLAIN):
        self.values = np.asarray(values, np.uint8)
        self.grid = Grid(crs, transform, *self.values.shape)

    def read(self, window):
        return self.values[window.slices_in(self.grid.window)]


@st.composite
def rasters(draw):
    shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, cols = np.indices(shape)
    rings = (np.maximum(abs(rows - 15), abs(cols - 18)) // rng.integers(1, 4)) % 2 == 0
    inside = draw(
        st.sampled_from(
            [
                rng.random(shape) < rng.random(),
                ndimage.uniform_filter(rng.random(shape), 3) > rng.uniform(0.4, 0.6),
                rings ^ (rng.random(shape) < 0.05),
            ]
        )
    )
    values = np.where(inside, rng.integers(50, 101, shape), 10).astype(np.uint8)
    values[rng.random(shape) < 0.03] = 255
    return values


def traced(values, cut, **options):
    """The regions with these options, which must be the same in one block."""
    found = trace_regions(
        ArrayRaster(values), 50, options=TraceOptions(block_size=cut, workers=1 + cut % 2, **options)
    )
    whole = trace_regions(ArrayRaster(values), 50, options=TraceOptions(**options))
    assert found.geometry.tolist() == whole.geometry.tolist()
    assert found.steps == whole.steps
    np.testing.assert_array_equal(found.probability_mean, whole.probability_mean)
    changed = int(((values >= 50) & (values != 255)).sum())
    assert sum(step["pixels"] for step in found.steps) == found.pixels.sum(), "a step is not reported"
    assert found.steps[0]["pixels"] == found.counted == changed
    return found


def drawn(regions, shape):
    """How many regions cover each pixel, by shapely at the pixels' centres."""
    rows, cols = np.indices(shape)
    points = shapely.points(cols.ravel() + 0.5, rows.ravel() + 0.5)
    parts = shapely.get_parts(regions.geometry)
    hits = shapely.STRtree(points).query(parts, predicate="contains")[1]
    return np.bincount(hits, minlength=points.size).reshape(shape)


@settings(max_examples=20, deadline=None)
@given(rasters(), st.integers(1, 45), st.integers(1, 3), st.integers(0, 20))
def test_opening_is_that_of_the_whole_raster_and_no_region_is_too_small(values, cut, radius, least):
    regions = traced(values, cut, opening=radius, min_area=least)
    inside = (values >= 50) & (values != 255)
    opened = ndimage.binary_opening(inside, np.ones((2 * radius + 1,) * 2))
    label, count = ndimage.label(opened)
    sizes = ndimage.sum_labels(opened, label, range(1, count + 1)).astype(int)
    np.testing.assert_array_equal(
        drawn(regions, values.shape), np.isin(label, 1 + np.flatnonzero(sizes >= least)) & opened
    )
    assert regions.pixels.tolist() == sizes[sizes >= least].tolist()
    assert regions.opened == inside.sum() - opened.sum()


def test_the_footprint_is_not_opened():
    values = np.full((9, 9), 255)
    values[4] = 90
    options = TraceOptions(opening=1, block_size=3)
    changes, footprint = trace_changes_and_footprint(ArrayRaster(values), 50, options)
    assert (len(changes), footprint.pixels.tolist()) == (0, [9])


def filled_by_scipy(values, below):
    """Label of the regions once all their holes under an area are filled, what lies inside joined."""
    inside = (values >= 50) & (values != 255)
    label, count = ndimage.label(inside)
    result = label.copy()
    for number in range(count, 0, -1):  # an outer region comes before those inside of it
        holes, several = ndimage.label(np.pad(label != number, 1, constant_values=True))
        for hole in range(1, several + 1):
            here = (holes == hole)[1:-1, 1:-1]
            if holes[0, 0] != hole and here.sum() < below:
                result[here] = number
    return result, inside


@settings(max_examples=20, deadline=None)
@given(rasters(), st.integers(1, 45), st.sampled_from([1.0, 2.0, 5.0, 40.0, 1e9]))
def test_filled_holes_are_those_of_the_whole_raster(values, cut, below):
    regions = traced(values, cut, fill_holes=below)
    label, inside = filled_by_scipy(values, below)
    numbers = np.unique(label[label > 0]).tolist()
    np.testing.assert_array_equal(drawn(regions, values.shape), label > 0)
    assert shapely.area(regions.geometry).tolist() == [(label == number).sum() for number in numbers]
    assert regions.pixels.tolist() == [((label == number) & inside).sum() for number in numbers]
    assert shapely.is_valid(regions.geometry).all()
    assert regions.steps[-1]["filled_pixels"] == (label > 0).sum() - inside.sum()


@settings(max_examples=20, deadline=None)
@given(rasters(), st.integers(1, 45), st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0, 8.0]))
def test_merged_regions_are_those_that_a_chain_of_distances_joins(values, cut, gap):
    merged, single = traced(values, cut, merge_gap=gap), traced(values, cut)
    apart = shapely.distance(single.geometry[:, None], single.geometry[None, :])
    from scipy.sparse.csgraph import connected_components

    count, group = connected_components(apart < gap, directed=False)
    assert len(merged) == count
    first = np.unique(group, return_index=True)[1]
    for geometry, pixels, number in zip(merged.geometry, merged.pixels, group[np.sort(first)], strict=True):
        assert set(shapely.get_parts(geometry).tolist()) == set(single.geometry[group == number].tolist())
        assert pixels == single.pixels[group == number].sum()
    assert shapely.is_valid(merged.geometry).all()


@settings(max_examples=20, deadline=None)
@given(rasters(), st.integers(1, 45), st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.5]))
def test_slivers_hold_no_circle_of_the_minimum_width(values, cut, least):
    kept = set(traced(values, cut, min_width=least).geometry.tolist())
    for region in traced(values, cut).geometry:
        # A circle fits where what is left after a step inwards is not empty.
        assert (region in kept) or region.buffer(-least / 2 - 0.02).is_empty
        assert (region not in kept) or not region.buffer(-least / 2 + 0.02).is_empty


@settings(max_examples=20, deadline=None)
@given(rasters(), st.integers(1, 45))
def test_all_steps_together_are_valid_and_reported(values, cut):
    asked = {"opening": 1, "min_area": 4, "fill_holes": 6, "min_width": 3, "merge_gap": 2.5, "simplify": 1.5}
    regions = traced(values, cut, **asked)
    assert [step["step"] for step in regions.steps] == ["threshold", *asked]
    assert shapely.is_valid(regions.geometry).all()


def test_gaps_are_distances_on_the_ground():
    values = np.zeros((1, 8))
    values[0, [0, 2, 5]] = 90
    for crs, transform in (
        (32633, PIXELS_10M),
        (3857, Affine(10, 0, 1e6, 0, -10, 6.8e6)),  # 52 degrees north: 10 m are 6.2 m on the ground
        (4326, Affine(1e-4, 0, 15, 0, -1e-4, 60)),  # 5.6 m
    ):
        raster = ArrayRaster(values, pyproj.CRS(crs).to_wkt(), transform)
        (x, y), (x2, _) = (transform @ (column, 0.5) for column in (1, 2))
        longitudes, latitudes = pyproj.Transformer.from_crs(crs, 4326, always_xy=True).transform(
            [x, x2], [y, y]
        )
        _, _, metres = pyproj.Geod(ellps="WGS84").inv(
            longitudes[0], latitudes[0], longitudes[1], latitudes[1]
        )
        for gap, features in ((0.999, 3), (1.001, 2), (1.999, 2), (2.001, 1)):
            merged = trace_regions(raster, 50, options=TraceOptions(merge_gap=gap * metres))
            assert len(merged) == features, (crs, gap)
        assert merged.area_m2 == pytest.approx(trace_regions(raster, 50).area_m2.sum())


def test_a_gap_that_equals_the_distance_is_no_smaller_one():
    row = ArrayRaster([[90, 0, 90]])
    assert len(trace_regions(row, 50, options=TraceOptions(merge_gap=1))) == 2
    assert len(trace_regions(row, 50, options=TraceOptions(merge_gap=1.01))) == 1


def test_a_region_of_many_corners_is_merged_at_once():
    comb = np.zeros((60, 2000))
    comb[:50, ::2] = 90
    comb[0] = 90
    comb[54, ::3] = 90
    geometry = trace_regions(ArrayRaster(comb), 50).geometry
    count, _ = near_regions(geometry, Grid(None, PLAIN, *comb.shape), 6)
    assert len(geometry) > 600 and count == 1


def test_shapes_are_those_of_rectangles_on_the_ground():
    values = np.zeros((40, 40))
    values[5:9, 5:25] = 90  # 40 m by 200 m, to the east
    values[15:35, 5:8] = 90  # 30 m by 200 m, to the north
    values[17:20, 6] = 0
    values[30, 30] = 90
    regions = trace_regions(ArrayRaster(values, UTM, PIXELS_10M), 50)
    shapes = shapes_of(regions.geometry, ArrayRaster(values, UTM, PIXELS_10M).grid)
    ground = 1 / 0.9996
    np.testing.assert_allclose(shapes.length_m, np.array([200, 200, 10]) * ground, rtol=1e-6)
    np.testing.assert_allclose(shapes.width_m, np.array([40, 30, 10]) * ground, atol=0.2)
    np.testing.assert_allclose(shapes.compactness, 4 * np.pi * regions.area_m2 / regions.perimeter_m**2)
    assert shapes.orientation_deg[:2] == pytest.approx([90, 0], abs=0.1)
    assert np.isnan(shapes.orientation_deg[2])
    assert shapes.holes.tolist() == [0, 1, 0]


@pytest.mark.parametrize("degrees", [0, 25, 90, 140])
def test_orientation_is_clockwise_from_north_whatever_the_grid(degrees):
    values = np.zeros((30, 30))
    values[2:28, 12:15] = 90  # upwards in the grid
    turned = Affine.translation(500000, 5300000) @ Affine.rotation(-degrees) @ Affine.scale(10, -10)
    raster = ArrayRaster(values, UTM, turned)
    shapes = shapes_of(trace_regions(raster, 50).geometry, raster.grid)
    assert shapes.orientation_deg[0] == pytest.approx(degrees, abs=0.1)
    assert shapes.length_m[0] == pytest.approx(260, rel=1e-3)


def test_without_a_crs_there_are_no_metres_but_a_shape():
    raster = ArrayRaster([[90, 90, 90]], None, Affine.scale(3, -3))
    shapes = shapes_of(trace_regions(raster, 50).geometry, raster.grid)
    assert np.isnan([*shapes.length_m, *shapes.width_m]).all()
    assert shapes.compactness == pytest.approx(4 * np.pi * 3 / 64)
    assert shapes.orientation_deg == pytest.approx(90)
    assert len(trace_regions(raster, 50, options=TraceOptions(min_width=1.0))) == 1
    assert len(trace_regions(raster, 50, options=TraceOptions(min_width=1.1))) == 0
