"""Neighbouring pairs of a batch as one layer: the job on the mosaic of the scenes is the oracle."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS
from rasterio.features import geometry_mask
from rasterio.vrt import WarpedVRT

import rsdetect
from rsdetect.batches.adjacency import mosaics_of
from rsdetect.batches.finished_pairs import periods_of, read_finished, spans_overlap
from rsdetect.errors import InputError
from rsdetect.grid import Window
from support.batches import batch, layer, write_list
from support.jobs import changed_pair
from support.scenes import TEN_METRES, write_scene

# A detector of one number, so that a pair is scored as its part of the mosaic is.
FIXED = """
import numpy as np
from dataclasses import dataclass
from rsdetect.detectors import Detector, Scorer

@dataclass(frozen=True)
class FixedScorer(Scorer):
    name = "fixed"
    threshold = 0.5
    bytes_per_pixel = 60

    def score(self, tile):
        return np.minimum(np.abs(tile.after - tile.before).max(axis=0) / 100, 1).astype(np.float32)

@dataclass(frozen=True)
class Fixed(Detector):
    name = "fixed"
    description = "Largest difference of a band, in hundreds."

    def fit(self, scan):
        return FixedScorer()
"""
TILES = {"nw": (0, 0), "ne": (0, 90), "sw": (60, 0), "se": (60, 90)}  # of 90 x 130 pixels: rows, columns
OUTLINES = {
    "pixels": {},
    "all steps": {"min_area": 4000.0, "opening": 1, "fill_holes": 2e4, "merge_gap": 40.0, "simplify": 12.0},
}


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    """A pair, four overlapping tiles of it, and the detector; two rows of the last tile are not observed."""
    folder = tmp_path_factory.mktemp("country")
    (folder / "fixed.py").write_text(FIXED)
    before, after = changed_pair(folder / "whole", 150, 220, seed=1).arrays
    rng = np.random.default_rng(3)
    for row, col, height, width in rng.integers((8, 0, 1, 1), (150, 220, 16, 16), (70, 4)):
        after[:, row : row + height, col : col + width] ^= 64
    cut_tile(folder / "whole", (before, after), 0, 0, 150, 220)
    for name, (row, col) in TILES.items():
        cut_tile(folder / name, (before, after), row, col)
    return folder


def cut_tile(folder, arrays, row, col, height=90, width=130):
    for date, array in zip(("before", "after"), arrays, strict=True):
        transform = TEN_METRES @ Affine.translation(col, row)
        part = array[:, row : row + height, col : col + width]
        write_scene(folder / f"{date}.tif", part, nodata=0, transform=transform)


def run(folder, out, *names, columns="", **options):
    rows = [f"{name},{folder / name}/before.tif,{folder / name}/after.tif" for name in names]
    pairs = write_list(out.parent / f"{out.name}.csv", *rows)
    settings = {
        "detector": f"{folder / 'fixed.py'}:Fixed",
        "normalise": "none",
        "quiet": True,
        "min_area": 0.0,
    }
    return rsdetect.batch(pairs, out=out, stop_at_defects=True, **settings | options)


def detected(folder, out, **options):
    settings = {
        "detector": f"{folder / 'fixed.py'}:Fixed",
        "normalise": "none",
        "quiet": True,
        "min_area": 0.0,
    }
    scenes = folder / "whole" / "before.tif", folder / "whole" / "after.tif"
    rsdetect.detect(*scenes, out=out, **settings | options)
    return out / "changes.gpkg"


@pytest.mark.parametrize("most_pixels", [0, 2**16], ids=["by windows", "whole"])
@pytest.mark.parametrize("outlines", OUTLINES.values(), ids=OUTLINES)
def test_the_regions_are_those_of_the_job_on_the_mosaic(
    country, tmp_path, outlines, most_pixels, monkeypatch
):
    monkeypatch.setattr("rsdetect.batches.mosaics._SMALL_PIXELS", most_pixels)  # of rasters read whole
    report = run(country, tmp_path / "out", *TILES, **outlines)
    assert report.exit_status == 0, report.results
    wanted = layer(detected(country, tmp_path / "whole", **outlines))
    found = layer(tmp_path / "out" / "changes.gpkg")
    assert len(found) == len(wanted) > 3
    for one, other in zip(found.geometry, wanted.geometry, strict=True):
        assert one.equals(other)
    for name in ("area_m2", "perimeter_m", "pixels", "probability_mean", "probability_max"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-9, err_msg=name)
    across = found[found["pairs"].str.contains(",")]
    assert len(across) and report.changed_area_m2 == pytest.approx(wanted.area_m2.sum())
    # Differences of a region are those of its parts, which overlap.
    np.testing.assert_allclose(across.difference_red, wanted.difference_red[across.index], atol=8)
    whole, parts = (layer(tmp_path / each / "changes.gpkg", "footprint") for each in ("whole", "out"))
    assert parts.pixels.sum() == whole.pixels.sum()
    assert parts.geometry.union_all().equals(whole.geometry.union_all())
    assert set(parts["pair"]) == set(TILES)


@pytest.mark.parametrize("most_pixels", [0, 2**16], ids=["by windows", "whole"])
def test_the_raster_of_another_pair_is_refused(country, tmp_path, most_pixels, monkeypatch):
    monkeypatch.setattr("rsdetect.batches.mosaics._SMALL_PIXELS", most_pixels)
    run(country, tmp_path / "out", "nw", "ne")
    raster = tmp_path / "out" / "ne" / "change_probability.tif"
    write_scene(raster, np.zeros((1, 20, 30), np.uint8))
    crs = CRS.from_epsg(32632).to_wkt()
    (mosaic,), _ = mosaics_of([read_finished(name, tmp_path / "out" / name, crs) for name in ("nw", "ne")])
    with pytest.raises(
        InputError, match=f"{raster} is not the raster of {raster.parent}; run the pair again"
    ):
        mosaic.read(Window(0, 0, 90, 220))


def test_without_joining_each_pair_has_its_own_polygons(country, tmp_path):
    report = run(country, tmp_path / "out", "nw", "ne", join=False)
    found = layer(tmp_path / "out" / "changes.gpkg")
    assert "pairs" not in found.columns
    assert report.counted_twice_m2 > 1000
    assert sum(row.regions for row in report.results) == len(found) == report.regions
    assert json.loads((tmp_path / "out" / "batch.json").read_text())["join"] is False


def test_a_pixel_is_from_the_pair_that_observed_it_or_else_of_the_nearest_centre(country, tmp_path):
    """Two tiles; in the middle of the eastern one's half of the overlap it has no data."""
    whole = np.stack([rasterio.open(country / "whole" / f"{d}.tif").read() for d in ("before", "after")])
    cut_tile(tmp_path / "west", whole, 0, 0)
    whole[:, :, 40:60, 112:118] = 0
    cut_tile(tmp_path / "east", whole, 0, 90)
    (tmp_path / "fixed.py").write_text(FIXED)
    report = run(tmp_path, tmp_path / "out", "west", "east")
    assert report.exit_status == 0, report.results
    ground = layer(tmp_path / "out" / "changes.gpkg", "footprint")
    shape = (90, 220)
    from_west, from_east = (
        ~geometry_mask(ground[ground["pair"] == name].geometry, shape, TEN_METRES)
        for name in ("west", "east")
    )
    assert not (from_west & from_east).any()
    wanted = np.zeros(shape, bool)  # rows 0 to 7 have no data; columns 90 to 130 are in both
    wanted[7:, :110] = True
    wanted[40:60, 112:118] = True
    np.testing.assert_array_equal(from_west, wanted)
    wanted = ~wanted
    wanted[:7] = False
    np.testing.assert_array_equal(from_east, wanted)


def test_pairs_of_other_thresholds_are_joined_with_each_pixel_by_its_own(country, tmp_path):
    rows = [
        f"{name},{country / name}/before.tif,{country / name}/after.tif,{threshold}"
        for name, threshold in (("nw", 0.5), ("ne", 0.7))
    ]
    pairs = write_list(tmp_path / "pairs.csv", *rows, heading="name,before,after,threshold")
    settings = {
        "detector": f"{country / 'fixed.py'}:Fixed",
        "normalise": "none",
        "quiet": True,
        "min_area": 0.0,
    }
    report = rsdetect.batch(pairs, out=tmp_path / "out", stop_at_defects=True, **settings)
    assert report.exit_status == 0, report.results
    found = layer(tmp_path / "out" / "changes.gpkg")
    percent = np.full((90, 220), 255, np.int64)
    for name, columns, inside in (
        ("nw", slice(0, 110), slice(0, 110)),
        ("ne", slice(110, 220), slice(20, 130)),
    ):
        with rasterio.open(tmp_path / "out" / name / "change_probability.tif") as raster:
            percent[:, columns] = raster.read(1)[:, inside]
    level = np.where(np.arange(220) < 110, 50, 70)
    changed = (percent >= level) & (percent != 255)
    assert found.pixels.sum() == changed.sum()
    drawn = ~geometry_mask(found.geometry, percent.shape, TEN_METRES)
    np.testing.assert_array_equal(drawn, changed)
    for _, row in found.iterrows():
        values = percent[~geometry_mask([row.geometry], percent.shape, TEN_METRES)]
        assert row.probability_mean == pytest.approx(values.mean() / 100, abs=5.1e-5)
        assert row.probability_max == pytest.approx(values.max() / 100)


def test_other_zones_are_joined_by_area_of_overlap(country, tmp_path):
    """The eastern half in the next UTM zone: ground counts once, and a change on the border is one."""
    (tmp_path / "fixed.py").write_text(FIXED)
    for date in ("before", "after"):
        with rasterio.open(country / "whole" / f"{date}.tif") as scene:
            array = scene.read()
            with WarpedVRT(scene, crs="EPSG:32633", nodata=0) as warped:
                east, transform = warped.read(), warped.transform
        write_scene(tmp_path / "west" / f"{date}.tif", array[:, :, :130], nodata=0, transform=TEN_METRES)
        east = east[:, :, 85:]
        transform = transform @ Affine.translation(85, 0)
        write_scene(tmp_path / "east" / f"{date}.tif", east, crs="EPSG:32633", transform=transform, nodata=0)
    report = run(tmp_path, tmp_path / "out", "west", "east")
    assert report.exit_status == 0, report.results
    found = layer(tmp_path / "out" / "changes.gpkg")
    wanted = layer(detected(country, tmp_path / "whole"))
    assert report.counted_twice_m2 > 1000
    assert found.crs == "EPSG:4326"
    placed = found.to_crs(wanted.crs)
    large = wanted[wanted.pixels > 40]
    for shape in large.geometry:  # one feature, on whichever side of the border; pixels are resampled
        assert placed.geometry.intersection(shape).area.max() > 0.85 * shape.area
    assert found.area_m2.sum() == pytest.approx(wanted.area_m2.sum(), rel=0.02)
    assert placed.geometry.union_all().area == pytest.approx(placed.area.sum(), rel=1e-3)
    both = placed[placed["pairs"].str.contains(",")]
    assert len(both) and both.pixels.max() > 40
    np.testing.assert_allclose(both.pixels, both.geometry.area / 100, rtol=0.1, atol=4)
    ground = layer(tmp_path / "out" / "changes.gpkg", "footprint").to_crs(wanted.crs).geometry
    assert ground.area.sum() == pytest.approx(ground.union_all().area, rel=2e-3)


def test_pairs_that_follow_each_other_are_not_joined(country, tmp_path):
    rows = [
        f"{name};{country / name}/before.tif;{country / name}/after.tif;{dates}"
        for name, dates in (("nw", "2020-01-01,2021-01-01"), ("ne", "2021-01-01,2022-01-01"))
    ]
    pairs = write_list(tmp_path / "pairs.csv", *rows, heading="name;before;after;dates")
    told, _ = batch(pairs, tmp_path / "out")
    assert told.status == 0, told.err
    found = layer(tmp_path / "out" / "changes.gpkg")
    assert set(found["pairs"]) == {"nw", "ne"}
    for name in ("nw", "ne"):
        own = layer(tmp_path / "out" / name / "changes.gpkg")
        assert list(found[found["pair"] == name].geometry) == list(own.geometry)


def days(*pairs):
    return [tuple(np.datetime64(day or "NaT", "D") for day in pair) for pair in pairs]


def test_pairs_of_one_period_overlap_in_time():
    spans = days(
        ("2020-06-01", "2021-06-01"),
        ("2021-06-06", "2020-06-04"),
        ("2021-06-06", "2022-06-01"),
        ("", "2020-01-01"),
        ("2022-06-01", "2022-06-01"),
        ("2022-06-01", "2022-06-01"),
    )
    assert periods_of(spans) == [0, 0, 1, 0, 2, 2]
    assert periods_of(days(("", ""))) == [0] and periods_of([]) == []
    assert spans_overlap(spans, [spans[0]] * 6).tolist() == [True, True, False, True, False, False]
