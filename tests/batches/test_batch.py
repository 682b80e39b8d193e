"""`rsdetect batch`: finished pairs are not repeated, failures are reported, and one file has all changes."""

import json
import signal
import sqlite3
from contextlib import closing

import numpy as np
import pyogrio
import pytest
import rasterio

import rsdetect
from support.batches import CVA, batch, layer, write_list
from support.interruption import start_held, wait_for_tiles
from support.jobs import OUTPUTS, changed_pair, listing, read_raster, run_apart, run_here
from support.scenes import TEN_METRES, write_plain, write_scene

OTHER_ZONE = {"crs": "EPSG:32633"}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Three pairs in folders of their own: two in one CRS, the third in another."""
    made = tmp_path_factory.mktemp("scenes")
    changed_pair(made / "north", 150, 210, seed=1)
    changed_pair(made / "south", 130, 180, seed=5)
    changed_pair(made / "east", 150, 210, seed=9, **OTHER_ZONE)
    return made


def row_of(scenes, name):
    return f"{name},{scenes / name / 'before.tif'},{scenes / name / 'after.tif'}"


def states(rows):
    return {name: row["state"] for name, row in rows.items()}


def stamps(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_batch_of_one_crs_is_its_pairs_one_after_another(scenes, tmp_path):
    pairs = write_list(tmp_path / "pairs.csv", row_of(scenes, "north"), row_of(scenes, "south"))
    told, rows = batch(pairs, tmp_path / "out", "--no-join")
    assert told.status == 0, told.err
    assert states(rows) == {"north": "done", "south": "done"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("batch.json", "changes.gpkg", "index.html", "north", "south", "summary.csv"),
    ]
    for name in ("north", "south"):
        alone = tmp_path / f"{name} alone"
        rsdetect.detect(
            scenes / name / "before.tif", scenes / name / "after.tif", out=alone, detector="cva", quiet=True
        )
        assert listing(tmp_path / "out" / name) == OUTPUTS
        np.testing.assert_array_equal(read_raster(tmp_path / "out" / name), read_raster(alone))
        for which in ("changes", "footprint"):
            together = layer(tmp_path / "out" / "changes.gpkg", which)
            part, wanted = together[together["pair"] == name], layer(alone / "changes.gpkg", which)
            assert together.crs == wanted.crs
            assert len(wanted) > 0
            assert list(part.geometry) == list(wanted.geometry)
            assert list(part.area_m2) == list(wanted.area_m2)
        assert int(rows[name]["regions"]) == len(layer(alone / "changes.gpkg"))
    together = layer(tmp_path / "out" / "changes.gpkg")
    assert list(together.change_id) == list(range(1, len(together) + 1))
    assert {"pair_change_id", "probability_mean", "difference_blue"} <= set(together.columns)


def test_pairs_of_other_crs_meet_in_longitude_and_latitude_with_their_own_areas(scenes, tmp_path):
    pairs = write_list(tmp_path / "pairs.csv", row_of(scenes, "north"), row_of(scenes, "east"))
    told, _ = batch(pairs, tmp_path / "out")
    assert told.status == 0, told.err
    assert "WGS 84" in told.err
    together = layer(tmp_path / "out" / "changes.gpkg")
    assert together.crs == "EPSG:4326"
    for name in ("north", "east"):
        part, wanted = together[together["pair"] == name], layer(tmp_path / "out" / name / "changes.gpkg")
        assert list(part.area_m2) == list(wanted.area_m2)
        back = part.to_crs(wanted.crs).geometry.reset_index(drop=True)
        assert back.symmetric_difference(wanted.geometry).area.max() < 0.01  # m2
    # The same pixels in two zones: the one lies 6 degrees to the east of the other.
    west, east = (
        together[together["pair"] == name].geometry.union_all().centroid for name in ("north", "east")
    )
    assert east.x - west.x == pytest.approx(6, abs=0.1)


def test_the_file_over_all_opens_with_its_styles_and_knows_its_dates(scenes, tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(
        "name;before;after;dates;merge_gap;shape_attributes\n"
        + row_of(scenes, "north").replace(",", ";")
        + ";2020-06-01,2021-06-03;100;yes\n"
        + row_of(scenes, "south").replace(",", ";")
        + ";;;\n"
    )
    told, rows = batch(pairs, tmp_path / "out", "--no-join")
    assert told.status == 0, told.err
    assert rows["north"]["after_date"] == "2021-06-03" and rows["south"]["after_date"] == ""
    meta, _, _, columns = pyogrio.raw.read(tmp_path / "out" / "changes.gpkg", layer="changes")
    assert meta["geometry_type"] == "MultiPolygon", "north is merged, south has one part each"
    by_name = dict(zip(meta["fields"], columns, strict=True))
    assert (by_name["compactness"] > 0).tolist() == (by_name["pair"] == "north").tolist()
    dates = by_name["after_date"][by_name["pair"] == "north"]
    assert set(dates.astype("datetime64[D]").astype(str)) == {"2021-06-03"}
    assert np.isnat(by_name["after_date"][by_name["pair"] == "south"]).all()
    with closing(sqlite3.connect(tmp_path / "out" / "changes.gpkg")) as database:
        styles = database.execute("SELECT f_table_name, useAsDefault FROM layer_styles").fetchall()
        titles = dict(database.execute("SELECT table_name, description FROM gpkg_contents"))
        (metadata,) = database.execute(
            "SELECT metadata FROM gpkg_metadata JOIN gpkg_metadata_reference ON id = md_file_id"
            " WHERE table_name = 'changes'"
        ).fetchone()
    assert titles["changes"].startswith("Changes, 2020-06-01 to 2021-06-03, ") and "° N" in titles["changes"]
    assert "Changed regions of 2 pairs, by cva." in metadata and "counts more than once" in metadata
    assert sorted(styles) == [("changes", 0), ("changes", 1), ("footprint", 1)]


def test_what_is_done_is_not_done_again_until_something_about_it_changes(scenes, tmp_path):
    for name in ("north", "south"):
        (tmp_path / name).mkdir()
        for date in ("before.tif", "after.tif"):
            (tmp_path / name / date).write_bytes((scenes / name / date).read_bytes())
    rows = [f"{name},{name}/before.tif,{name}/after.tif" for name in ("north", "south")]
    pairs, out = write_list(tmp_path / "pairs.csv", *rows), tmp_path / "out"
    assert batch(pairs, out)[0].status == 0
    kept = {name: stamps(out / name) for name in ("north", "south")}
    everything = len(layer(out / "changes.gpkg"))

    told, again = batch(pairs, out)
    assert told.status == 0 and set(states(again).values()) == {"done before"}
    assert {name: stamps(out / name) for name in kept} == kept

    # Other options of polygons: these again, the raster as it was, and what a run from scratch gives.
    other = ("--threshold", "0.8", "--min-area", "300", "--merge-gap", "100", "--shape-attributes")
    told, again = batch(pairs, out, *other)
    assert told.status == 0 and set(states(again).values()) == {"outlined again"}
    assert stamps(out / "north")["change_probability.tif"] == kept["north"]["change_probability.tif"]
    scratch = tmp_path / "scratch"
    assert batch(pairs, scratch, *other)[0].status == 0
    assert len(layer(out / "changes.gpkg")) != everything
    assert layer(out / "changes.gpkg").equals(layer(scratch / "changes.gpkg"))
    assert batch(pairs, out, *other)[1]["north"]["state"] == "done before"

    # One line gets a band of its own: this pair alone is scored again.
    changed = write_list(
        tmp_path / "pairs.csv", rows[0] + ",", rows[1] + ",2", heading="name,before,after,bands"
    )
    told, again = batch(changed, out)
    assert told.status == 0, told.err
    assert states(again) == {"north": "outlined again", "south": "done"}
    assert json.loads((out / "south" / "run.json").read_text())["bands"] == ["green"]

    # Kinds are asked for, which the rasters do not have.
    told, again = batch(changed, out, "--kinds", "--debug")
    assert told.status == 0 and set(states(again).values()) == {"done"}
    with rasterio.open(out / "north" / "change_probability.tif") as raster:
        assert raster.count == 2
    told, again = batch(changed, out)
    assert set(states(again).values()) == {"done"}

    # A scene is delivered again.
    late = rsdetect.open_pair(tmp_path / "north" / "before.tif", tmp_path / "north" / "after.tif").grid
    assert late.shape == (150, 210)
    changed_pair(tmp_path / "north", 150, 210, seed=2)
    told, again = batch(changed, out)
    assert states(again) == {"north": "done", "south": "done before"}


def test_a_pair_that_fails_is_reported_and_does_not_stop_the_rest(scenes, tmp_path):
    pairs = write_list(
        tmp_path / "pairs.csv", "gone,no.tif,no.tif", row_of(scenes, "north"), row_of(scenes, "south")
    )
    told, rows = batch(pairs, tmp_path / "out", run=run_apart)
    assert told.status == 2
    assert states(rows) == {"gone": "failed", "north": "done", "south": "done"}
    assert str(tmp_path / "no.tif") in rows["gone"]["why"]
    assert "1 of 3 pairs failed" in told.err and "Traceback" not in told.err
    assert not (tmp_path / "out" / "gone").exists()
    assert set(layer(tmp_path / "out" / "changes.gpkg")["pair"]) == {"north", "south"}


def test_json_is_one_object_with_the_values_of_the_table(scenes, tmp_path):
    pairs = write_list(tmp_path / "pairs.csv", row_of(scenes, "north"), "gone,no.tif,no.tif")
    told, rows = batch(pairs, tmp_path / "out", "--json")
    content = json.loads(told.out)
    assert (told.status, told.err) == (2, "")
    assert content["counts"]["done"] == 1 and content["exit_status"] == 2
    assert [row["state"] for row in content["pairs"]] == ["done", "failed"]
    assert float(rows["north"]["changed_area_m2"]) == content["pairs"][0]["changed_area_m2"]
    stored = json.loads((tmp_path / "out" / "batch.json").read_text())
    assert stored["pairs"] == content["pairs"] and stored["made"] == ["north"]


def test_a_failure_that_may_pass_ends_with_3_and_the_next_run_finishes_it(scenes, tmp_path, monkeypatch):
    from rsdetect.scoring.store import WorkStore

    pairs = write_list(tmp_path / "pairs.csv", row_of(scenes, "north"), row_of(scenes, "south"))
    genuine = WorkStore.put

    def full(store, tile, *scored):
        if "north" in str(store.folder) and tile.col > 1:
            raise OSError(28, "No space left on device", str(store.folder))
        genuine(store, tile, *scored)

    with monkeypatch.context() as patch:
        patch.setattr(WorkStore, "put", full)
        told, rows = batch(pairs, tmp_path / "out")
    assert told.status == 3
    assert states(rows) == {"north": "failed", "south": "done"}
    assert rows["north"]["exit_status"] == "3" and "No space left" in rows["north"]["why"]
    told, rows = batch(pairs, tmp_path / "out")
    assert told.status == 0 and states(rows) == {"north": "done", "south": "done before"}
    counts = json.loads((tmp_path / "out" / "north" / "run.json").read_text())["counts"]
    assert 0 < counts["tiles_scored_in_this_run"] < counts["tiles"]


def test_a_defect_in_one_pair_is_a_row_with_status_1(scenes, tmp_path, monkeypatch):
    import rsdetect.batches.run

    genuine = rsdetect.batches.run.run_detect

    def broken(before, *rest):
        if "north" in before:
            raise ZeroDivisionError("oh")
        return genuine(before, *rest)

    monkeypatch.setattr("rsdetect.batches.run.run_detect", broken)
    pairs = write_list(tmp_path / "pairs.csv", row_of(scenes, "north"), row_of(scenes, "south"))
    told, rows = batch(pairs, tmp_path / "out")
    assert told.status == 1
    assert states(rows) == {"north": "failed", "south": "done"}
    assert "a bug in rsdetect (ZeroDivisionError: oh)" in rows["north"]["why"]
    told, _ = batch(pairs, tmp_path / "out", "--debug")
    assert told.status == 1 and "Traceback" in told.err


def test_results_of_somebody_else_are_not_replaced_unasked(scenes, tmp_path):
    out = tmp_path / "out"
    rsdetect.detect(
        scenes / "south" / "before.tif",
        scenes / "south" / "after.tif",
        out=out / "north",
        detector="cva",
        quiet=True,
    )
    kept = stamps(out / "north")
    pairs = write_list(tmp_path / "pairs.csv", row_of(scenes, "north"))
    for _ in range(2):  # the refusal itself must not make them the batch's own
        told, rows = batch(pairs, out)
        assert told.status == 2 and "`overwrite=True`" in rows["north"]["why"]
        assert stamps(out / "north") == kept
    told, rows = batch(pairs, out, "--overwrite")
    assert told.status == 0 and rows["north"]["state"] == "done"


def test_pairs_without_a_crs_are_done_and_named_but_lie_in_no_common_file(scenes, tmp_path):
    arrays = changed_pair(tmp_path / "made", 90, 100).arrays
    before, after = (write_plain(tmp_path / f"{i}.png", array) for i, array in enumerate(arrays))
    pairs = write_list(tmp_path / "pairs.csv", f"plain,{before},{after}", row_of(scenes, "north"))
    told, rows = batch(pairs, tmp_path / "out")
    assert told.status == 0, told.err
    assert int(rows["plain"]["regions"]) > 0 and rows["plain"]["changed_area_m2"] == ""
    assert "Not in changes.gpkg, because they have no CRS: plain" in told.err
    assert set(layer(tmp_path / "out" / "changes.gpkg")["pair"]) == {"north"}

    alone = write_list(tmp_path / "alone.csv", f"plain,{before},{after}")
    told, _ = batch(alone, tmp_path / "alone")
    assert told.status == 0, told.err
    assert len(layer(tmp_path / "alone" / "changes.gpkg")["pair"]) == 0


def test_each_line_may_have_masks_and_an_area_of_its_own(scenes, tmp_path):
    hidden = np.zeros((150, 210), np.uint8)
    hidden[:, :100] = 9
    write_scene(tmp_path / "mask.tif", hidden, transform=TEN_METRES)
    pairs = write_list(
        tmp_path / "pairs.csv",
        row_of(scenes, "north") + ",mask.tif,9",
        row_of(scenes, "south") + ",,",
        heading="name,before,after,mask,mask-values",
    )
    told, _ = batch(pairs, tmp_path / "out", "--mask-values", "3,8")
    assert told.status == 0, told.err
    assert (read_raster(tmp_path / "out" / "north")[:, :100] == 255).all()
    assert (read_raster(tmp_path / "out" / "north")[20:, 100:] != 255).all()
    assert (read_raster(tmp_path / "out" / "south")[20:] != 255).all()


BAD_LISTS = {
    "no column": ("name,before\na,b.tif", "no column 'after'"),
    "unknown column": ("name,before,after,treshold\na,b.tif,c.tif,1", "did you mean 'threshold'?"),
    "twice": ("name,before,after,after\na,b.tif,c.tif,d.tif", "'after' twice"),
    "empty": ("name,before,after\n", "lists no pair"),
    "nothing at all": ("", "no column 'name'"),
    "no name": ("name,before,after\n,b.tif,c.tif", "line 2 has no name"),
    "no after": ("name,before,after\na,b.tif", "line 2 has no after"),
    "two of one name": ("name,before,after\na,b.tif,c.tif\nA,b.tif,d.tif", "two pairs named 'A'"),
    "no folder": ("name,before,after\n../a,b.tif,c.tif", "cannot be the name of a folder"),
    "name of a result": ("name,before,after\nbatch.json,b.tif,c.tif", "the name of an output of"),
    "too many cells": ("name,before,after,dates\na,b.tif,c.tif,2020-01-01,2021-01-01", "quote cells"),
    "a date": ("name,before,after,dates\na,b.tif,c.tif,yesterday", "line 2: --dates 'yesterday'"),
    "a threshold": ("name,before,after,threshold\na,b.tif,c.tif,7", "line 2: --threshold 7"),
    "an area": (
        "name,before,after,min_area\na,b.tif,c.tif,big",
        "line 2: --min-area 'big' is neither a number",
    ),
    "a truth": ("name,before,after,align\na,b.tif,c.tif,maybe", "neither yes nor no"),
    "a detector": ("name,before,after,detector\na,b.tif,c.tif,magic", "--detector 'magic' is unknown"),
    "a detector of a pair": (
        "name,before,after,detector\na,b.tif,c.tif,magic",
        "pair 'a': --detector",
    ),
    "a parameter": (
        "name,before,after,detector_options\na,b.tif,c.tif,x=1",
        "pair 'a': --detector-o",
    ),
    "no text": ("name,before,after\n\udcff", "is no text in UTF-8"),
}


@pytest.mark.parametrize(("text", "said"), BAD_LISTS.values(), ids=BAD_LISTS)
def test_a_wrong_list_is_refused_in_one_line_and_nothing_is_written(tmp_path, text, said):
    (tmp_path / "pairs.csv").write_bytes(text.encode(errors="surrogateescape"))
    told, _ = batch(tmp_path / "pairs.csv", tmp_path / "out")
    assert (told.status, told.err.count("\n")) == (2, 1), told.err
    assert said in told.err
    assert not (tmp_path / "out").exists()


def test_a_list_that_is_not_there_and_a_folder_of_something_else(scenes, tmp_path):
    told, _ = batch(tmp_path / "no.csv", tmp_path / "out")
    assert told.status == 2 and "no.csv cannot be read" in told.err
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "batch.json").write_text("{}")
    pairs = write_list(tmp_path / "pairs.csv", row_of(scenes, "north"))
    told, _ = batch(pairs, tmp_path / "out")
    assert told.status == 2 and "not the report of a batch" in told.err
    assert listing(tmp_path / "out") == ["batch.json"]


def start(pairs, out, tiles, release=""):
    options = ("--out", out, *CVA, "--workers", 2, "--quiet")
    return start_held("batch", pairs, *options, tiles=tiles, release=release)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_batch_that_is_stopped_resumes_where_it_was(scenes, tmp_path, how):
    pairs = write_list(tmp_path / "pairs.csv", row_of(scenes, "north"), row_of(scenes, "south"))
    north = 12  # tiles of 64 pixels in 150 x 210
    with start(pairs, tmp_path / "out", tiles=north + 2) as child:
        wait_for_tiles(child, tmp_path / "out" / "south", 1)
        child.send_signal(how)
        _, said = child.communicate(timeout=60)
    if how == signal.SIGINT:
        assert child.returncode == 3, said
        assert "resumes" in said
        rows = json.loads((tmp_path / "out" / "batch.json").read_text())["pairs"]
        assert [row["state"] for row in rows] == ["done", "waiting"]
        assert set(layer(tmp_path / "out" / "changes.gpkg")["pair"]) == {"north"}
    told, rows = batch(pairs, tmp_path / "out")
    assert told.status == 0, told.err
    assert states(rows) == {"north": "done before", "south": "done"}
    counts = json.loads((tmp_path / "out" / "south" / "run.json").read_text())["counts"]
    assert counts["tiles_scored_in_this_run"] < counts["tiles"]
    batch(pairs, tmp_path / "whole")
    assert layer(tmp_path / "out" / "changes.gpkg").equals(layer(tmp_path / "whole" / "changes.gpkg"))
    assert listing(tmp_path / "out") == listing(tmp_path / "whole")


def test_two_batches_at_once_do_not_share_a_folder(scenes, tmp_path):
    pairs = write_list(tmp_path / "pairs.csv", row_of(scenes, "north"))
    with start(pairs, tmp_path / "out", tiles=2, release=tmp_path / "release") as child:
        wait_for_tiles(child, tmp_path / "out", 1)
        told = run_here("batch", pairs, "--out", tmp_path / "out", *CVA)
        (tmp_path / "release").touch()
        assert told.status == 3 and "another run is active" in told.err
        child.communicate(timeout=60)
    assert child.returncode == 0


def test_one_cluster_does_all_pairs_and_its_end_stops_the_batch(scenes, tmp_path):
    distributed = pytest.importorskip("distributed")
    pairs = write_list(tmp_path / "pairs.csv", row_of(scenes, "north"), row_of(scenes, "south"))
    settings = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(protocol="tcp://", **settings) as cluster:
        address = cluster.scheduler_address
        told, rows = batch(pairs, tmp_path / "there", "--scheduler", address)
        assert told.status == 0, told.err
        batch(pairs, tmp_path / "here")
        for name in rows:
            np.testing.assert_array_equal(
                read_raster(tmp_path / "there" / name), read_raster(tmp_path / "here" / name)
            )

        import rsdetect.batches.run

        genuine = rsdetect.batches.run.run_detect

        def ends(before, *rest):
            if "south" in before:
                cluster.close()
                patch.setattr("rsdetect.scoring.engine._SECONDS_TO_ANSWER", 1)
            return genuine(before, *rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("rsdetect.batches.run.run_detect", ends)
            told, rows = batch(pairs, tmp_path / "gone", "--scheduler", address)
    assert told.status == 3 and "is unavailable" in told.err
    assert states(rows) == {"north": "done", "south": "waiting"}
    told, _ = batch(pairs, tmp_path / "nowhere", "--scheduler", "tcp://127.0.0.1:9")
    assert told.status == 3 and not (tmp_path / "nowhere").exists()


def test_a_damaged_record_of_a_pair_is_no_defect(scenes, tmp_path):
    pairs = write_list(tmp_path / "pairs.csv", row_of(scenes, "north"))
    out = tmp_path / "out"
    assert run_here("batch", pairs, "--out", out, *CVA).status == 0
    record = out / "north" / "run.json"
    content = json.loads(record.read_text())
    for name in ("merge_gap", "seconds", "counts"):
        record.write_text(json.dumps(content | {name: [{}]}))
        told = run_here("batch", pairs, "--out", out, *CVA)
        row = json.loads((out / "batch.json").read_text())["pairs"][0]
        assert told.status in (0, 2) and "a bug" not in row["why"], name
