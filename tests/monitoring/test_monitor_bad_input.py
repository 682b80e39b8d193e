"""What a monitoring job refuses: one sentence, the right status, and nothing half-written."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import geopandas
import numpy as np
import pytest
import yaml
from affine import Affine
from shapely.geometry import box

from rsdetect.folders import LOCK, MARK
from support.jobs import contents, listing, run_here
from support.monitored import events_of, write_job
from support.scenes import TEN_METRES, write_scene

DETECTOR = {"name": "cva", "min_area": 300}


def scene(stamp, *, changed=False, **profile):
    """A ground that all dates share, and a bright block on some of them."""
    array = np.random.default_rng(0).integers(1000, 2000, (3, 40, 40)).astype(np.uint16)
    if changed:
        array[:, 10:20, 10:20] += 3000
    return write_scene(f"scenes/{stamp}.tif", array, **profile)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with three good scenes and a job over them."""
    monkeypatch.chdir(tmp_path)
    scene("20240101")
    scene("20240201", changed=True)
    scene("20240301", changed=True)
    job(mask_pattern=None)
    return tmp_path


def job(out="out", *, mask_pattern=None, pattern="{date:%Y%m%d}.tif", **sections):
    source = {"kind": "folder", "path": "scenes", "pattern": pattern, "mask_pattern": mask_pattern}
    return write_job("job.yaml", "scenes", out, **({"source": source, "detector": DETECTOR} | sections))


def refused(here, status=2, command=("run",)):
    """Run the job, check that it fails and changes no file, and return its message."""
    kept, written = listing(here), contents(here)
    told = run_here("monitor", *command, "job.yaml")
    assert (told.status, told.out) == (status, "")
    assert re.fullmatch(r"Error: [^\n]+\n", told.err), told.err
    assert "defect" not in told.err
    assert listing(here) == kept
    assert contents(here) == written
    return told.err


def test_the_job_is_good_to_begin_with(here):
    assert run_here("monitor", "run", "job.yaml", "--quiet").status == 0
    assert list(events_of("out").status) == ["confirmed"]


# --- the job file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("site: [", "is not YAML"),
        ("", "contains no job"),
        ("- a\n- b\n", "contains no job"),
        ("site: a\nsite: b\n", "'site' is given twice (line 2)"),
        ("site: !!python/object/apply:os.getcwd []\n", "is not YAML"),
        ("out: o\nsource: {kind: list, path: s}\n", "the key 'site' is missing"),
    ],
)
def test_a_file_that_is_no_job_is_refused(here, text, told):
    Path("job.yaml").write_text(text)
    assert told in refused(here)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"baselin": {}}, "a job knows no key 'baselin' (did you mean 'baseline'?)"),
        ({"confirm": {"sen": 2}}, "confirm knows no key 'sen' (did you mean 'seen'?)"),
        ({"source": {"kind": "folder", "path": "s", "patern": "x"}}, "source knows no key 'patern'"),
        (
            {"baseline": {"policy": "seasonal"}},
            "baseline.policy must be one of previous, fixed, season, composite",
        ),
        ({"baseline": {"policy": "fixed"}}, "the key 'baseline.scene' is missing"),
        ({"confirm": {"seen": 4, "of": 3}}, "seen 4 of 3 is impossible"),
        ({"detector": {"threshold": 1.5}}, "detector.threshold: input should be less than or equal to 1"),
        ({"detector": {"name": "cvaa"}}, "'cvaa' is unknown"),
        ({"detector": {"name": "siamese", "model": "nowhere.safetensors"}}, "nowhere.safetensors"),
        ({"scenes": {"resampling": "lanczoss"}}, "scenes.resampling"),
    ],
)
def test_a_key_or_value_that_cannot_be_is_named(here, change, told):
    content = yaml.safe_load(Path("job.yaml").read_text()) | change
    Path("job.yaml").write_text(yaml.safe_dump(content))
    assert told in refused(here)
    if "detector" not in change:
        assert told in refused(here, command=("status",))


def test_a_job_file_that_is_not_there(here):
    Path("job.yaml").unlink()
    assert "job.yaml cannot be read as a job file: No such file" in refused(here)


def test_init_writes_no_file_over_another(here):
    assert "job.yaml exists" in refused(here, command=("init",))


# --- scenes ---------------------------------------------------------------------------------------------


def test_a_pattern_that_matches_nothing(here):
    job(pattern="S2_{date:%Y%m%d}.tif")
    assert "S2_{date:%Y%m%d}.tif" in refused(here)


def test_two_scenes_of_one_date(here):
    scene("20240201_b")
    job(pattern="{date:%Y%m%d}*.tif")
    told = run_here("monitor", "run", "job.yaml")
    assert told.status == 0, "the other dates are compared"
    assert "20240201.tif and 20240201_b.tif have one acquisition time" in " ".join(told.err.split())
    assert "scenes.exclude" in told.err
    job(pattern="{date:%Y%m%d}*.tif", scenes={"exclude": ["20240201_b.tif"]})
    assert run_here("monitor", "run", "job.yaml", "--quiet").status == 0


def test_every_scene_excluded(here):
    job(scenes={"exclude": ["20240101.tif", "20240201.tif", "20240301.tif"]})
    assert "excludes all 3 scenes" in refused(here)


def test_a_fixed_baseline_that_is_no_scene(here):
    job(baseline={"policy": "fixed", "scene": "2023-12-24"})
    assert "the baseline 2023-12-24 is not one of the 3 scenes" in refused(here)


def test_bands_that_no_scene_has(here):
    job(scenes={"bands": ["red", "swir"]})
    assert "has no band named 'red'" in refused(here)
    job(scenes={"bands": [1, 4]})
    assert "has bands 1 to 3, and --bands asks for 4" in refused(here)


def test_a_scene_on_another_grid_is_named_and_set_aside(here):
    half = Affine(10, 0, 500005, 0, -10, 5300005)
    scene("20240215", changed=True, transform=half)
    told = run_here("monitor", "run", "job.yaml")
    assert told.status == 0
    assert re.search(r"20240215.tif is set aside: its grid differs from the job.s \(.+columns", told.err)
    assert len(list(Path("out/steps").iterdir())) == 2
    status = run_here("monitor", "status", "job.yaml", "--json").out
    assert yaml.safe_load(status)["scenes"][2]["state"] == "set aside"


def test_a_scene_on_another_grid_is_aligned_on_request(here):
    half = Affine(10, 0, 500005, 0, -10, 5300005)
    scene("20240215", changed=True, transform=half)
    job(scenes={"align": True})
    assert run_here("monitor", "run", "job.yaml", "--quiet").status == 0
    assert len(list(Path("out/steps").iterdir())) == 3
    (event,) = events_of("out").itertuples()
    assert (str(event.first_seen)[:10], event.status) == ("2024-02-01", "confirmed")


def test_a_scene_with_other_bands_is_named_and_set_aside(here):
    write_scene("scenes/20240215.tif", np.ones((2, 40, 40), np.uint16))
    told = run_here("monitor", "run", "job.yaml")
    assert told.status == 0
    assert "20240215.tif is set aside: its bands are 2 without names, those of the job 3" in told.err


# --- the area of interest -------------------------------------------------------------------------------


def area(*bounds, crs="EPSG:32632"):
    geopandas.GeoDataFrame(geometry=[box(*bounds)], crs=crs).to_file("aoi.gpkg")


def test_an_area_of_interest_outside_all_scenes(here):
    area(600_000, 5_400_000, 600_100, 5_400_100)
    job(aoi="aoi.gpkg")
    assert "outside all 3 scenes" in refused(here)


def test_an_area_of_interest_that_is_none(here):
    job(aoi="nowhere.gpkg")
    assert "nowhere.gpkg" in refused(here)


def test_within_the_area_of_interest_alone(here):
    left, top = TEN_METRES.c, TEN_METRES.f
    area(left, top - 150, left + 150, top)
    job(aoi="aoi.gpkg")
    assert run_here("monitor", "run", "job.yaml", "--quiet").status == 0
    (event,) = events_of("out").itertuples()
    assert event.area_m2 == pytest.approx(2500 / 0.9996**2)  # a quarter of the block, on the ground


# --- the output folder ----------------------------------------------------------------------------------


def test_an_output_folder_of_another_job(here):
    assert run_here("monitor", "run", "job.yaml", "--quiet").status == 0
    job(site="another site")
    kept = contents(here / "out" / ".monitor")
    told = refused(here)
    assert "belongs to the job of 'test site'" in told
    assert "'another site'" in told
    assert contents(here / "out" / ".monitor") == kept


@pytest.mark.parametrize("name", ["events.gpkg", "run.json"])
def test_an_output_folder_with_results_of_something_else(here, name):
    Path("out").mkdir()
    (Path("out") / name).write_text("somebody's")
    assert f"{name} does not belong to this job" in refused(here)


def test_a_journal_of_a_newer_version_is_refused_and_untouched(here):
    assert run_here("monitor", "run", "job.yaml", "--quiet").status == 0
    journal = Path("out/.monitor/journal.sqlite")
    with sqlite3.connect(journal) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    scene("20240401")
    kept = contents(here / "out" / ".monitor")
    for command in ("run", "status"):
        told = refused(here, command=(command,))
        assert "written by a newer rsdetect (journal version 99, this one reads up to 1)" in told
    assert contents(here / "out" / ".monitor") == kept


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"\1" * 200])
def test_a_journal_that_is_none_is_refused_and_untouched(here, content):
    Path("out/.monitor").mkdir(parents=True)
    Path("out/.monitor/journal.sqlite").write_bytes(content)
    for name in (MARK, LOCK):
        Path("out/.monitor", name).touch()
    assert "is not a journal of a monitoring job" in refused(here)


def test_a_folder_that_cannot_be_made(here):
    Path("taken").write_text("a file")
    job(out="taken/out")
    assert "cannot be written" in refused(here)
