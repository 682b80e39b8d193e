"""docs/outputs.md names every key and column of real outputs, with its type, and no other."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path

import geopandas
import pytest
import rasterio
import shapely

from rsdetect import compare, detect, detect_periods
from support import toy_detector
from support.batches import batch, write_list
from support.jobs import changed_pair, run_here
from support.memory import memory_scene
from support.scenes import write_scene
from support.watched_jobs import deliver, series, write_job

DOC = Path(__file__).parents[2] / "docs" / "outputs.md"
RUNS = ("cva", "siamese", "memory", "toy", "periods")
JSON_TYPES = {
    "text": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "list": list,
    "null": type(None),
}
SQL_TYPES = {
    "integer": {"INTEGER", "MEDIUMINT"},
    "real": {"REAL"},
    "text": {"TEXT"},
    "date": {"DATE"},
    "time": {"DATETIME"},
    "polygon": {"POLYGON"},
    "multipolygon": {"MULTIPOLYGON"},
}


def described(title):
    """{pattern: type} of a table, braces written out."""
    section = DOC.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    found = {}
    for name, kind in re.findall(r"^\| `([^`]+)` \| ([a-z ]+) \|", section, re.MULTILINE):
        parts = re.split(r"\{([^}]*)\}", name)
        choices = [part.split(",") if number % 2 else [part] for number, part in enumerate(parts)]
        for each in product(*choices):
            assert "".join(each) not in found, f"{each} is there twice"
            found["".join(each)] = kind
    return found


def flat(value, path=""):
    """(key, value) of all that is no mapping; each item of a list of mappings counts under []."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield from flat(inner, f"{path}[]")
    else:
        yield path, value


def matching(name, patterns):
    escaped = {pattern: pattern.replace("[]", "[[]]") for pattern in patterns}
    return [pattern for pattern in patterns if pattern == name or fnmatchcase(name, escaped[pattern])]


def require_json(title, files):
    patterns, seen = described(title), set()
    for file in files:
        for key, value in flat(json.loads(file.read_text(encoding="utf-8"))):
            found = matching(key, patterns)
            assert len(found) == 1, f"{key} of {file.name} is described {len(found)} times"
            kinds = patterns[found[0]].split(" or ")
            fits = "any" in kinds or any(
                isinstance(value, JSON_TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
                for kind in kinds
            )
            assert fits, f"{key} = {value!r} is no {patterns[found[0]]}"
            seen.add(found[0])
    assert seen == set(patterns), "described, and in no output"


def require_columns(title, *files):
    patterns, seen = described(title), set()
    layer = re.search(r"layer `(\w+)`", title)[1]
    for file in files:
        with closing(sqlite3.connect(file)) as database:
            columns = database.execute("SELECT name, type FROM pragma_table_info(?)", (layer,)).fetchall()
        assert columns
        for name, sql_type in columns:
            found = matching(name, patterns)
            assert len(found) == 1, f"{name} of {title} is described {len(found)} times"
            assert sql_type in SQL_TYPES[patterns[found[0]]], name
            seen.add(found[0])
    assert seen == set(patterns), "described, and in no output"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of a run by change vector analysis, a network, a detector of others, and of one on arrays."""
    folder = tmp_path_factory.mktemp("runs")
    scenes = changed_pair(folder / "scenes", 120, 140)
    mask = write_scene(folder / "mask.tif", 0 * scenes.arrays[0][:1])
    common = [
        scenes.before,
        scenes.after,
        "--mask",
        f"{mask},{mask}",
        "--shape-attributes",
        "--quiet",
        "--out",
    ]
    toy = f"{toy_detector.__file__}:Greenness"
    for name, detector in (("cva", "cva"), ("siamese", "siamese"), ("toy", toy)):
        told = run_here("detect", *common, folder / name, "--detector", detector)
        assert told.status == 0, told.err
    arrays = changed_pair(folder / "larger", 200, 210).arrays  # enough of it to register
    mask = write_scene(folder / "larger.tif", 0 * arrays[0][:1])
    options = {"detector": "cva", "register": True, "masks": (mask, mask), "quiet": True}
    detect(*(memory_scene(array, nodata=0) for array in arrays), out=folder / "memory", **options)
    for day, date in (("20230503", "before"), ("20240503", "after")):
        shutil.copy(folder / "scenes" / f"{date}.tif", folder / f"{day}.tif")
    periods = {"before_period": "2023", "after_period": "2024", "scenes": folder / "20*.tif"}
    detect_periods(**periods, detector="cva", quiet=True, out=folder / "periods")
    return folder


@pytest.fixture(scope="module")
def batch_folder(runs):
    scenes = runs / "scenes"
    rows = [f"field,{scenes / 'before.tif'},{scenes / 'after.tif'}", "gone,a.tif,b.tif"]
    with rasterio.open(scenes / "before.tif") as scene:
        zone = shapely.box(*scene.bounds)
        geopandas.GeoSeries([zone], crs=scene.crs).to_file(runs / "zones.gpkg")
    told, _ = batch(write_list(runs / "pairs.csv", *rows), runs / "batch", "--zones", runs / "zones.gpkg")
    assert told.status == 2, told.err
    return runs / "batch"


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    deliver(folder, series(), 0, 1, 2)
    outlines = {"opening": 1, "fill_holes": 5000, "min_width": 20, "merge_gap": 60}
    detector = {"name": "cva", "min_area": 1000, "threshold": 0.5, **outlines}
    told = run_here("monitor", "run", write_job(folder, detector=detector))
    assert told.status == 0, told.err
    return folder / "out" / "events.gpkg"


def test_every_key_of_run_json_is_described(runs):
    require_json("`run.json`", [runs / name / "run.json" for name in RUNS])


def test_a_run_without_masks_has_null_for_them(batch_folder):
    record = json.loads((batch_folder / "field" / "run.json").read_text())
    assert record["inputs"]["before"]["mask"] is None


def test_every_key_of_batch_json_is_described(batch_folder):
    require_json("`batch.json`", [batch_folder / "batch.json"])
    header = (batch_folder / "summary.csv").read_text().splitlines()[0].split(",")
    assert {f"pairs[].{name}" for name in header} == {
        key for key in described("`batch.json`") if key.startswith("pairs[]")
    }


def test_every_key_of_comparison_json_is_described(runs, tmp_path):
    before, after = (runs / "scenes" / f"{date}.tif" for date in ("before", "after"))
    compare(before, after, detectors="cva,irmad,none", truth=runs / "mask.tif", out=tmp_path / "several")
    compare(before, after, detectors="cva", out=tmp_path / "one")
    require_json("`comparison.json`", [tmp_path / name / "comparison.json" for name in ("several", "one")])


@pytest.mark.parametrize("layer", ["changes", "footprint"])
def test_every_column_of_the_changes_is_described(runs, batch_folder, layer):
    require_columns(
        f"`changes.gpkg`, layer `{layer}`", runs / "cva" / "changes.gpkg", batch_folder / "changes.gpkg"
    )


def test_every_column_of_the_zones_is_described(batch_folder):
    require_columns("`changes.gpkg`, layer `zones`", batch_folder / "changes.gpkg")


@pytest.mark.parametrize("layer", ["events", "observations"])
def test_every_column_of_the_events_is_described(events, layer):
    require_columns(f"`events.gpkg`, layer `{layer}`", events)


def test_the_numbers_in_the_text_are_those_of_the_code():
    from rsdetect import schema
    from rsdetect.monitoring.journal_file import VERSION

    rows = re.findall(
        r"\| (\d+) \|$", DOC.read_text(encoding="utf-8").split("\n- The number")[0], re.MULTILINE
    )
    assert [int(number) for number in rows] == [schema.RUN, schema.GEOPACKAGE, VERSION]
    assert schema.RUN == schema.BATCH == schema.EVALUATION
