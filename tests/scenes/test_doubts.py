"""Doubts about place, validity and units: status 2 and a sentence, unless they are accepted by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from affine import Affine

from rsdetect import InputError, check, detect
from rsdetect.errors import DoubtError
from rsdetect.ingestion.scenes_section import ScenesSection
from support.jobs import run_here
from support.scenes import UTM, random_scene, write_scene
from support.watched_jobs import DAYS, deliver, series, write_job

NOWHERE = Affine.identity()


@pytest.fixture
def unplaced(tmp_path):
    """Two files that name a CRS and have no transform, as an export that lost its georeference has."""
    return [
        write_scene(tmp_path / f"{name}.tif", random_scene(seed), crs=UTM, transform=NOWHERE)
        for seed, name in enumerate(("before", "after"))
    ]


def test_a_file_with_a_crs_and_no_transform_is_refused(unplaced, tmp_path):
    told = run_here("detect", *unplaced, "--detector", "cva", "--out", tmp_path / "out")
    assert told.status == 2
    assert "before.tif names EPSG:32632 and has no transform" in told.err
    assert "gdal_edit.py -a_ullr" in told.err and "--accept no-place" in told.err
    assert not (tmp_path / "out" / "run.json").exists()


def test_an_accepted_doubt_is_in_the_record(unplaced, tmp_path):
    out = tmp_path / "out"
    told = run_here("detect", *unplaced, "--detector", "cva", "--accept", "no-place", "--out", out)
    assert told.status == 0, told.err
    record = json.loads((out / "run.json").read_text())
    assert record["options"]["pair"]["accept"] == ["no-place"]
    assert record["check"]["doubts"] == ["no-place"]
    assert any("has no transform" in warning for warning in record["warnings"])
    assert record["check"]["overlap"]["crs"] == "no CRS", "its CRS says nothing where there is no place in it"


def test_python_raises_the_doubt(unplaced, tmp_path):
    with pytest.raises(DoubtError, match=r"`accept='no-place'` goes on"):
        detect(*unplaced, out=tmp_path / "out", detector="cva")
    assert check(*unplaced, accept="no-place").as_json()["doubts"] == ["no-place"]


def test_names_that_no_doubt_has_are_refused(unplaced):
    with pytest.raises(InputError, match=r"`accept` 'everything' is not a doubt; there are .*no-place"):
        check(*unplaced, accept=["everything"])


def test_a_batch_takes_the_doubt_in_its_list(unplaced, tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text("name,before,after,accept\na,before.tif,after.tif,no-place\nb,before.tif,after.tif,\n")
    told = run_here("batch", table, "--out", tmp_path / "out", "--detector", "cva")
    assert told.status == 2
    assert (tmp_path / "out" / "a" / "run.json").exists()
    assert "--accept no-place" in told.err + told.out


def test_monitoring_sets_a_doubtful_scene_aside_and_goes_on(tmp_path):
    deliver(tmp_path, series(), 0, 1, 2)
    name = "20241231.tif"
    with rasterio.open(tmp_path / "scenes" / f"{DAYS[0]:%Y%m%d}.tif") as dataset:
        write_scene(tmp_path / "scenes" / name, dataset.read(), crs=dataset.crs, transform=NOWHERE)
    write_scene(tmp_path / "scenes" / "20241231_mask.tif", np.zeros((96, 96), np.uint8), transform=NOWHERE)
    told = run_here("monitor", "run", write_job(tmp_path))
    assert told.status == 0, told.err
    assert name in told.err + told.out and "has no transform" in told.err + told.out


def test_job_files_know_the_key():
    assert ScenesSection(accept=("no-place",)).accept == ("no-place",)
