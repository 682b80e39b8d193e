"""Scenes with one file per band: the same answers as of one file, and messages that name the files."""

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from rasterio.warp import Resampling, reproject

import rsdetect
from rsdetect.errors import GridMismatch, InputError, JobInterrupted, NothingToCompare, ReadError, SceneError
from rsdetect.grid import Window
from rsdetect.jobs.record import describe_input
from rsdetect.jobs.vectorize import vectorize_run
from rsdetect.scenes.pair import PairOptions, open_pair
from rsdetect.scenes.scene import read_scene
from rsdetect.scoring.check_worker import check_worker
from support.scenes import TEN_METRES, UTM, random_scene, textured_scene, write_plain, write_scene

NAMES = ("red", "green", "blue", "nir")
TWENTY_METRES = Affine(20, 0, 500000, 0, -20, 5300000)
CVA = {"detector": "cva", "quiet": True}


def write_bands(folder, scene, names=NAMES, **options):
    return {
        name: write_scene(folder / f"{name}.tif", band, **options)
        for name, band in zip(names, scene, strict=True)
    }


@pytest.fixture
def dates(tmp_path):
    """Two dates as one file each, and as one file per band."""
    before = textured_scene(1, 4)
    after = before.copy()
    after[:, 60:120, 40:90] = 255 - after[:, 60:120, 40:90]
    whole = [
        write_scene(tmp_path / f"{date}.tif", scene, names=NAMES, nodata=0)
        for date, scene in (("2020-05-01", before), ("2021-05-01", after))
    ]
    bands = [
        write_bands(tmp_path / date, scene, nodata=0)
        for date, scene in (("2020-05-01", before), ("2021-05-01", after))
    ]
    return whole, bands


def pixels(folder):
    with rasterio.open(folder / "change_probability.tif") as dataset:
        return dataset.read(1)


def polygons(folder):
    frame = pyogrio.read_dataframe(folder / "changes.gpkg", layer="changes")
    return frame.select_dtypes(exclude="datetime").to_json()  # the files of bands have no date


@pytest.mark.parametrize("given", ["list", "mapping"])
def test_band_files_give_the_raster_and_polygons_of_one_file(dates, tmp_path, given):
    whole, bands = dates
    rsdetect.detect(*whole, out=tmp_path / "one", **CVA)
    scenes = [list(date.values()) if given == "list" else date for date in bands]
    changes = rsdetect.detect(*scenes, out=tmp_path / "many", tile_size=64, **CVA)
    np.testing.assert_array_equal(pixels(tmp_path / "many"), pixels(tmp_path / "one"))
    assert polygons(tmp_path / "many") == polygons(tmp_path / "one")
    described = changes.record["inputs"]["after"]
    assert list(described["bands"]) == list(NAMES)
    assert described["bands"]["nir"]["path"] == bands[1]["nir"]
    assert described["bands"]["nir"]["bytes"] == Path(bands[1]["nir"]).stat().st_size
    assert changes.record["bands"] == list(NAMES)
    assert "VRT" not in json.dumps(changes.record)


def test_the_network_takes_band_files_by_their_names(dates, tmp_path):
    whole, bands = dates
    rsdetect.detect(*whole, out=tmp_path / "one", quiet=True)
    shuffled = [{name: date[name] for name in ("nir", "blue", "red", "green")} for date in bands]
    rsdetect.detect(*shuffled, out=tmp_path / "many", quiet=True)
    np.testing.assert_array_equal(pixels(tmp_path / "many"), pixels(tmp_path / "one"))


def test_vectorize_reads_the_band_files_again(dates, tmp_path, caplog):
    _, bands = dates
    rsdetect.detect(*bands, out=tmp_path / "out", **CVA)
    first = polygons(tmp_path / "out")
    vectorize_run(tmp_path / "out")
    assert polygons(tmp_path / "out") == first
    assert not caplog.records
    write_scene(bands[0]["red"], textured_scene(7, 1), nodata=0)
    vectorize_run(tmp_path / "out")
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "red.tif, green.tif, blue.tif, nir.tif has changed since it was scored" in warning


def test_an_interrupted_job_starts_again_when_one_file_changed(dates):
    _, bands = dates
    pair = open_pair(*bands)
    first = describe_input(pair.before, pair)
    assert describe_input(open_pair(*bands).before, pair) == first
    os.utime(bands[0]["blue"], ns=(1, 1))
    assert describe_input(open_pair(*bands).before, pair) != first


def test_a_pair_of_band_files_pickles_and_workers_look_for_each_file(dates, tmp_path):
    _, bands = dates
    pair = pickle.loads(pickle.dumps(open_pair(*bands)))
    values, valid = read_scene(pair.before, Window(3, 5, 40, 30))
    assert valid.all()
    assert values.shape == (4, 40, 30)
    version = rsdetect.__version__
    check_worker(pair, tmp_path, version)
    Path(bands[1]["green"]).unlink()
    moved = replace(pair, before_date="2020-01-01")  # the answer for a pair is remembered
    with pytest.raises(JobInterrupted, match=r"does not see .*green\.tif;"):
        check_worker(moved, tmp_path, version)


def test_coarser_bands_are_brought_to_the_finest_grid_alike_for_every_window(tmp_path):
    fine, coarse = random_scene(1, 1, 80, 100, "uint16"), random_scene(2, 1, 40, 50, "uint16")
    paths = [
        write_scene(tmp_path / "S2_B04_10m.tif", fine),
        write_scene(tmp_path / "S2_B11_20m.tif", coarse, transform=TWENTY_METRES),
        write_scene(tmp_path / "scl.tif", coarse, transform=TWENTY_METRES),
    ]
    pair = open_pair(paths, paths, PairOptions(bands=("red", "swir1", "scl")))
    assert pair.bands == ("red", "swir1", "scl")
    assert pair.grid.shape == (80, 100)
    values, valid = read_scene(pair.before, pair.grid.window)
    assert valid.all()
    np.testing.assert_array_equal(values[0], fine[0])
    np.testing.assert_array_equal(values[2], coarse[0].repeat(2, axis=0).repeat(2, axis=1))
    expected = np.zeros((80, 100), np.float32)
    reproject(
        coarse[0].astype(np.float32), expected, src_transform=TWENTY_METRES, dst_transform=TEN_METRES,
        src_crs=UTM, dst_crs=UTM, resampling=Resampling.bilinear,
    )  # fmt: skip
    np.testing.assert_allclose(values[1], expected, rtol=1e-5)
    for window in (Window(7, 9, 20, 11), Window(0, 0, 1, 1), Window(31, 63, 49, 37)):
        rows, cols = window.slices_in(pair.grid.window)
        np.testing.assert_array_equal(read_scene(pair.before, window)[0], values[:, rows, cols])
    assert any("swir1 of" in note and "(bilinear)" in note for note in pair.notes)
    assert any("scl of" in note and "(nearest)" in note for note in pair.notes)


@pytest.mark.parametrize("nodata", [0, 65535])
def test_nodata_of_a_coarser_band_hides_its_pixels_where_it_cannot_be_data(tmp_path, nodata):
    coarse = random_scene(2, 1, 20, 25, "uint16")
    coarse[0, 5, 6] = nodata
    paths = [
        write_scene(tmp_path / "red.tif", random_scene(1, 1, 40, 50, "uint16")),
        write_scene(tmp_path / "swir1.tif", coarse, transform=TWENTY_METRES, nodata=nodata),
    ]
    pair = open_pair(paths, paths)
    values, valid = read_scene(pair.before, pair.grid.window)
    if nodata == 0:  # short-wave infrared is 0 over water
        assert valid.all() and (values[1] == 0).any()
        return
    hidden = np.argwhere(~valid)
    assert len(hidden)
    assert (abs(hidden - [10.5, 12.5]) <= 0.5).all()


def test_masks_inside_band_files_count(tmp_path):
    scene = random_scene(1, 2, 40, 50)
    lit = np.ones((40, 50), bool)
    lit[3:9, 4:8] = False
    other = np.ones((20, 25), bool)
    other[10:12, 10:13] = False
    paths = [
        write_scene(tmp_path / "red.tif", scene[0], mask=lit),
        write_scene(tmp_path / "green.tif", scene[1]),
        write_scene(tmp_path / "nir.tif", random_scene(3, 1, 20, 25), mask=other, transform=TWENTY_METRES),
    ]
    pair = open_pair(paths, paths)
    _, valid = read_scene(pair.before, pair.grid.window)
    np.testing.assert_array_equal(valid, lit & other.repeat(2, axis=0).repeat(2, axis=1))


def test_where_one_band_does_not_reach_nothing_is_compared(tmp_path):
    scene = random_scene(1, 2, 40, 50)
    east = TEN_METRES @ Affine.translation(20, 0)
    paths = [
        write_scene(tmp_path / "red.tif", scene[0]),
        write_scene(tmp_path / "green.tif", scene[1], transform=east),
    ]
    pair = open_pair(paths, paths)
    values, valid = read_scene(pair.before, pair.grid.window)
    assert not valid[:, :20].any()
    assert valid[:, 20:].all()
    np.testing.assert_array_equal(values[1, :, 20:], scene[1, :, :30])
    assert any("green.tif covers 60% of the other bands" in note for note in pair.notes)


def test_band_files_without_georeference_cover_one_ground(tmp_path):
    scene = random_scene(1, 2, 40, 50)
    paths = [
        write_plain(tmp_path / "red.png", scene[:1]),
        write_plain(tmp_path / "nir.png", np.full((1, 20, 25), 9, np.uint8)),
    ]
    pair = open_pair(paths, paths)
    values, valid = read_scene(pair.before, pair.grid.window)
    assert valid.all()
    np.testing.assert_array_equal(values[0], scene[0])
    np.testing.assert_allclose(values[1], 9, rtol=1e-6)


def bad(tmp_path, kind):
    scene = random_scene(1, 2, 40, 50)
    good = write_scene(tmp_path / "red.tif", scene[0])
    other = tmp_path / "other.tif"
    if kind == "crs":
        return {"red": good, "nir": write_scene(other, scene[1], crs="EPSG:32633")}
    if kind == "place":
        far = TEN_METRES @ Affine.translation(1000, 0)
        return {"red": good, "nir": write_scene(other, scene[1], transform=far)}
    if kind == "bands":
        return {"red": good, "nir": write_scene(other, scene)}
    if kind == "plain":
        return {"red": good, "nir": write_plain(tmp_path / "other.png", scene[1:])}
    if kind == "twice":
        return [good, write_scene(tmp_path / "b" / "red.tif", scene[1])]
    if kind == "missing":
        return {"red": good, "nir": str(tmp_path / "no.tif")}
    return {"nothing": [], "number": 5}[kind]


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("crs", GridMismatch, r"red\.tif is in EPSG:32632 and .*other\.tif in EPSG:32633; .*gdalwarp -t_srs"),
        ("place", NothingToCompare, r"red\.tif and .*other\.tif do not overlap; give bands of one scene"),
        ("bands", InputError, r"other\.tif holds 2 bands and is given as the one band .*gdal_translate -b"),
        ("plain", InputError, r"red\.tif is georeferenced and .*other\.png is not; give all bands"),
        ("twice", InputError, r"red\.tif and .*b/red\.tif are both the band 'red'; name each by its own"),
        ("missing", SceneError, r"no\.tif cannot be opened"),
        ("nothing", InputError, r"names no file; write"),
        ("number", SceneError, r"before is of type int; give a path, a list or mapping of band files"),
    ],
)  # fmt: skip
def test_band_files_that_are_no_scene_are_refused_in_one_sentence(tmp_path, kind, error, words):
    with pytest.raises(error, match=words) as refused:
        open_pair(bad(tmp_path, kind), str(tmp_path / "red.tif"))
    assert "VRT" not in str(refused.value)


def test_a_band_file_that_breaks_is_named(dates):
    _, bands = dates
    with Path(bands[0]["blue"]).open("r+b") as file:
        file.truncate(3000)
    pair = open_pair(*bands)
    with pytest.raises(ReadError, match=r"blue\.tif") as broken:
        read_scene(pair.before, pair.grid.window)
    assert "<" not in str(broken.value)


def test_bands_are_named_by_the_files_of_products(tmp_path):
    scene = random_scene(1, 3, 8, 9, "uint16")
    names = ("B04", "B8A", "B11")
    paths = [
        write_scene(tmp_path / f"T32UPU_20210704T101031_{name}.tif", band)
        for name, band in zip(names, scene, strict=True)
    ]
    pair = open_pair(paths, paths)
    assert pair.bands == ("red", "b8a", "swir1")
    assert pair.before_date == "2021-07-04"


def test_a_coarser_scene_of_band_files_is_aligned(tmp_path):
    before = write_scene(tmp_path / "before.tif", random_scene(1, 2, 40, 50), names=("red", "nir"))
    shifted = TEN_METRES @ Affine.translation(0.5, 0)
    after = write_bands(tmp_path / "a", random_scene(2, 2, 40, 50), ("red", "nir"), transform=shifted)
    one = write_scene(tmp_path / "one.tif", random_scene(2, 2, 40, 50), transform=shifted)
    asked = PairOptions(align=True)
    pairs = open_pair(before, after, asked), open_pair(before, one, asked)
    for many, whole in zip(*(read_scene(pair.after, pair.grid.window) for pair in pairs), strict=True):
        np.testing.assert_array_equal(many, whole)
