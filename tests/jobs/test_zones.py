"""Zones of a job: the layer, the table, zones in another CRS, and those that cannot be measured."""

import csv
import shutil
from functools import partial

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

import rsdetect
from rsdetect.errors import InputError, NothingToCompare, OutputError
from rsdetect.folders import LOCK
from support.batches import write_list
from support.jobs import changed_pair, run_here


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"), 120, 140)


@pytest.fixture(scope="module")
def parcels(scenes, tmp_path_factory):
    """A half, a valid and an invalid parcel, an empty one, and one elsewhere, in longitude and latitude."""
    with rasterio.open(scenes.before) as file:
        (left, bottom, right, top), crs = file.bounds, file.crs
    middle = (left + right) / 2
    bow = shapely.Polygon([(left, bottom), (right, top), (right, bottom), (left, top)])
    shapes = [
        shapely.box(left - 1000, bottom - 1000, middle, top + 1000),
        shapely.box(middle, bottom, right, top),
        bow,
        None,
        shapely.box(right + 5000, bottom, right + 6000, top),
    ]
    names = {"owner": ["a", "b", "c", None, "e"], "zone": [7, 8, 9, 10, 11], "value": [0.5] * 5}
    frame = geopandas.GeoDataFrame(names, geometry=shapes, crs=crs)
    path = tmp_path_factory.mktemp("parcels") / "parcels.gpkg"
    frame.to_crs(4326).to_file(path, layer="fields")
    return path


@pytest.fixture(scope="module")
def job(scenes, parcels, tmp_path_factory):
    out = tmp_path_factory.mktemp("job") / "out"
    told = run_here(
        "detect", scenes.before, scenes.after, "--out", out, "--detector", "cva", "--zones", parcels
    )
    assert told.status == 0, told.err
    return out, told


def zones_in(out):
    return pyogrio.read_dataframe(out / "changes.gpkg", layer="zones")


def test_each_zone_has_its_change_and_keeps_its_columns(job):
    out, _ = job
    zones = zones_in(out)
    changes = pyogrio.read_dataframe(out / "changes.gpkg", layer="changes")
    footprint = pyogrio.read_dataframe(out / "changes.gpkg", layer="footprint")
    assert zones.crs == changes.crs
    assert list(zones.zone) == [1, 2, 3, 5] and list(zones.owner) == ["a", "b", "c", "e"]
    assert list(zones.zone_) == [7, 8, 9, 11]
    for zone in zones.itertuples():
        parts = changes.geometry.intersection(zone.geometry)
        seen = footprint.geometry.intersection(zone.geometry).area.sum()
        assert zone.observed_share == pytest.approx(seen / zone.geometry.area, abs=1e-5)
        assert zone.regions == (parts.area > 0).sum()
        if seen:
            assert zone.changed_share == pytest.approx(parts.area.sum() / zone.geometry.area, abs=1e-5)
            assert zone.changed_area_m2 == pytest.approx(zone.changed_share * zone.area_m2, rel=1e-3)
    halves = zones.changed_area_m2[:2].sum()  # they share the edge along which the scenes are cut
    assert halves == pytest.approx(changes.area_m2.sum(), rel=1e-3) and halves > 0


def test_the_table_has_the_columns_of_the_layer(job):
    out, _ = job
    rows = list(csv.DictReader((out / "zones.csv").read_text().splitlines()))
    zones = zones_in(out).drop(columns="geometry")
    assert list(rows[0]) == list(zones.columns)
    assert [row["owner"] for row in rows] == list(zones.owner)
    assert float(rows[0]["changed_area_m2"]) == zones.changed_area_m2[0]
    assert rows[-1]["changed_area_m2"] == "" and rows[-1]["observed_share"] == "0.0"


def test_zones_that_are_invalid_empty_or_outside_are_named_and_recorded(job, parcels):
    out, told = job
    warnings = rsdetect.ChangeMap.open(out).record["warnings"]
    for what in (
        "not valid and were repaired: 3",
        "no polygon and are left out: 4",
        "outside what was compared: 5",
    ):
        assert any(f"{parcels} has zones that are {what}." == each for each in warnings), warnings
        assert what in told.err
    assert rsdetect.ChangeMap.open(out).record["options"]["run"]["zones"] == str(parcels)


def test_vectorize_measures_the_zones_again_and_a_job_without_zones_has_none(job, scenes):
    out, _ = job
    before = zones_in(out).regions.sum()
    rsdetect.vectorize(out, min_area=0)
    assert zones_in(out).regions.sum() >= before
    rsdetect.detect(scenes.before, scenes.after, out=out, detector="cva", overwrite=True, quiet=True)
    assert not (out / "zones.csv").exists()
    assert "zones" not in [name for name, _ in pyogrio.list_layers(out / "changes.gpkg")]


@pytest.fixture
def edited(scenes, parcels, tmp_path):
    """A small job with zones, and their file."""
    zones = tmp_path / "zones.gpkg"
    shutil.copy(parcels, zones)
    options = {"out": tmp_path / "out", "detector": "cva", "zones": zones, "quiet": True, "report": False}
    rsdetect.detect(scenes.before, scenes.after, **options, qgis_project=False)
    return options, zones


def only_first(zones):
    geopandas.read_file(zones).iloc[:1].to_file(zones, layer="fields")


def test_results_of_other_zones_are_not_taken_for_those_of_the_same_job(scenes, edited):
    options, zones = edited
    again = partial(rsdetect.detect, scenes.before, scenes.after, **options, qgis_project=False)
    finished = rsdetect.ChangeMap.open(options["out"]).record["finished"]
    (options["out"] / LOCK).touch()  # stopped after the last file
    assert again().record["finished"] == finished
    only_first(zones)
    (options["out"] / LOCK).touch()
    with pytest.raises(OutputError, match="holds the results of an earlier run"):
        again()
    again(overwrite=True)
    assert list(zones_in(options["out"]).zone) == [1]


def test_vectorize_measures_zones_as_they_are_now_and_leaves_no_old_ones(edited, caplog):
    options, zones = edited
    out = options["out"]
    digest = rsdetect.ChangeMap.open(out).record["zones_sha256"]
    only_first(zones)
    assert rsdetect.vectorize(out).record["zones_sha256"] not in (digest, None)
    assert list(zones_in(out).zone) == [1]
    assert len((out / "zones.csv").read_text().splitlines()) == 2
    zones.rename(zones.with_suffix(".old"))
    assert rsdetect.vectorize(out).record["zones_sha256"] is None
    assert "the zones are left out" in caplog.text
    assert not (out / "zones.csv").exists()
    assert "zones" not in [name for name, _ in pyogrio.list_layers(out / "changes.gpkg")]


@pytest.mark.parametrize("as_shards", [False, True])
def test_a_batch_has_zones_over_all_pairs_and_pairs_have_none(scenes, parcels, tmp_path, as_shards):
    pairs = write_list(tmp_path / "pairs.csv", f"a,{scenes.before},{scenes.after}")
    options = {"detector": "cva", "zones": parcels, "quiet": True, "report": False}
    if as_shards:
        rsdetect.batch(pairs, out=tmp_path / "out", shard="1/1", **options)
        report = rsdetect.batch(pairs, out=tmp_path / "out", collect=True)
    else:
        report = rsdetect.batch(pairs, out=tmp_path / "out", **options)
    zones = zones_in(tmp_path / "out")
    assert list(zones.zone) == [1, 2, 3, 5] and zones.changed_area_m2[0] > 0
    assert (tmp_path / "out" / "zones.csv").exists() and not (tmp_path / "out" / "a" / "zones.csv").exists()
    assert any("outside what was compared: 5" in line for line in report.remarks())


@pytest.mark.filterwarnings("ignore:.crs. was not provided")
def test_zones_that_cannot_be_taken_end_the_job_before_it_begins(scenes, tmp_path):
    def refused(frame, kind, words):
        path = tmp_path / "zones.gpkg"
        path.unlink(missing_ok=True)
        frame.to_file(path)
        with pytest.raises(kind, match=words):
            rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "out", detector="cva", zones=path)
        assert not (tmp_path / "out").exists()

    box = shapely.box(0, 0, 1, 1)
    refused(geopandas.GeoDataFrame(geometry=[shapely.Point(1, 1)], crs=4326), InputError, "no polygon")
    refused(geopandas.GeoDataFrame(geometry=[box]), InputError, "names no CRS")
    refused(geopandas.GeoDataFrame(geometry=[box], crs=4326), NothingToCompare, "lie outside")
    with pytest.raises(InputError, match="cannot be opened as zones"):
        rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "out", zones=tmp_path / "gone.gpkg")


@pytest.mark.filterwarnings("ignore:.crs. was not provided")
def test_scenes_without_a_crs_take_zones_without_one(tmp_path):
    scenes = changed_pair(tmp_path, 120, 140, crs=None)
    with rasterio.open(scenes.before) as file:
        zone = shapely.box(*file.bounds)
    geopandas.GeoDataFrame(geometry=[zone]).to_file(tmp_path / "zones.gpkg")
    rsdetect.detect(
        scenes.before,
        scenes.after,
        out=tmp_path / "out",
        detector="cva",
        zones=tmp_path / "zones.gpkg",
        quiet=True,
    )
    (row,) = zones_in(tmp_path / "out").itertuples()
    assert np.isnan(row.area_m2) and row.changed_share > 0 and row.observed_share > 0.9
