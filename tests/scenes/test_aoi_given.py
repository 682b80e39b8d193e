"""`aoi` takes what a notebook holds: frames, geometries and mappings, equal to the file bit for bit."""

from __future__ import annotations

import json
from dataclasses import asdict

import geopandas
import pytest
import shapely
import shapely.affinity
from rasterio.crs import CRS

import rsdetect
from rsdetect.batches import run_batch
from rsdetect.errors import InputError, NothingToCompare
from rsdetect.grid import Grid
from rsdetect.jobs.options import DetectOptions
from rsdetect.jobs.vectorize import vectorize_run
from rsdetect.scenes.aoi import read_aoi
from rsdetect.scenes.pair import PairOptions, open_pair
from support.batches import write_list
from support.jobs import changed_pair, read_raster
from support.scenes import TEN_METRES, UTM

GRID = Grid(CRS.from_string(UTM).to_wkt(), TEN_METRES, 150, 210)
PARTS = [shapely.Polygon([(30.25, 15.5), (190.5, 40.25), (62.75, 120.5)]), shapely.box(10, 60, 30, 90)]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"), 150, 210)


@pytest.fixture(scope="module")
def frame():
    ground = [shapely.affinity.affine_transform(part, TEN_METRES.to_shapely()) for part in PARTS]
    return geopandas.GeoDataFrame({"name": ["a", "b"]}, geometry=ground, crs=UTM)


def urn(frame):
    return {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{frame.crs.to_epsg()}"}}


GIVEN = {
    "frame": lambda frame: frame,
    "series": lambda frame: frame.geometry,
    "frame without CRS": lambda frame: frame.set_crs(None, allow_override=True),
    "geometry": lambda frame: shapely.MultiPolygon(list(frame.geometry)),
    "collection": lambda frame: shapely.GeometryCollection(list(frame.geometry)),
    "geometry as mapping": lambda frame: shapely.MultiPolygon(list(frame.geometry)).__geo_interface__,
    "features": lambda frame: json.loads(frame.to_json(drop_id=True)) | {"crs": None},
    "features with CRS": lambda frame: json.loads(frame.to_json()) | {"crs": urn(frame)},
    "record": lambda frame: asdict(PairOptions(aoi=frame).aoi),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_what_is_given_is_the_area_of_the_file(scenes, frame, tmp_path, kind):
    frame.to_file(tmp_path / "aoi.gpkg")
    file = open_pair(scenes.before, scenes.after, PairOptions(aoi=tmp_path / "aoi.gpkg"))
    given = open_pair(scenes.before, scenes.after, PairOptions(aoi=GIVEN[kind](frame)))
    assert given.aoi == file.aoi


def test_a_frame_in_degrees_is_brought_to_the_crs_of_the_scenes(scenes, frame, tmp_path):
    there = frame.to_crs(4326)
    there.to_file(tmp_path / "aoi.gpkg")
    options = [PairOptions(aoi=there), PairOptions(aoi=tmp_path / "aoi.gpkg")]
    given, file = (open_pair(scenes.before, scenes.after, each).aoi for each in options)
    assert given == file


def test_the_record_keeps_the_area_and_vectorize_takes_it(scenes, frame, tmp_path, caplog):
    common = {"detector": "cva", "quiet": True}
    frame.to_file(tmp_path / "aoi.gpkg")
    made = rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "given", aoi=frame, **common)
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "file", aoi=tmp_path / "aoi.gpkg", **common)
    assert (read_raster(tmp_path / "given") == read_raster(tmp_path / "file")).all()
    kept = json.loads((tmp_path / "given" / "run.json").read_text())["options"]["pair"]["aoi"]
    assert set(kept) == {"wkt", "crs"} and shapely.from_wkt(kept["wkt"]).area > 0
    caplog.clear()
    again = vectorize_run(tmp_path / "given", threshold=0.6)
    assert again["threshold"] == 0.6 and not caplog.records  # the scenes were read, with this area
    other = rsdetect.detect(
        scenes.before, scenes.after, out=tmp_path / "other", aoi=frame.geometry[:1], **common
    )
    assert other.record["fingerprint"] != made.record["fingerprint"]


def test_a_batch_takes_an_area_and_knows_it_again(scenes, frame, tmp_path):
    pairs = write_list(tmp_path / "pairs.csv", f"one,{scenes.before},{scenes.after}")

    def states(aoi):
        options = DetectOptions.from_keywords(aoi=aoi, detector="cva", quiet=True)
        return [str(row.state) for row in run_batch(pairs, tmp_path / "out", options).results]

    assert states(frame) == ["done"]
    assert states(frame.copy()) == ["done before"]
    assert states(frame[:1]) == ["done"]


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (3, InputError, "`aoi` takes a path, a GeoDataFrame"),
        ({"type": "Rectangle"}, InputError, "no GeoJSON-like mapping"),
        ({"some": "thing"}, InputError, "no GeoJSON-like mapping"),
        ({"wkt": "POLYGON oh", "crs": None}, InputError, "is not a geometry"),
        ({"type": "Point", "coordinates": [1, 2], "crs": "EPSG:nought"}, InputError, "CRS of the given area"),
        (shapely.Point(500100, 5299900), InputError, "holds no polygon"),
        (shapely.GeometryCollection(), InputError, "holds no polygon"),
        (
            shapely.box(9.0, 47.8, 9.1, 47.9),
            NothingToCompare,
            "outside .* taken in their CRS .* it names none",
        ),
    ],
)
def test_what_is_no_area_is_refused_in_a_sentence(scenes, given, error, words):
    with pytest.raises(error, match=words):
        open_pair(scenes.before, scenes.after, PairOptions(aoi=given))


def test_a_settled_area_settles_to_itself(frame):
    area = PairOptions(aoi=frame).aoi
    assert PairOptions(aoi=area).aoi is area and hash(area)
    assert read_aoi(area, GRID) == read_aoi(frame, GRID)
