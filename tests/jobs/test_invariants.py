"""A job checks its results by a second route: whatever is changed after it was written, is noticed.

docs/reliability.md has the same list as a table.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine

import rsdetect
from rsdetect.errors import JobInterrupted, ResultMismatch
from rsdetect.geopackage import file as geopackage_file
from rsdetect.grid import Grid
from rsdetect.jobs import polygons as polygons_of_jobs
from rsdetect.jobs import qgis_project
from rsdetect.scoring import engine, raster
from rsdetect.scoring.store import WorkStore
from rsdetect.scoring.tally import require_complete
from rsdetect.tiles import plan_tiles
from support.interruption import CVA, finished_tiles
from support.jobs import changed_pair, run_here

SIZE = {"height": 1100, "width": 1300}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"), **SIZE)


def in_raster(change, level=None):
    """Change the pixels of the finished file, or of one of its overviews."""

    def mutate(path):
        options = {} if level is None else {"OVERVIEW_LEVEL": str(level)}
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES", **options) as dataset:
            values = dataset.read(1)
            changed = values.copy()
            change(changed)
            assert (changed != values).any()
            dataset.write(changed, 1)

    return mutate


def alter_one(values):
    values[500, 700] += 1


def shift_a_row(values):
    values[600] = np.roll(values[600], 1)


def swap_tiles(values):
    values[256:512, 256:512], values[512:768, 256:512] = (
        values[512:768, 256:512].copy(),
        values[256:512, 256:512].copy(),
    )


def lose_a_block(values):
    values[512:1024, :512] = 255


def zero_a_block(values):
    values[512:1024, :512] = 0


def exchange_two(values):
    """Counts and sums stay as they are."""
    values[10, 300], values[1000, 900] = values[1000, 900], values[10, 300]
    if values[10, 300] == values[1000, 900]:
        values[10, 300], values[1000, 900] = 1, 2


RASTER = {
    "a percent altered": in_raster(alter_one),
    "a row shifted": in_raster(shift_a_row),
    "two tiles swapped": in_raster(swap_tiles),
    "two pixels exchanged": in_raster(exchange_two),
    "a block lost": in_raster(lose_a_block),
    "a block of zeros": in_raster(zero_a_block),
    "an overview without data": in_raster(lambda values: values.fill(255), level=0),
    "an overview of zeros": in_raster(lambda values: values.fill(0), level=0),
}


def detect(scenes, out):
    return rsdetect.detect(scenes.before, scenes.after, out=out, tile_size=256, workers=1, **CVA)


def caught(scenes, out, stage):
    """The job ends with status 3, names the place, keeps its tiles, and leaves no result."""
    with pytest.raises(ResultMismatch, match=f"^{stage}"):
        detect(scenes, out)
    assert not (out / "run.json").exists()


@pytest.mark.parametrize("what", RASTER)
def test_a_raster_that_is_changed_after_it_was_written(scenes, tmp_path, monkeypatch, what, stress):
    genuine = raster.copy_raster

    def copy_and_change(source, target, **options):
        genuine(source, target, **options)
        RASTER[what](target)

    with monkeypatch.context() as patch:
        patch.setattr(raster, "copy_raster", copy_and_change)
        caught(scenes, tmp_path / "out", "raster, (tile at row|overview)")
        assert finished_tiles(tmp_path / "out")
    if stress or what == "two tiles swapped":
        assert detect(scenes, tmp_path / "out").record["counts"]["tiles_scored_in_this_run"] == 0


def test_a_raster_that_is_changed_while_the_polygons_are_made(scenes, tmp_path, monkeypatch):
    import rsdetect.jobs.detect as flow

    genuine = flow.write_polygons

    def make_and_change(path, *args, **kwargs):
        made = genuine(path, *args, **kwargs)
        in_raster(shift_a_row)(path)
        return made

    monkeypatch.setattr(flow, "write_polygons", make_and_change)
    caught(scenes, tmp_path / "out", "raster: .* changed after it was finished")


def test_a_raster_that_is_changed_before_the_polygons_are_made(scenes, tmp_path, monkeypatch):
    import rsdetect.jobs.detect as flow

    genuine = flow.write_polygons

    def change_and_make(path, *args, **kwargs):
        in_raster(alter_one)(path)
        return genuine(path, *args, **kwargs)

    monkeypatch.setattr(flow, "write_polygons", change_and_make)
    caught(scenes, tmp_path / "out", "polygons: the percents of the raster")


def test_a_raster_that_is_removed_before_the_polygons_are_made(scenes, tmp_path, monkeypatch):
    import rsdetect.jobs.detect as flow

    genuine = flow.write_polygons

    def remove_and_make(path, *args, **kwargs):
        path.unlink()
        return genuine(path, *args, **kwargs)

    monkeypatch.setattr(flow, "write_polygons", remove_and_make)
    caught(scenes, tmp_path / "out", r"raster: .* changed after it was finished \(it is gone\)")


def test_a_tile_that_another_one_has_replaced(scenes, tmp_path, monkeypatch):
    """Its own checksum is right; what was counted while it was scored is not."""
    import rsdetect.jobs.detect as flow

    genuine = flow.finish_raster

    def swap_and_finish(store, grid, tiles, *rest):
        percent, _ = store.read(tiles[6])
        _, tally = store.read(tiles[7])
        store.put(tiles[6], percent, tally)
        return genuine(store, grid, tiles, *rest)

    monkeypatch.setattr(flow, "finish_raster", swap_and_finish)
    caught(scenes, tmp_path / "out", "raster, tile at row 1, column 0 ")


def test_a_pixel_that_lost_its_probability_on_its_way_into_percent(scenes, tmp_path, monkeypatch):
    genuine = engine.to_percent

    def to_percent(probability):
        percent = genuine(probability)
        percent[-1, -1] = 255
        return percent

    monkeypatch.setattr(engine, "to_percent", to_percent)
    caught(scenes, tmp_path / "out", "polygons: .* pixels in the footprint")


def test_a_tile_that_is_written_twice(scenes, tmp_path, monkeypatch):
    import rsdetect.jobs.detect as flow

    genuine = flow.finish_raster
    monkeypatch.setattr(
        flow,
        "finish_raster",
        lambda store, grid, tiles, *rest: genuine(store, grid, [*tiles, tiles[3]], *rest),
    )
    caught(scenes, tmp_path / "out", "raster, tile at row 0, column 3: it is written twice")


def test_a_tile_that_is_left_out(scenes, tmp_path, monkeypatch):
    import rsdetect.jobs.detect as flow

    genuine = WorkStore.read
    lost = []

    def read(store, tile):
        found = genuine(store, tile)
        if (tile.row, tile.col) == (1, 1) and found is not None and lost:
            return None
        return found

    genuine_raster = flow.finish_raster

    def finish(*args):
        lost.append(True)
        return genuine_raster(*args)

    monkeypatch.setattr(WorkStore, "read", read)
    monkeypatch.setattr(flow, "finish_raster", finish)
    with pytest.raises(JobInterrupted, match="tile at row 1, column 1 is missing"):
        detect(scenes, tmp_path / "out")


def test_a_valid_pixel_without_a_probability():
    """Detectors that score whole tiles are also checked by `scoring.core`, with status 2."""
    tile = plan_tiles(Grid(None, Affine.identity(), 64, 64), 64, 0, 1).tile(0, 0)
    scores, valid = np.full((64, 64), 0.5, np.float32), np.ones((64, 64), bool)
    valid[10] = False
    scores[10] = np.nan

    require_complete(scores, valid, tile, "a network")
    scores[20, 30] = np.nan
    with pytest.raises(ResultMismatch, match=r"^score, tile at row 0, column 0: "):
        require_complete(scores, valid, tile, "a network")


# --- polygons -----------------------------------------------------------------------------------------------


def drop_a_region(changes):
    kept = np.arange(len(changes)) != 2
    columns = ("geometry", "pixels", "area_m2", "perimeter_m", "probability_mean", "probability_max")
    return replace(
        changes,
        **{name: getattr(changes, name)[kept] for name in columns},
        differences={band: values[kept] for band, values in changes.differences.items()},
    )


def test_a_region_that_is_dropped(scenes, tmp_path, monkeypatch):
    genuine = polygons_of_jobs.trace_changes_and_footprint

    def trace(*args):
        changes, footprint = genuine(*args)
        return drop_a_region(changes), footprint

    monkeypatch.setattr(polygons_of_jobs, "trace_changes_and_footprint", trace)
    caught(
        scenes, tmp_path / "out", "polygons: .* pixels in regions, with those under .min_area. and .*, and"
    )


GEOPACKAGE = {
    "a feature deleted": "DELETE FROM changes WHERE fid = 3",
    "a number altered": "UPDATE changes SET pixels = pixels + 1 WHERE fid = 3",
    "a probability altered": "UPDATE changes SET probability_mean = probability_mean * 1.01 WHERE fid = 3",
    "a date altered": "UPDATE footprint SET before_date = '1999-01-01'",
    "two outlines exchanged": "UPDATE changes SET geom ="
    " (SELECT geom FROM changes c WHERE c.fid = 5 - changes.fid) WHERE fid IN (2, 3)",
    "a place in the index deleted": "DELETE FROM rtree_changes_geom WHERE id = 3",
}


@pytest.mark.parametrize("what", GEOPACKAGE)
def test_polygons_that_are_changed_after_they_were_written(scenes, tmp_path, monkeypatch, what):
    genuine = geopackage_file._require_same

    def change_and_check(path, written):
        with sqlite3.connect(path) as database:
            for (trigger,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall():
                database.execute(f'DROP TRIGGER "{trigger}"')
            assert database.execute(GEOPACKAGE[what]).rowcount
        genuine(path, written)

    monkeypatch.setattr(geopackage_file, "_require_same", change_and_check)
    caught(scenes, tmp_path / "out", r"polygons, layer (changes|footprint) of changes\.gpkg")


def test_polygons_that_are_changed_as_the_project_is_added(scenes, tmp_path, monkeypatch):
    genuine = qgis_project.add_project

    def add_and_change(path, *args):
        genuine(path, *args)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("DROP TRIGGER rtree_changes_geom_update3")
            database.execute("DROP TRIGGER rtree_changes_geom_update4")
            database.execute("UPDATE changes SET pixels = pixels + 1 WHERE fid = 3")

    monkeypatch.setattr(qgis_project, "add_project", add_and_change)
    caught(scenes, tmp_path / "out", r"polygons, layer changes of changes\.gpkg")


def test_the_command_ends_with_status_3(scenes, tmp_path, monkeypatch):
    genuine = raster.copy_raster

    def copy_and_change(source, target, **options):
        genuine(source, target, **options)
        in_raster(alter_one)(target)

    monkeypatch.setattr(raster, "copy_raster", copy_and_change)
    told = run_here(
        "detect", scenes.before, scenes.after, "--out", tmp_path / "out", "--detector", "cva", "--quiet"
    )
    assert told.status == 3
    assert told.err.startswith("Error: raster, tile at row ")
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("min_area", [0, 700, 1e9])
@pytest.mark.parametrize("aoi", [False, True])
def test_undisturbed_jobs_pass(scenes, tmp_path, min_area, aoi):
    from shapely import Point

    with rasterio.open(scenes.before) as dataset:
        area = Point(dataset.xy(600, 700)).buffer(250 * dataset.res[0]) if aoi else None
    found = rsdetect.detect(
        scenes.before, scenes.after, out=tmp_path / "out", aoi=area, min_area=min_area, **CVA
    )
    assert found.record["counts"]["observed_pixels"] > 0
