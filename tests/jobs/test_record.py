"""The record: what it holds, and the fingerprint by which an interrupted job is found again."""

import hashlib
import json
import math
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import rsdetect
from rsdetect.checks.scan import Scan
from rsdetect.detectors.cva import CvaDetector
from rsdetect.files import as_json
from rsdetect.jobs.record import Stopwatch, describe_input, fingerprint, read_record, write_record
from rsdetect.scenes.pair import PairOptions, open_pair
from rsdetect.tiles import plan_tiles
from support.jobs import changed_pair
from support.scenes import write_scene


@pytest.fixture
def scenes(tmp_path):
    return changed_pair(tmp_path / "scenes", 120, 140)


def test_a_record_holds_all_that_was_promised(scenes, tmp_path):
    record = rsdetect.detect(
        scenes.before, scenes.after, out=tmp_path / "out", detector="cva", quiet=True, min_area=50
    ).record
    before = record["inputs"]["before"]
    content = Path(scenes.before).read_bytes()
    assert before["path"] == scenes.before
    assert before["bytes"] == len(content)
    assert before["modified"].startswith("20")
    assert before["header_sha256"] == hashlib.sha256(content[:65536]).hexdigest()
    assert len(before["sample_sha256"]) == 64
    assert record["options"]["polygons"] == {
        "threshold": None,
        "opening": 0,
        "min_area": 50,
        "fill_holes": 0,
        "min_width": 0,
        "merge_gap": 0,
        "simplify": 0,
        "shape_attributes": False,
    }
    assert (record["threshold"], record["level_percent"]) == (0.5, 50)
    assert record["detector"]["name"] == "cva"
    assert record["machine"]["versions"]["torch"] == version("torch")
    assert record["machine"]["device"] == "cpu"
    assert record["machine"]["peak_memory_mib"] > 50
    assert set(record["seconds"]) >= {"check", "fit", "score", "raster", "polygons"}
    assert all(seconds >= 0 for seconds in record["seconds"].values())
    assert record["check"]["valid_share"] == pytest.approx(113 / 120)
    assert record["bands"] == ["red", "green", "blue"]


def test_the_record_of_a_network_names_its_weights(scenes, tmp_path):
    out = tmp_path / "out"
    record = rsdetect.detect(scenes.before, scenes.after, out=out, detector="siamese", quiet=True).record
    weights = Path(rsdetect.__file__).parent / "models" / "siamese.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() in json.dumps(record["detector"])


def key(scenes, options=None, tile_size=64):
    pair = open_pair(scenes.before, scenes.after, options or PairOptions())
    scorer = CvaDetector().fit(Scan(pair))
    inputs = {"before": describe_input(pair.before, pair), "after": describe_input(pair.after, pair)}
    return fingerprint(inputs, pair, scorer.provenance(), plan_tiles(pair.grid, tile_size, 0, 1))


def test_the_fingerprint_of_the_same_job_is_the_same(scenes):
    assert key(scenes) == key(scenes)


def test_the_fingerprint_tells_jobs_apart(scenes, tmp_path):
    mask = write_scene(tmp_path / "mask.tif", np.zeros((120, 140), np.uint8))
    keys = [
        key(scenes),
        key(scenes, PairOptions(bands=(1, 2))),
        key(scenes, PairOptions(bands=(2, 1))),
        key(scenes, PairOptions(masks=(mask,))),
        key(scenes, PairOptions(masks=(mask,), mask_values=(3,))),
        key(scenes, PairOptions(masks=(mask,), mask_bits=(3,))),
        key(scenes, tile_size=128),
        key(replace(scenes, before=scenes.after, after=scenes.before)),
    ]
    Path(scenes.after).touch()
    keys.append(key(scenes))
    assert len(set(keys)) == len(keys)


def test_a_record_comes_back_as_it_was_written(tmp_path):
    dates = {date: {"path": "a.tif", "date": None} for date in ("before", "after")}
    needed = dict.fromkeys(("threshold", "min_area", "simplify"), 0.5)
    needed |= {"rsdetect": "1", "inputs": dates, "check": dates, "counts": {}, "options": {"pair": {}}}
    needed |= {"detector": {"threshold": 0.5}}
    write_record(tmp_path / "run.json", needed | {"name": "Höhe", "n": [1, 2.5]})
    assert read_record(tmp_path / "run.json") == needed | {"name": "Höhe", "n": [1, 2.5]}


def test_numbers_that_are_not_finite_become_null():
    told = json.loads(as_json({"a": [math.nan, 1.5], "b": {"c": -math.inf}, "d": (1, math.inf)}))
    assert told == {"a": [None, 1.5], "b": {"c": None}, "d": [1, None]}


def test_a_stage_that_comes_twice_is_added_up():
    watch = Stopwatch()
    for _ in range(2):
        with watch.stage("check"):
            time.sleep(0.01)
    assert watch.seconds["check"] >= 0.02
