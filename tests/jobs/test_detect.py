"""detect() and score() as Python calls, against NumPy, rasterio and pyproj."""

import json
import os
from pathlib import Path

import geopandas
import numpy as np
import pyproj
import pytest
import rasterio
import rioxarray  # noqa: F401
import shapely
from affine import Affine
from rasterio.windows import from_bounds

import rsdetect
from rsdetect.errors import InputError, NothingToCompare, OutputError
from rsdetect.percent import to_percent
from support.jobs import OUTPUTS, changed_pair, contents, listing, polygonized, read_raster
from support.scenes import TEN_METRES, random_scene, write_plain, write_scene

ONE_PIXEL_M2 = 100 / 0.9996**2  # on the ground, at the central meridian of UTM
CVA = {"detector": "cva", "quiet": True, "min_area": 0}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def done(scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    changes = rsdetect.detect(scenes.before, scenes.after, out=out, tile_size=128, **CVA)
    return out, changes


def layer(out, name="changes"):
    return geopandas.read_file(out / "changes.gpkg", layer=name)


def test_the_outputs_are_these_four_files_and_nothing_else(done):
    assert listing(done[0]) == OUTPUTS


def test_the_call_returns_the_paths_of_its_files(done):
    out, changes = done
    assert (changes.raster, changes.polygons) == (out / "change_probability.tif", out / "changes.gpkg")
    assert changes.record == json.loads((out / "run.json").read_text())
    assert changes.threshold == 0.5
    assert changes.warnings == ()


def test_an_output_folder_is_made_with_its_parents(scenes, tmp_path):
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "a" / "b", **CVA)
    assert listing(tmp_path / "a" / "b") == OUTPUTS


# --- score ----------------------------------------------------------------------------------------------


def test_the_raster_is_what_score_computes_in_whole_percent(scenes, done):
    scored = rsdetect.score(scenes.before, scenes.after, detector="cva", tile_size=100)
    np.testing.assert_array_equal(to_percent(scored.compute().values), read_raster(done[0]))


def test_score_is_lazy_and_computes_only_the_tiles_that_are_asked_for(scenes, monkeypatch):
    import rsdetect.scoring.windows as windows

    touched = []
    genuine = windows.score_core

    def counting(pair, scorer, tile):
        touched.append((tile.row, tile.col))
        return genuine(pair, scorer, tile)

    monkeypatch.setattr(windows, "score_core", counting)
    scored = rsdetect.score(scenes.before, scenes.after, detector="cva", tile_size=100)
    assert scored.chunks == ((100, 100, 100), (100, 100, 100, 100, 20))
    assert touched == []
    part = scored.isel(y=slice(110, 130), x=slice(190, 210)).compute()
    assert sorted(touched) == [(1, 1), (1, 2)]
    np.testing.assert_array_equal(part.values, scored.compute().values[110:130, 190:210])


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:rioxarray")
def test_score_carries_crs_and_transform_where_rioxarray_finds_them(scenes):
    scored = rsdetect.score(scenes.before, scenes.after, detector="cva")
    assert scored.rio.crs.to_epsg() == 32632
    assert scored.rio.transform() == TEN_METRES
    assert float(scored.x[0]) == 500005
    assert float(scored.y[0]) == 5299995
    assert scored.dtype == np.float32
    assert np.isnan(scored.values[:7]).all()
    assert not np.isnan(scored.values[7:]).any()


def test_score_can_be_computed_twice_and_by_any_scheduler(scenes):
    scored = rsdetect.score(scenes.before, scenes.after, detector="cva", tile_size=128)
    first = scored.compute(scheduler="synchronous").values
    np.testing.assert_array_equal(scored.compute(scheduler="threads").values, first)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:rioxarray")
def test_the_finished_raster_opens_as_a_lazy_array(done):
    out, changes = done
    probability = changes.probability()
    percent = read_raster(out).astype(np.float32)
    wanted = np.where(percent == 255, np.float32(np.nan), percent / np.float32(100))
    assert probability.chunks is not None
    np.testing.assert_array_equal(probability.values, wanted)
    assert probability.rio.crs.to_epsg() == 32632
    assert probability.rio.transform() == TEN_METRES


def test_score_refuses_what_detect_refuses(tmp_path):
    nothing = write_scene(tmp_path / "nothing.tif", np.zeros((1, 20, 20), np.uint8), nodata=0)
    with pytest.raises(NothingToCompare, match="valid on both dates"):
        rsdetect.score(nothing, nothing, detector="cva")


# --- polygons -------------------------------------------------------------------------------------------


def assert_same_polygons(found, wanted):
    assert len(found) == len(wanted)
    # On a rotated grid coordinates differ in their last bits, and with them the order and the first corner.
    tree = shapely.STRtree(list(found))
    for polygon in wanted:
        near = [tree.geometries[i] for i in tree.query(polygon, "intersects")]
        assert min(one.symmetric_difference(polygon).area for one in near) < 1e-3


def test_the_polygons_are_those_of_the_whole_raster_at_the_recorded_level(done):
    out, changes = done
    level = changes.record["level_percent"]
    wanted = polygonized(out, lambda percent: (percent >= level) & (percent != 255))
    assert len(wanted) >= 2
    assert_same_polygons(layer(out).geometry, wanted)


def test_the_footprint_is_where_both_dates_were_observed(done):
    assert_same_polygons(layer(done[0], "footprint").geometry, polygonized(done[0], lambda p: p != 255))


@pytest.mark.parametrize(
    "transform",
    [
        Affine.translation(5e5, 5.3e6) @ Affine.rotation(33) @ Affine.scale(10, -10),
        Affine(10, 0, 5e5, 0, 10, 5.3e6),
        Affine(-10, 0, 5e5, 0, -10, 5.3e6),
    ],
    ids=["rotated", "south-up", "mirrored"],
)
def test_polygons_of_any_grid_lie_on_their_pixels(tmp_path, transform):
    scenes = changed_pair(tmp_path, 120, 140, transform=transform)
    out = tmp_path / "out"
    changes = rsdetect.detect(scenes.before, scenes.after, out=out, tile_size=64, **CVA)
    percent = read_raster(out)
    assert_same_polygons(layer(out).geometry, polygonized(out, lambda p: (p >= 50) & (p != 255)))
    found = layer(out)
    assert found.area_m2.sum() == pytest.approx(
        ONE_PIXEL_M2 * ((percent >= 50) & (percent != 255)).sum(), rel=1e-6
    )
    # A pixel in the middle of the bright block, by its own outline.
    row, col = 30, 46
    outline = shapely.Polygon(
        [transform @ corner for corner in ((col, row), (col + 1, row), (col + 1, row + 1))]
    )
    assert found.geometry.covers(outline.buffer(-0.01)).any()
    assert changes.record["counts"]["regions"] == len(found)


def test_the_columns_say_what_numpy_says_of_each_region(done, scenes):
    out, _ = done
    percent = read_raster(out)
    before, after = (array.astype(np.float64) for array in scenes.arrays)
    found = layer(out)
    assert found.change_id.is_unique
    for region in found.itertuples():
        inside = rasterio.features.rasterize([region.geometry], percent.shape, transform=TEN_METRES) == 1
        assert region.pixels == inside.sum()
        assert region.area_m2 == pytest.approx(ONE_PIXEL_M2 * inside.sum(), rel=1e-6)
        assert region.perimeter_m == pytest.approx(region.geometry.length / 0.9996, rel=1e-6)
        assert region.probability_mean == pytest.approx(percent[inside].mean() / 100, abs=5e-5)
        assert region.probability_max == pytest.approx(percent[inside].max() / 100)
        assert region.detector == "cva"
        for band, name in enumerate(("red", "green", "blue")):
            difference = after[band][inside].mean() - before[band][inside].mean()
            assert getattr(region, f"difference_{name}") == pytest.approx(difference, rel=1e-5, abs=1e-6)


def test_the_record_counts_what_the_files_hold(done):
    out, changes = done
    percent, found = read_raster(out), layer(out)
    counts = changes.record["counts"]
    assert counts == {
        "tiles": 12,
        "tiles_scored_in_this_run": 12,
        "pixels": 300 * 420,
        "regions": len(found),
        "changed_pixels": int(((percent >= 50) & (percent != 255)).sum()),
        "changed_area_m2": pytest.approx(found.area_m2.sum(), rel=1e-6),  # columns are rounded
        "observed_pixels": int((percent != 255).sum()),
        "kinds": counts["kinds"],  # of tests of their own
        "polygon_steps": counts["polygon_steps"],
    }


def test_dates_given_by_hand_stand_in_every_feature(scenes, tmp_path):
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path, dates=("2020-06-01", "2021-06-30"), **CVA)
    for name in ("changes", "footprint"):
        table = layer(tmp_path, name)
        assert set(table.before_date.astype(str).str[:10]) == {"2020-06-01"}
        assert set(table.after_date.astype(str).str[:10]) == {"2021-06-30"}


def test_a_minimum_area_leaves_out_regions_below_it_and_nothing_else(scenes, done, tmp_path):
    smallest = layer(done[0]).area_m2.min()
    rsdetect.detect(
        scenes.before, scenes.after, out=tmp_path, **CVA | {"min_area": smallest + 1, "tile_size": 64}
    )
    wanted = layer(done[0])
    wanted = wanted[wanted.area_m2 >= smallest + 1]
    assert len(wanted) >= 1
    assert_same_polygons(layer(tmp_path).geometry, list(shapely.normalize(wanted.geometry.values)))


@pytest.mark.parametrize(
    ("crs", "transform", "area_m2"),
    [
        ("EPSG:32632", TEN_METRES, 9 * ONE_PIXEL_M2),
        # The largest pixel of these has four times the area of the smallest.
        ("EPSG:4326", Affine(0.1, 0, 9, 0, -0.5, 80), None),
        (None, Affine.identity(), 9),
    ],
    ids=["metres", "degrees", "no georeference"],
)
def test_regions_of_less_than_nine_pixels_are_left_out_unless_all_are_asked_for(
    tmp_path, crs, transform, area_m2
):
    before = np.full((3, 96, 96), 90, np.uint8)
    before[:, ::2, ::3] += 20
    after = before.copy()
    for row in (4, 50, 86):
        after[:, row : row + 2, 10:14] += 120  # 8 pixels
        after[:, row : row + 3, 30:33] += 120  # 9
    pair = [
        write_scene(tmp_path / f"{name}.tif", scene, crs=crs, transform=transform)
        for name, scene in (("before", before), ("after", after))
    ]
    options = {"detector": "cva", "quiet": True, "bands": (1, 2, 3)}
    changes = rsdetect.detect(*pair, out=tmp_path / "out", **options)
    assert layer(tmp_path / "out").pixels.tolist() == [9, 9, 9]
    record, left_out = changes.record, changes.record["counts"]["polygon_steps"][1]
    assert (left_out["step"], left_out["regions"], left_out["pixels"]) == ("min_area", -3, -24)
    assert record["options"]["polygons"]["min_area"] == "auto"
    assert record["min_pixels"] == 9
    if area_m2 is not None:
        assert record["min_area"] == pytest.approx(area_m2, rel=1e-3)
    # Again as before, with all of them, and with the default again.
    for asked, pixels in (({}, [9]), ({"min_area": 0}, [8, 9]), ({"min_area": "auto"}, [9])):
        again = rsdetect.vectorize(tmp_path / "out", **asked)
        assert sorted(set(layer(tmp_path / "out").pixels)) == pixels
        assert again.record["min_pixels"] == (None if asked == {"min_area": 0} else 9)


def test_a_threshold_chooses_pixels_at_or_above_it(scenes, tmp_path):
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path, threshold=0.9, **CVA)
    wanted = polygonized(tmp_path, lambda p: (p >= 90) & (p != 255))
    assert_same_polygons(layer(tmp_path).geometry, wanted)


def test_no_change_is_a_result_with_an_empty_layer_and_a_footprint(tmp_path):
    same = write_scene(tmp_path / "same.tif", random_scene(1))
    changes = rsdetect.detect(same, same, out=tmp_path / "out", **CVA)
    found = layer(tmp_path / "out")
    assert len(found) == 0
    assert found.crs.to_epsg() == 32632
    assert {"change_id", "area_m2", "difference_red"} <= set(found.columns)
    assert len(layer(tmp_path / "out", "footprint")) == 1
    assert changes.record["counts"]["changed_area_m2"] == 0


def test_areas_in_a_geographic_crs_are_geodesic(tmp_path):
    degrees = Affine(1e-4, 0, 11.0, 0, -1e-4, 48.0)
    scenes = changed_pair(tmp_path, 120, 140, crs="EPSG:4326", transform=degrees)
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "out", **CVA)
    found = layer(tmp_path / "out")
    geod = pyproj.Geod(ellps="WGS84")
    assert len(found) >= 1
    for region in found.itertuples():
        assert region.area_m2 == pytest.approx(
            abs(geod.geometry_area_perimeter(region.geometry)[0]), rel=1e-5
        )


def test_of_a_plain_pixel_grid_areas_are_counted_in_pixels(tmp_path):
    scenes = changed_pair(tmp_path, 120, 140)
    before, after = (
        write_plain(tmp_path / f"{name}.png", array)
        for name, array in zip(("before", "after"), scenes.arrays, strict=True)
    )
    changes = rsdetect.detect(before, after, out=tmp_path / "out", **CVA)
    found = layer(tmp_path / "out")
    assert len(found) >= 1
    assert found.crs is None or "undefined" in found.crs.name.lower()
    assert found.area_m2.isna().all()
    assert found.perimeter_m.isna().all()
    assert (found.pixels == found.geometry.area).all()
    assert changes.record["counts"]["changed_area_m2"] is None
    assert any("no georeference" in warning for warning in changes.warnings)


def test_a_minimum_area_on_a_plain_pixel_grid_counts_pixels(tmp_path):
    scenes = changed_pair(tmp_path, 120, 140)
    pair = [write_plain(tmp_path / f"{i}.png", array) for i, array in enumerate(scenes.arrays)]
    rsdetect.detect(*pair, out=tmp_path / "all", **CVA)
    everything = layer(tmp_path / "all").pixels
    least = int(everything.min()) + 1
    rsdetect.detect(*pair, out=tmp_path / "out", **CVA | {"min_area": least})
    kept = layer(tmp_path / "out").pixels.tolist()
    assert kept == everything[everything >= least].tolist() != []


def test_outside_the_area_of_interest_nothing_is_scored(scenes, tmp_path):
    box = shapely.box(501000, 5298000, 502000, 5299000)
    geopandas.GeoDataFrame(geometry=[box], crs=32632).to_file(tmp_path / "aoi.gpkg")
    changes = rsdetect.detect(
        scenes.before, scenes.after, out=tmp_path / "out", aoi=str(tmp_path / "aoi.gpkg"), tile_size=64, **CVA
    )
    with rasterio.open(tmp_path / "out" / "change_probability.tif") as raster:
        percent = raster.read(1)  # of the blocks around the area
        rows, cols = from_bounds(*box.bounds, raster.transform).toslices()
    assert (percent[rows, cols] != 255).all() and percent[rows, cols].shape == (100, 100)
    percent[rows, cols] = 255
    assert (percent == 255).all()
    assert changes.record["counts"]["tiles"] == 9  # of 35
    (footprint,) = layer(tmp_path / "out", "footprint").geometry
    assert footprint.equals(box)


def test_clouds_in_a_mask_are_not_observed(scenes, tmp_path):
    classes = np.full((300, 420), 4, np.uint8)
    classes[50:90, 60:100] = 9
    mask = write_scene(tmp_path / "scl.tif", classes)
    rsdetect.detect(
        scenes.before, scenes.after, out=tmp_path / "out", masks=(mask,), mask_values=(3, 9), **CVA
    )
    percent = read_raster(tmp_path / "out")
    hidden = np.zeros(percent.shape, bool)
    hidden[50:90, 60:100] = True
    hidden[:7] = True
    np.testing.assert_array_equal(percent == 255, hidden)


def test_the_result_does_not_depend_on_tiles_or_workers(scenes, done, tmp_path):
    for number, how in enumerate(({"tile_size": 64, "workers": 1}, {"tile_size": 333, "workers": 5})):
        out = tmp_path / str(number)
        rsdetect.detect(scenes.before, scenes.after, out=out, **how, **CVA)
        np.testing.assert_array_equal(read_raster(out), read_raster(done[0]))
        assert layer(out).equals(layer(done[0]))


# --- what is there already ----------------------------------------------------------------------------------


def test_earlier_results_are_kept_unless_overwriting_is_asked_for(scenes, done):
    out, _ = done
    kept = contents(out)
    with pytest.raises(OutputError, match="`overwrite=True`"):
        rsdetect.detect(scenes.before, scenes.after, out=out, **CVA)
    assert contents(out) == kept
    assert listing(out) == OUTPUTS


@pytest.mark.parametrize("name", OUTPUTS[:3])
def test_a_file_of_somebody_else_is_not_overwritten(scenes, tmp_path, name):
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(OutputError, match=name):
        rsdetect.detect(scenes.before, scenes.after, out=tmp_path, **CVA)
    assert contents(tmp_path) == {name: b"mine"}
    assert listing(tmp_path) == [name]


def test_other_files_in_the_folder_are_left_alone(scenes, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path, **CVA)
    assert listing(tmp_path) == sorted([*OUTPUTS, "notes.txt"])


def test_overwriting_replaces_the_results_and_what_other_programs_put_beside_them(scenes, tmp_path):
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path, **CVA)
    for stale in ("change_probability.tif.aux.xml", "changes.gpkg-wal", "changes.gpkg-shm"):
        (tmp_path / stale).write_text("of the old file")
    changes = rsdetect.detect(scenes.before, scenes.after, out=tmp_path, overwrite=True, threshold=0.9, **CVA)
    assert listing(tmp_path) == OUTPUTS
    assert json.loads((tmp_path / "run.json").read_text()) == changes.record
    assert changes.record["level_percent"] == 90


@pytest.mark.parametrize("stage", ["finish_raster", "write_polygons", "describe_machine"])
def test_an_error_in_the_middle_leaves_the_old_results_whole(scenes, tmp_path, monkeypatch, stage):
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path, **CVA)
    kept = contents(tmp_path)

    def broken(*_, **__):
        raise InputError("broken on purpose")

    monkeypatch.setattr(f"rsdetect.jobs.detect.{stage}", broken)
    with pytest.raises(InputError, match="on purpose"):
        rsdetect.detect(scenes.before, scenes.after, out=tmp_path, overwrite=True, threshold=0.9, **CVA)
    assert contents(tmp_path) == kept


def test_an_unknown_option_is_refused_by_name(scenes, tmp_path):
    with pytest.raises(InputError, match="'tilesize'"):
        rsdetect.detect(scenes.before, scenes.after, out=tmp_path, tilesize=3)


def test_two_pairs_one_after_the_other_in_one_process_do_not_mix(tmp_path):
    for seed in (1, 2):
        scenes = changed_pair(tmp_path / str(seed), 100, 120, seed=seed)
        rsdetect.detect(scenes.before, scenes.after, out=tmp_path / f"out{seed}", **CVA)
        scored = rsdetect.score(scenes.before, scenes.after, detector="cva")
        np.testing.assert_array_equal(read_raster(tmp_path / f"out{seed}"), to_percent(scored.values))


def test_results_may_go_to_a_relative_folder(scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = rsdetect.detect(os.path.relpath(scenes.before), os.path.relpath(scenes.after), out="out", **CVA)
    assert listing(tmp_path / "out") == OUTPUTS
    assert changes.record["inputs"]["before"]["path"] == str(Path(os.path.relpath(scenes.before)).absolute())
