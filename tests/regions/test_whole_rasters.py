"""Tracing in blocks equals polygonizing the whole raster at once, geometry by geometry."""

from __future__ import annotations

from collections import Counter

import numpy as np
import rasterio.features
import shapely
import shapely.geometry
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from rsdetect.grid import Grid
from rsdetect.regions.pieces import Layers
from rsdetect.regions.trace import TraceOptions, trace_footprint, trace_regions

PLAIN = Affine.identity()


class ArrayRaster:
    def __init__(self, values):
        self.values = values
        self.grid = Grid(None, PLAIN, *values.shape)

    def read(self, window):
        return self.values[window.slices_in(self.grid.window)]


def _noise(rng, rows, cols):
    return rng.random(rows.shape) < rng.random()


def _checkerboard(rng, rows, cols):
    return ((rows + cols) % 2 == 0) ^ (rng.random(rows.shape) < rng.choice([0, 0.1]))


def _nested_rings(rng, rows, cols):
    distance = np.maximum(abs(rows - rng.integers(40)), abs(cols - rng.integers(40)))
    return (distance // rng.integers(1, 4)) % 2 == 0


def _diamonds(rng, rows, cols):
    return (abs(rows - rng.integers(40)) + abs(cols - rng.integers(40))) % rng.integers(2, 6) < 2


def _blobs(rng, rows, cols):
    return ndimage.uniform_filter(rng.random(rows.shape), 3) > rng.uniform(0.3, 0.6)


@st.composite
def percent_rasters(draw):
    shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pattern = draw(st.sampled_from([_noise, _checkerboard, _nested_rings, _diamonds, _blobs]))
    inside = pattern(rng, *np.indices(shape))
    values = np.where(inside, rng.integers(50, 101, shape), rng.integers(0, 50, shape)).astype(np.uint8)
    values[rng.random(shape) < draw(st.sampled_from([0, 0.02, 0.3]))] = 255
    return values


cuts = st.builds(TraceOptions, block_size=st.integers(1, 45), workers=st.integers(1, 3))


def whole_polygons(inside):
    shapes = rasterio.features.shapes(inside.astype(np.uint8), mask=inside, connectivity=4, transform=PLAIN)
    polygons = np.array([shapely.geometry.shape(shape) for shape, _ in shapes], dtype=object)
    return shapely.normalize(polygons)


def as_text(polygons):
    return sorted(shapely.to_wkt(polygons, rounding_precision=-1))


@settings(max_examples=250, deadline=None)
@given(percent_rasters(), cuts)
def test_geometry_and_sums_equal_the_whole_raster(values, options):
    regions = trace_regions(ArrayRaster(values), 50, options=options)
    inside = (values >= 50) & (values != 255)
    assert as_text(regions.geometry) == as_text(whole_polygons(inside))
    assert shapely.is_valid(regions.geometry).all()
    # scipy numbers its labels by first pixel, which is the order promised.
    label, count = ndimage.label(inside)
    each = range(1, count + 1)
    np.testing.assert_array_equal(regions.pixels, ndimage.sum_labels(inside, label, each))
    np.testing.assert_allclose(regions.probability_mean, ndimage.mean(values, label, each) / 100)
    np.testing.assert_array_equal(
        regions.probability_max, np.array(ndimage.maximum(values, label, each)) / 100
    )
    np.testing.assert_array_equal(shapely.area(regions.geometry), regions.pixels)


@settings(max_examples=60, deadline=None)
@given(percent_rasters(), cuts, st.integers(1, 12))
def test_small_regions_are_left_out_after_joining(values, cut, least):
    everything = trace_regions(ArrayRaster(values), 50)
    options = TraceOptions(min_area=least, block_size=cut.block_size, workers=cut.workers)
    regions = trace_regions(ArrayRaster(values), 50, options=options)
    large = everything.pixels >= least
    assert regions.geometry.tolist() == everything.geometry[large].tolist()
    np.testing.assert_array_equal(regions.probability_mean, everything.probability_mean[large])


@settings(max_examples=60, deadline=None)
@given(percent_rasters(), cuts)
def test_the_cut_changes_nothing_not_even_the_order(values, options):
    rng = np.random.default_rng(0)
    change = rng.integers(-3000, 3000, (2, *values.shape)).astype(np.float32)
    change[:, rng.random(values.shape) < 0.2] = np.nan
    grid = Grid(None, PLAIN, *values.shape)

    def difference(window):
        return Layers(("b1", "b2"), change[(slice(None), *window.slices_in(grid.window))])

    cut = TraceOptions(block_size=options.block_size, workers=options.workers, difference=difference)
    one = trace_regions(ArrayRaster(values), 50, options=TraceOptions(difference=difference))
    other = trace_regions(ArrayRaster(values), 50, options=cut)
    assert one.geometry.tolist() == other.geometry.tolist()
    for name, means in one.differences.items():
        np.testing.assert_array_equal(means, other.differences[name])


@settings(max_examples=60, deadline=None)
@given(percent_rasters(), cuts)
def test_the_footprint_is_what_was_observed(values, options):
    footprint = trace_footprint(ArrayRaster(values), options)
    assert as_text(footprint.geometry) == as_text(whole_polygons(values != 255))


def contacts(polygons):
    """Points where two rings touch, of one region or of two."""
    rings = shapely.get_rings(polygons)
    passing = Counter(point for ring in rings for point in set(ring.coords))
    return {point for point, rings_there in passing.items() if rings_there > 1}


@settings(max_examples=60, deadline=None)
@given(percent_rasters(), st.floats(0.5, 6))
def test_simplified_regions_stay_valid_and_apart(values, tolerance):
    outlines = trace_regions(ArrayRaster(values), 50)
    regions = trace_regions(ArrayRaster(values), 50, options=TraceOptions(simplify=tolerance))
    assert shapely.is_valid(regions.geometry).all()
    np.testing.assert_array_equal(regions.pixels, outlines.pixels)
    assert shapely.coverage_is_valid(regions.geometry)
    for before, after in zip(outlines.geometry, regions.geometry, strict=True):
        assert not shapely.is_empty(after)
        corners = set(map(tuple, shapely.get_coordinates(before)))
        assert corners.issuperset(map(tuple, shapely.get_coordinates(after)))
    assert contacts(outlines.geometry) == contacts(regions.geometry)
