"""The change raster: a Cloud-Optimized GeoTIFF by everybody's measure, whole or not there."""

import subprocess

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rio_cogeo.cogeo import cog_validate

from rsdetect.errors import JobInterrupted, ReadError
from rsdetect.grid import Grid, Window
from rsdetect.scoring.raster import ProbabilityRaster, finish_raster
from rsdetect.scoring.store import WorkStore
from rsdetect.tiles import plan_tiles
from support.scenes import TEN_METRES, UTM

WKT = rasterio.CRS.from_string(UTM).to_wkt()


def stored(folder, percent, tile_size=64, crs=WKT, transform=TEN_METRES):
    plan = plan_tiles(Grid(crs, transform, *percent.shape), tile_size, 0, 1)
    store = WorkStore(folder / "work")
    store.create()
    for tile in plan:
        rows, cols = tile.core.slices_in(plan.grid.window)
        store.put(tile, percent[rows, cols])
    return store, plan


def random_percent(height, width, seed=0):
    percent = np.random.default_rng(seed).integers(0, 101, (height, width)).astype(np.uint8)
    percent[: height // 4, : width // 3] = 255
    return percent


@pytest.fixture
def finished(tmp_path):
    def finish(percent, **how):
        store, plan = stored(tmp_path, percent, **how)
        finish_raster(store, plan.grid, plan, tmp_path / "p.tif")
        return tmp_path / "p.tif"

    return finish


@pytest.mark.parametrize("shape", [(1, 1), (70, 130), (512, 512), (600, 1300)])
def test_it_is_a_valid_cloud_optimised_geotiff_of_any_size(finished, shape):
    path = finished(random_percent(*shape))
    valid, errors, warnings = cog_validate(path, quiet=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(path) as raster:
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_its_pixels_are_the_tiles(finished):
    percent = random_percent(600, 1300)
    with rasterio.open(finished(percent, tile_size=250)) as raster:
        np.testing.assert_array_equal(raster.read(1), percent)


def test_it_describes_its_values(finished):
    with rasterio.open(finished(random_percent(70, 90))) as raster:
        assert raster.profile["dtype"] == "uint8"
        assert (raster.nodata, raster.scales, raster.offsets) == (255, (0.01,), (0.0,))
        assert raster.descriptions == ("change probability",)
        assert (raster.crs.to_epsg(), raster.transform) == (32632, TEN_METRES)


def test_overviews_are_means_of_what_was_observed(finished):
    percent = random_percent(1024, 1024)
    with rasterio.open(finished(percent)) as raster:
        assert raster.overviews(1) == [2]
        small = raster.read(1, out_shape=(512, 512), resampling=Resampling.nearest)
    blocks = np.where(percent == 255, np.nan, percent.astype(float)).reshape(512, 2, 512, 2)
    with np.errstate(all="ignore"):
        observed = np.isfinite(blocks)
        mean = np.nansum(blocks, axis=(1, 3)) / observed.sum(axis=(1, 3))
    assert ((small == 255) == np.isnan(mean)).all()
    assert np.nanmax(np.abs(np.where(small == 255, np.nan, small.astype(float)) - mean)) <= 0.5


def test_a_raster_of_at_most_one_block_has_no_overviews_and_a_larger_one_has(finished):
    with rasterio.open(finished(random_percent(512, 512))) as raster:
        assert raster.overviews(1) == []
    with rasterio.open(finished(random_percent(513, 2100))) as raster:
        assert raster.overviews(1) == [2, 4, 8]


def test_what_no_tile_covers_is_not_observed(tmp_path):
    store, plan = stored(tmp_path, random_percent(128, 192))
    some = [tile for tile in plan if (tile.row, tile.col) in {(0, 1), (1, 2)}]
    finish_raster(store, plan.grid, some, tmp_path / "p.tif")
    with rasterio.open(tmp_path / "p.tif") as raster:
        percent = raster.read(1)
    assert (percent[:64, :64] == 255).all()
    assert (percent[64:, 128:] <= 100).all()


@pytest.mark.parametrize(
    "transform",
    [Affine.rotation(30) @ Affine.scale(2, -2), Affine(10, 0, 5e5, 0, 10, 5e6), Affine(1, 0, 0, 0, -1, 0)],
    ids=["rotated", "south-up", "pixels"],
)
def test_any_grid_is_kept_as_it_is(finished, transform):
    path = finished(random_percent(70, 90), crs=None, transform=transform)
    with rasterio.open(path) as raster:
        assert raster.transform.almost_equals(transform)
        assert raster.crs is None
    assert ProbabilityRaster(path).grid.transform.almost_equals(transform)


def test_gdal_finds_nothing_to_complain_of(finished, gdal):
    path = finished(random_percent(600, 600))
    told = gdal("gdalinfo", "-checksum", path)
    assert told.stderr == ""
    assert "LAYOUT=COG" in told.stdout


def test_a_missing_tile_stops_the_raster_and_names_the_tile(tmp_path):
    store, plan = stored(tmp_path, random_percent(128, 128))
    next(store.folder.rglob("000001_000000.tile")).unlink()
    with pytest.raises(JobInterrupted, match="row 1, column 0"):
        finish_raster(store, plan.grid, plan, tmp_path / "p.tif")
    assert not list(tmp_path.glob("*.tif"))


def test_windows_are_read_as_they_were_written(finished):
    percent = random_percent(200, 300)
    raster = ProbabilityRaster(finished(percent))
    np.testing.assert_array_equal(raster.read(Window(50, 60, 70, 80)), percent[50:120, 60:140])


def test_a_damaged_raster_says_to_run_detect_again(finished):
    path = finished(random_percent(600, 600))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ReadError, match="run detect again"):
        ProbabilityRaster(path).read(Window(0, 0, 600, 600))


# --- a disk that is full -------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a size to choose, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(kib, first=False):
        option = f"size={kib}k" if first else f"remount,size={kib}k"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(place)], capture_output=True
        )
        if done.returncode:
            pytest.skip("file systems cannot be mounted here")
        return place

    mount(4, first=True)
    yield mount
    subprocess.run(["umount", str(place)], check=True)


def test_on_a_full_disk_there_is_a_whole_raster_or_an_error_and_no_raster(tmp_path, small_disk):
    percent = random_percent(700, 700)
    store, plan = stored(tmp_path, percent)
    outcomes = set()
    for kib in range(
        300, 1400, 12
    ):  # from "not even the first block" through "all but the last bytes" to enough
        path = small_disk(kib) / "p.tif"
        try:
            finish_raster(store, plan.grid, plan, path)
        except JobInterrupted:
            outcomes.add("stopped")
            assert list(path.parent.iterdir()) == []
            continue
        outcomes.add("done")
        with rasterio.open(path) as raster:
            np.testing.assert_array_equal(raster.read(1), percent)
            for factor in raster.overviews(1):
                raster.read(1, out_shape=(700 // factor, 700 // factor))
        path.unlink()
    assert outcomes == {"stopped", "done"}


def test_a_raster_that_lost_its_end_on_closing_is_not_taken_for_whole(tmp_path, monkeypatch):
    store, plan = stored(tmp_path, random_percent(700, 700))

    def cut(source, target, **options):
        from rasterio.shutil import copy

        copy(source, target, **options)
        target.write_bytes(target.read_bytes()[:-100])

    monkeypatch.setattr("rsdetect.scoring.raster.copy_raster", cut)
    with pytest.raises(JobInterrupted, match="could not be written"):
        finish_raster(store, plan.grid, plan, tmp_path / "p.tif")
    assert not list(tmp_path.glob("*.tif"))
