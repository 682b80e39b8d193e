"""The GeoPackage as other programs see it: pyogrio, GDAL's tools and plain SQLite."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from xml.etree import ElementTree

import geopandas
import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from affine import Affine

from rsdetect.geopackage.changes import ChangeDescription, write_changes
from rsdetect.geopackage.file import Layer, write_geopackage
from rsdetect.grid import Grid
from rsdetect.regions.areas import measure
from rsdetect.regions.pieces import Layers
from rsdetect.regions.trace import TraceOptions, trace_footprint, trace_regions
from rsdetect.scoring.raster import write_raster_style

UTM = pyproj.CRS(32633).to_wkt()
WGS84 = pyproj.CRS(4326).to_wkt()
JUNE = ChangeDescription("2020-06-01", "2021-06-30", "cva")
COLUMNS = {
    "change_id": "int64",
    "area_m2": "float64",
    "perimeter_m": "float64",
    "pixels": "int64",
    "probability_mean": "float64",
    "probability_max": "float64",
    "before_date": "datetime64[D]",
    "after_date": "datetime64[D]",
    "detector": "object",
}


class ArrayRaster:
    def __init__(self, values, crs):
        self.values = np.asarray(values, np.uint8)
        self.grid = Grid(crs, Affine(10, 0, 400, 0, -10, 600), *self.values.shape)

    def read(self, window):
        return self.values[window.slices_in(self.grid.window)]


def write(path, values, crs=UTM, description=JUNE, bands=(), attributes=None):
    raster = ArrayRaster(values, crs)

    def difference(window):
        return Layers(tuple(bands), np.full((len(bands), *window.shape), 12.5, np.float32))

    regions = trace_regions(raster, 50, options=TraceOptions(difference=difference))
    footprint = trace_footprint(raster)
    write_changes(path, regions, footprint, crs, description, attributes)
    return regions, footprint


SOME = [[80, 0, 0, 255], [0, 0, 0, 255], [0, 60, 70, 255]]


def test_both_layers_come_back_as_they_went_in(tmp_path):
    path = tmp_path / "changes.gpkg"
    regions, footprint = write(path, SOME, bands=["Red", "B8 (NIR)"])
    changes = geopandas.read_file(path, layer="changes")
    assert changes.crs == pyproj.CRS(32633)
    assert changes.geometry.tolist() == regions.geometry.tolist()
    assert changes["change_id"].tolist() == [1, 2]
    np.testing.assert_array_equal(changes["pixels"], regions.pixels)
    for column in ("area_m2", "perimeter_m", "probability_mean", "probability_max"):
        np.testing.assert_allclose(changes[column], getattr(regions, column), atol=5e-4)
    assert changes["before_date"].astype(str).tolist() == ["2020-06-01"] * 2
    assert changes["after_date"].astype(str).tolist() == ["2021-06-30"] * 2
    assert changes["detector"].tolist() == ["cva"] * 2
    assert changes["difference_red"].tolist() == [12.5, 12.5]
    assert changes["difference_b8_nir"].tolist() == [12.5, 12.5]
    observed = geopandas.read_file(path, layer="footprint")
    assert observed.geometry.tolist() == footprint.geometry.tolist()
    np.testing.assert_allclose(observed["area_m2"], measure(footprint.geometry, UTM)[0], rtol=1e-6)


@pytest.mark.parametrize(
    "values", [np.zeros((3, 4)), np.full((3, 4), 255)], ids=["no change", "nothing observed"]
)
def test_an_empty_layer_has_every_column_and_its_type(tmp_path, values):
    path = tmp_path / "changes.gpkg"
    write(path, values)
    info = pyogrio.read_info(path, layer="changes")
    assert info["features"] == 0
    assert info["geometry_type"] == "Polygon"
    assert pyproj.CRS(info["crs"]) == pyproj.CRS(32633)
    assert dict(zip(info["fields"], info["dtypes"], strict=True)) == COLUMNS
    assert info["geometry_name"] == "geom"


def test_unknown_dates_and_missing_metres_are_null(tmp_path):
    path = tmp_path / "changes.gpkg"
    write(path, SOME, crs=None, description=ChangeDescription(None, None, "cva"))
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(
            "SELECT area_m2, perimeter_m, before_date, after_date FROM changes"
        ).fetchall()
        srs_ids = database.execute("SELECT DISTINCT srs_id FROM gpkg_geometry_columns").fetchall()
    assert rows == [(None,) * 4] * 2
    assert srs_ids == [(-1,)]  # "undefined Cartesian" in the format's own words


def test_bands_of_one_name_keep_their_own_columns(tmp_path):
    path = tmp_path / "changes.gpkg"
    bands = ["Red", "red", "RED!", "", '"<&>', "x" * 300]
    write(path, SOME, bands=bands)
    fields = pyogrio.read_info(path, layer="changes")["fields"].tolist()
    extra = fields[len(COLUMNS) :]
    expected = ["difference_red", "difference_red_2", "difference_red_3"]
    assert extra[:5] == [*expected, "difference_band", "difference_band_2"]
    assert extra[5].startswith("difference_xxx")
    with closing(sqlite3.connect(path)) as database:
        [(qml,)] = database.execute("SELECT styleQML FROM layer_styles WHERE f_table_name = 'changes'")
    aliases = {alias.get("field") for alias in ElementTree.fromstring(qml).iter("alias")}
    assert aliases == set(fields)
    assert all(len(alias.get("name")) < 60 for alias in ElementTree.fromstring(qml).iter("alias"))


def test_the_file_says_version_and_extent_and_has_a_spatial_index(tmp_path):
    path = tmp_path / "changes.gpkg"
    write(path, SOME)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (10200,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        extents = database.execute(
            "SELECT table_name, min_x, min_y, max_x, max_y FROM gpkg_contents WHERE data_type = 'features'"
        ).fetchall()
        assert extents == [("changes", 400, 570, 430, 600), ("footprint", 400, 570, 430, 600)]
        assert database.execute("SELECT count(*) FROM rtree_changes_geom").fetchone() == (2,)


def styles_of(path, layer="changes"):
    """(name, QML, is the default) of the styles of a layer in a file."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(
            "SELECT styleName, styleQML, useAsDefault FROM layer_styles WHERE f_table_schema = ''"
            " AND f_geometry_column = 'geom' AND f_table_name = ? ORDER BY id",
            (layer,),
        ).fetchall()


def test_each_layer_has_one_default_style(tmp_path):
    path = tmp_path / "changes.gpkg"
    write(path, SOME)
    for layer in ("changes", "footprint"):
        assert [default for _, _, default in styles_of(path, layer)] == [1]


@pytest.mark.parametrize(
    ("kinds", "names", "legend"),
    [
        (["burnt", "other"], ["By kind of change", "By probability"], ["burnt", "other"]),
        (["unknown", None], ["By probability", "By kind of change"], ["unknown", "not stated"]),
    ],
)
def test_changes_are_coloured_by_kind_where_one_is_known(tmp_path, kinds, names, legend):
    path = tmp_path / "changes.gpkg"
    write(path, SOME, attributes={"kind": np.array(kinds, object)})
    styles = styles_of(path)
    assert [(name, default) for name, _, default in styles] == [(names[0], 1), (names[1], 0)]
    by_kind = {name: qml for name, qml, _ in styles}["By kind of change"]
    rules = [rule.get("label") for rule in ElementTree.fromstring(by_kind).iter("rule")]
    assert rules == ["Kind of change", *legend]


@pytest.mark.parametrize("level", [1, 35, 50, 88, 100])
def test_classes_of_polygons_and_raster_begin_at_the_threshold(tmp_path, level):
    write(tmp_path / "changes.gpkg", SOME, description=replace(JUNE, level=level))
    write_raster_style(tmp_path / "raster.qml", level)
    [(_, qml, _)] = styles_of(tmp_path / "changes.gpkg")
    labels = [rule.get("label") for rule in ElementTree.fromstring(qml).iter("rule")][1:]
    assert labels[0].startswith(f"{level} ")
    items = list(ElementTree.parse(tmp_path / "raster.qml").iter("item"))
    assert [item.get("label") for item in items][-len(labels) :] == labels
    bounds = [float(item.get("value")) for item in items]
    assert bounds == sorted(bounds) and len(set(bounds)) == len(bounds)
    assert bounds[-len(labels) - 1] == pytest.approx((level - 0.5) / 100)


def test_numbers_are_rounded(tmp_path):
    path = tmp_path / "changes.gpkg"
    odd = np.full(2, 28.800000000395812)
    write(path, SOME, bands=["Red"], attributes={"length_m": odd, "magnitude": odd})
    changes = geopandas.read_file(path, layer="changes")
    for column in ("length_m", "magnitude"):
        assert changes[column].tolist() == [28.8, 28.8]
    assert all(
        len(str(value)) < 12 for value in changes[["area_m2", "perimeter_m", "probability_mean"]].values.flat
    )


def test_metadata_name_place_dates_source_licence_and_run(tmp_path):
    path = tmp_path / "changes.gpkg"
    said = replace(JUNE, before="a <b>.tif", after="b.tif", run="0123456789abcdef", licence="CC BY 4.0")
    write(path, SOME, description=said)
    with closing(sqlite3.connect(path)) as database:
        [(text,)] = database.execute(
            "SELECT metadata FROM gpkg_metadata JOIN gpkg_metadata_reference ON id = md_file_id"
            " WHERE table_name = 'changes' AND md_standard_uri = 'http://mrcc.com/qgis.dtd'"
        )
        titles = dict(database.execute("SELECT table_name, description FROM gpkg_contents"))
    root = ElementTree.fromstring(text)
    assert titles["changes"] == root.findtext("title")
    assert re.fullmatch(r"Changes, 2020-06-01 to 2021-06-30, \d+\.\d\d° N \d+\.\d\d° E", titles["changes"])
    assert root.findtext("identifier") == "0123456789abcdef"
    assert root.findtext("license") == "CC BY 4.0"
    assert "50 %" in root.findtext("abstract")
    steps = [step.text for step in root.iter("history")]
    assert steps[1:] == ["Before: a <b>.tif, 2020-06-01.", "After: b.tif, 2021-06-30."]


def test_gdal_finds_nothing_to_complain_of(tmp_path, gdal):
    path = tmp_path / "changes.gpkg"
    write(path, SOME, crs=WGS84)
    seen = gdal("ogrinfo", "-ro", "-al", "-so", path)
    assert seen.stderr == ""
    assert "Warning" not in seen.stdout
    assert seen.stdout.count("Geometry: Polygon") == 2
    assert "before_date: Date" in seen.stdout


def test_many_regions_are_written(tmp_path):
    path = tmp_path / "changes.gpkg"
    values = (np.indices((101, 101)).sum(axis=0) % 2) * 100
    write(path, values)
    changes = geopandas.read_file(path, layer="changes")
    assert len(changes) == 101 * 101 // 2
    assert changes["change_id"].tolist() == list(range(1, len(changes) + 1))
    assert shapely.is_valid(changes.geometry).all()


OWN = pyproj.CRS.from_proj4("+proj=laea +lat_0=47.3 +lon_0=8.4 +x_0=1000 +ellps=bessel +units=us-ft").to_wkt()


@pytest.mark.parametrize("crs", [UTM, WGS84, OWN, pyproj.CRS(2056).to_wkt(), pyproj.CRS(3413).to_wkt()])
def test_any_crs_comes_back(tmp_path, crs):
    write(tmp_path / "changes.gpkg", SOME, crs=crs)
    assert geopandas.read_file(tmp_path / "changes.gpkg", layer="changes").crs.equals(
        pyproj.CRS(crs), ignore_axis_order=True
    )


def test_another_program_may_change_the_features_and_the_index_follows(tmp_path, gdal):
    path = tmp_path / "changes.gpkg"
    values = (np.indices((40, 40)).sum(axis=0) % 2) * 100
    regions, _ = write(path, values)
    gdal("ogrinfo", path, "-sql", "DELETE FROM changes WHERE fid % 2 = 0")
    gdal("ogrinfo", path, "-sql", "UPDATE changes SET geom = NULL WHERE fid = 1")
    gdal("ogr2ogr", "-append", "-nln", "changes", path, path, "footprint")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT rtreecheck('rtree_changes_geom')").fetchone() == ("ok",)
        indexed = {number for (number,) in database.execute("SELECT id FROM rtree_changes_geom")}
        there = {number for (number,) in database.execute("SELECT fid FROM changes WHERE geom NOT NULL")}
    assert indexed == there
    assert len(there) == len(regions) // 2 - 1 + 1


def test_gdal_reads_through_the_index_what_it_reads_without(tmp_path):
    path = tmp_path / "changes.gpkg"
    values = (np.random.default_rng(4).random((200, 200)) < 0.2) * 90
    regions, _ = write(path, values)
    for west, south in ((400, 500), (1203, -702), (2390, -1400)):
        window = shapely.box(west, south, west + 95, south + 95)
        seen = geopandas.read_file(path, layer="changes", bbox=window.bounds)
        expected = np.flatnonzero(shapely.intersects(regions.geometry, window)) + 1
        assert sorted(seen["change_id"]) == expected.tolist()


def scattered(count, seed=0):
    """Boxes at coordinates that 32-bit floats hold to half a metre only."""
    rng = np.random.default_rng(seed)
    low = rng.uniform([400_000, 5_890_000], [510_000, 6_000_000], (count, 2))
    high = low + rng.exponential(300, (count, 2))
    return shapely.box(*low.T, *high.T)


@pytest.mark.parametrize("count", [0, 1, 52, 5000])
def test_every_search_through_the_index_finds_what_meets_the_window(tmp_path, count):
    path, geometry = tmp_path / "boxes.gpkg", scattered(count)
    write_geopackage(path, (Layer("boxes", geometry, {}, ()),), UTM)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT rtreecheck('rtree_boxes_geom')").fetchone() == ("ok",)
        assert database.execute("SELECT count(*) FROM rtree_boxes_geom").fetchone() == (count,)
    for window in shapely.buffer(scattered(30, seed=1), 3000):
        fids = pyogrio.raw.read(path, layer="boxes", bbox=window.bounds, return_fids=True)[1]
        expected = np.flatnonzero(shapely.intersects(geometry, shapely.box(*window.bounds))) + 1
        assert sorted(fids) == expected.tolist()


def test_numbers_that_sqlite_stores_as_others_are_no_mismatch(tmp_path):
    path, numbers = tmp_path / "boxes.gpkg", np.array([-0.0, np.nan, np.inf, 5e-324, -1.5])
    write_geopackage(path, (Layer("boxes", scattered(5), {"number": numbers}, ""),), UTM)
    with closing(sqlite3.connect(path)) as database:
        found = [number for (number,) in database.execute("SELECT number FROM boxes")]
    assert found == [0.0, None, np.inf, 5e-324, -1.5]


class Defensive(sqlite3.Connection):
    """Refuses statements that name a table behind a virtual table, as a SQLite in defensive mode does."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        if hasattr(self, "setconfig"):  # Python 3.12 and later
            self.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE)

    def execute(self, sql, *arguments):
        self.refuse_shadow_tables(sql)
        return super().execute(sql, *arguments)

    def executemany(self, sql, *arguments):
        self.refuse_shadow_tables(sql)
        return super().executemany(sql, *arguments)

    def refuse_shadow_tables(self, sql):
        if re.search(r"rtree_\w+_(node|rowid|parent)\b", sql):
            raise sqlite3.OperationalError(f"table may not be modified: {sql}")


def test_a_sqlite_in_defensive_mode_writes_the_file(tmp_path, monkeypatch):
    path = tmp_path / "changes.gpkg"
    with monkeypatch.context() as patched:
        connect = sqlite3.connect
        patched.setattr(sqlite3, "connect", partial(connect, factory=Defensive))
        with closing(sqlite3.connect(":memory:")) as database:
            database.execute("CREATE VIRTUAL TABLE rtree_a USING rtree(id, minx, maxx, miny, maxy)")
            with pytest.raises(sqlite3.OperationalError, match="may not be modified"):
                database.execute("INSERT INTO rtree_a_rowid VALUES (1, 1)")
        regions, _ = write(path, SOME)
    assert len(geopandas.read_file(path, layer="changes", bbox=(400, 570, 430, 600))) == len(regions)
