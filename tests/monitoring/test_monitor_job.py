"""The job file: its example, its schema, and the words for what is wrong with it."""

from __future__ import annotations

import json

import pytest
import yaml

from rsdetect.errors import InputError
from rsdetect.monitoring.job import CompositeBaseline, FixedBaseline
from rsdetect.monitoring.job_file import EXAMPLE, SCHEMA, read_job, schema_text
from support.jobs import run_here

LEAST = {"site": "a", "out": "o", "source": {"kind": "list", "path": "s.csv"}}


def read(tmp_path, **changes):
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(LEAST | changes))
    return read_job(path)


def test_init_writes_an_example_that_is_a_job(tmp_path):
    told = run_here("monitor", "init", tmp_path / "mine.yaml")
    assert (told.status, told.out) == (0, "")
    assert (tmp_path / "mine.yaml").read_text() == EXAMPLE.read_text()
    assert isinstance(read_job(tmp_path / "mine.yaml").baseline, CompositeBaseline)


def test_every_key_of_the_example_has_its_default(tmp_path):
    """But for those that a job must have its own of."""
    example = read_job(EXAMPLE)
    plain = read(tmp_path, detector={"min_area": 500}, baseline={"policy": "composite"})
    for section in ("scenes", "baseline", "detector", "confirm"):
        assert getattr(example, section) == getattr(plain, section)


def test_the_committed_schema_is_the_one_of_the_code():
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), (
        "the job's sections changed; write it again: python -c 'from rsdetect.monitoring.job_file import *; "
        "SCHEMA.write_text(schema_text())'"
    )


def test_the_schema_describes_every_key():
    schema = json.loads(schema_text())
    sections = [schema, *schema["$defs"].values()]
    undescribed = [
        (section["title"], key)
        for section in sections
        for key, value in section.get("properties", {}).items()
        if not value.get("description")
    ]
    assert undescribed == []
    assert all(section["additionalProperties"] is False for section in sections)


def test_a_date_in_yaml_is_the_text_of_that_date(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(
        "site: a\nout: o\nsource: {kind: list, path: s}\nbaseline: {policy: fixed, scene: 2024-05-03}"
    )
    assert read_job(path).baseline == FixedBaseline(scene="2024-05-03")


def test_auto_is_the_detectors_own_threshold(tmp_path):
    assert read(tmp_path, detector={"threshold": "auto"}).detector.threshold is None
    assert read(tmp_path, detector={"threshold": 0.4}).detector.threshold == 0.4


def test_tiles_follow_from_the_memory_unless_the_job_sets_them(tmp_path):
    plain = read(tmp_path).detector
    assert (plain.memory, plain.tile_size) == (None, None)
    assert read(tmp_path, detector={"memory": "2GB"}).detector.memory == "2GB"


def test_paths_count_from_the_job_file(tmp_path):
    job = read(tmp_path)
    assert job.resolve_path("results", tmp_path / "job.yaml") == tmp_path / "results"
    assert str(job.resolve_path("/elsewhere", tmp_path / "job.yaml")) == "/elsewhere"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"detecto": {}}, "a job knows no key 'detecto' (did you mean 'detector'?)"),
        ({"zzz": 1}, "a job knows no key 'zzz' (there are aoi, baseline, confirm"),
        ({"source": {"kind": "liste", "path": "x"}}, "source.kind must be one of folder, list, stac"),
        ({"source": {"kind": "list", "paht": "x"}}, "source knows no key 'paht' (did you mean 'path'?)"),
        ({"news": {"hook": {"kind": "command", "comand": []}}}, "news.hook knows no key 'comand'"),
        (
            {"baseline": {"policy": "composite", "cuont": 3}},
            "knows no key 'cuont' (did you mean 'count'?)",
        ),
        ({"confirm": {"seen": 0}}, "confirm.seen: input should be greater than or equal to 1 (got 0)"),
        ({"scenes": {"exclude": "one"}}, "scenes.exclude: input should be a valid"),
        ({"detector": {"memory": "much"}}, "detector.memory: 'much' is not a size; write it like 2GB"),
        ({"detector": {"memory": "1MB"}}, "detector.memory: 1MB is too small"),
    ],
)
def test_an_error_is_reported_with_its_key(tmp_path, changes, told):
    with pytest.raises(InputError) as refused:
        read(tmp_path, **changes)
    assert told in str(refused.value)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)
