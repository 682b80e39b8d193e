"""Regions of small rasters whose answers can be worked by hand."""

from __future__ import annotations

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine

from rsdetect.grid import Grid, Window
from rsdetect.regions.pieces import Layers
from rsdetect.regions.trace import TraceOptions, trace_footprint, trace_regions

UTM = pyproj.CRS(32633).to_wkt()
ONE_M2 = 1 / 0.9996**2  # m2 on the ground of a square metre of UTM on its central meridian
PIXELS_10M = Affine(10, 0, 500000, 0, -10, 5300000)


class ArrayRaster:
    def __init__(self, values, crs=None, transform=None):
        self.values = np.asarray(values, np.uint8)
        self.grid = Grid(crs, Affine.identity() if transform is None else transform, *self.values.shape)
        self.windows: list[Window] = []

    def read(self, window: Window):
        self.windows.append(window)
        rows, cols = window.slices_in(self.grid.window)
        return self.values[rows, cols]


def polygon(text):
    return shapely.normalize(shapely.from_wkt(text))


def test_one_pixel_in_the_middle_of_nine():
    raster = ArrayRaster([[0, 0, 0], [0, 80, 0], [0, 0, 0]], UTM, PIXELS_10M)
    regions = trace_regions(raster, 50)
    square = "POLYGON ((500010 5299990, 500020 5299990, 500020 5299980, 500010 5299980, 500010 5299990))"
    assert regions.geometry.tolist() == [polygon(square)]
    assert regions.pixels.tolist() == [1]
    np.testing.assert_allclose(regions.area_m2, [100 * ONE_M2])
    np.testing.assert_allclose(regions.perimeter_m, [40 * ONE_M2**0.5])
    assert regions.probability_mean.tolist() == [0.8]
    assert regions.probability_max.tolist() == [0.8]


def test_a_hole_and_its_own_island():
    values = np.full((5, 5), 60)
    values[1:4, 1:4] = 0
    values[2, 2] = 90
    regions = trace_regions(ArrayRaster(values, UTM, PIXELS_10M), 50, options=TraceOptions(block_size=2))
    assert regions.pixels.tolist() == [16, 1]
    np.testing.assert_allclose(regions.area_m2, [1600 * ONE_M2, 100 * ONE_M2])
    np.testing.assert_allclose(regions.perimeter_m, [320 * ONE_M2**0.5, 40 * ONE_M2**0.5])
    assert len(regions.geometry[0].interiors) == 1
    np.testing.assert_allclose(regions.probability_mean, [0.6, 0.9])


def test_diagonal_pixels_are_two_regions():
    regions = trace_regions(ArrayRaster([[70, 0], [0, 90]]), 50)
    assert regions.geometry.tolist() == [
        polygon("POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0))"),
        polygon("POLYGON ((1 1, 2 1, 2 2, 1 2, 1 1))"),
    ]
    assert regions.probability_max.tolist() == [0.7, 0.9]


def test_a_loop_closed_by_a_diagonal_has_a_hole_that_touches_its_outline():
    values = [[99, 99, 99], [99, 0, 99], [0, 99, 99]]
    for block_size in (1, 2, 3):
        regions = trace_regions(ArrayRaster(values), 50, options=TraceOptions(block_size=block_size))
        assert regions.geometry.tolist() == [
            polygon("POLYGON ((0 0, 3 0, 3 3, 1 3, 1 2, 0 2, 0 0), (1 1, 1 2, 2 2, 2 1, 1 1))")
        ]
        assert regions.geometry[0].is_valid


def test_not_observed_is_no_change_and_no_footprint():
    raster = ArrayRaster([[255, 100, 0]])
    assert trace_regions(raster, 1).pixels.tolist() == [1]
    assert trace_regions(raster, 0).pixels.tolist() == [2]
    assert trace_footprint(raster).geometry.tolist() == [polygon("POLYGON ((1 0, 3 0, 3 1, 1 1, 1 0))")]


def test_the_minimum_area_counts_the_joined_region():
    row = ArrayRaster([[100] * 6 + [0, 100, 100]], UTM, PIXELS_10M)
    regions = trace_regions(row, 50, options=TraceOptions(min_area=600, block_size=2))
    assert regions.pixels.tolist() == [6]
    assert len(trace_regions(row, 50, options=TraceOptions(min_area=601, block_size=2))) == 0


def test_the_minimum_area_is_in_pixels_without_a_crs_and_there_are_no_metres():
    raster = ArrayRaster([[100, 100, 0, 100]], None, Affine.scale(3))
    regions = trace_regions(raster, 50, options=TraceOptions(min_area=2))
    assert regions.pixels.tolist() == [2]
    assert np.isnan(regions.area_m2).all()
    assert np.isnan(regions.perimeter_m).all()


@pytest.mark.parametrize("workers", [1, 3])
def test_differences_are_means_over_the_known_pixels(workers):
    change = np.array([[[1, 2, np.nan, 7, 9]], [[np.nan] * 5]], np.float32)
    asked = []

    def difference(window):
        asked.append(window)
        rows, cols = window.slices_in(Window(0, 0, 1, 5))
        return Layers(("red", "nir"), change[:, rows, cols])

    raster = ArrayRaster([[100, 100, 100, 0, 0]])
    options = TraceOptions(block_size=2, workers=workers, difference=difference)
    regions = trace_regions(raster, 50, options=options)
    assert list(regions.differences) == ["red", "nir"]
    assert regions.differences["red"].tolist() == [1.5]
    assert np.isnan(regions.differences["nir"]).all()
    assert sorted(window.col_off for window in asked) == [0, 2]  # not the block without change


def test_no_region_gives_empty_columns():
    regions = trace_regions(ArrayRaster(np.zeros((4, 4)), UTM, PIXELS_10M), 50)
    assert len(regions) == 0
    for column in (regions.geometry, regions.pixels, regions.area_m2, regions.probability_mean):
        assert column.shape == (0,)
    assert regions.differences == {}


def test_every_pixel_is_read_once():
    raster = ArrayRaster(np.full((10, 7), 100))
    trace_regions(raster, 50, options=TraceOptions(block_size=4, workers=2))
    reads = np.zeros((10, 7), int)
    for window in raster.windows:
        reads[window.slices_in(raster.grid.window)] += 1
    assert (reads == 1).all()


def test_blocks_are_not_read_far_ahead_of_the_slowest(monkeypatch):
    """The first block is not read before its pieces are waited for; no more is submitted until then."""
    submitted, ahead, asked = [], [], threading.Event()

    class Counting(ThreadPoolExecutor):
        def submit(self, *task):
            future = super().submit(*task)
            genuine = future.result

            def result():
                asked.set()
                return genuine()

            future.result = result
            submitted.append(task)
            return future

    class Slow(ArrayRaster):
        def read(self, window):
            if window.col_off == 0:
                assert asked.wait(60)
                ahead.append(len(submitted))
            return super().read(window)

    monkeypatch.setattr("rsdetect.regions.seams.ThreadPoolExecutor", Counting)
    raster = Slow(np.full((1, 100), 100))
    trace_regions(raster, 50, options=TraceOptions(block_size=1, workers=2))
    assert ahead[0] <= 6
    assert len(raster.windows) == len(submitted) == 100


def test_an_error_while_reading_comes_through():
    class Broken(ArrayRaster):
        def read(self, window):
            if window.col_off == 3:
                raise OSError("block 3 is broken")
            return super().read(window)

    with pytest.raises(OSError, match="block 3"):
        trace_regions(Broken(np.full((1, 9), 100)), 50, options=TraceOptions(block_size=1, workers=2))


@pytest.mark.parametrize(
    "transform",
    [
        Affine(10, 0, 500000, 0, 10, 5300000),  # south-up
        Affine.translation(500000, 5300000) @ Affine.rotation(30) @ Affine.scale(10, -10),
    ],
)
def test_south_up_and_rotated_grids(transform):
    values = np.full((4, 4), 90)
    values[1:3, 1] = 0
    regions = trace_regions(ArrayRaster(values, UTM, transform), 50, options=TraceOptions(block_size=3))
    outline = [transform @ point for point in ((0, 0), (4, 0), (4, 4), (0, 4))]
    hole = [transform @ point for point in ((1, 1), (2, 1), (2, 3), (1, 3))]
    expected = shapely.normalize(shapely.Polygon(outline, [hole]))
    assert shapely.equals_exact(regions.geometry[0], expected, tolerance=1e-6)
    np.testing.assert_allclose(regions.area_m2, [1400 * ONE_M2])
    np.testing.assert_allclose(regions.perimeter_m, [220 * ONE_M2**0.5])


def test_memory_does_not_grow_with_the_raster():
    class Endless(ArrayRaster):
        """One small change in each of a few blocks, and never an array of the whole raster."""

        def __init__(self, blocks):
            self.grid = Grid(UTM, PIXELS_10M, 64 * blocks, 64 * blocks)

        def read(self, window):
            values = np.zeros(window.shape, np.uint8)
            if (window.row_off + window.col_off) % (16 * 64) == 0:
                values[5:9, 5:9] = 90
            return values

    def peak(blocks):
        tracemalloc.start()
        regions = trace_regions(Endless(blocks), 50, options=TraceOptions(block_size=64, workers=2))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(regions) == pytest.approx(blocks**2 / 16, rel=0.1)
        return most

    peak(16)  # what is allocated once only
    assert peak(64) < 4e6 < 64**2 * 64**2


def test_noise_below_the_minimum_area_does_not_fill_the_memory():
    noise = ArrayRaster((np.random.default_rng(5).random((640, 640)) < 0.05) * 90)

    def peak(min_area):
        tracemalloc.start()
        trace_regions(noise, 50, options=TraceOptions(block_size=64, min_area=min_area))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(30) < peak(0) / 5
