"""Layers of a finished GeoPackage, read without GDAL, beside what GDAL reads."""

import sqlite3

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely

from rsdetect.errors import InputError
from rsdetect.geopackage.file import Layer, write_geopackage
from rsdetect.geopackage.stored_layers import read_layers

LAEA = "+proj=laea +lat_0=47.3 +lon_0=8.4 +x_0=1000 +ellps=bessel +units=us-ft"
CRSS = [None, "EPSG:32633", "EPSG:4326", "EPSG:2056", pyproj.CRS.from_proj4(LAEA).to_wkt()]


def layers(count, gaps):
    """A layer of polygons with a column of each type, and one of polygons of several parts."""
    boxes = shapely.box(*np.arange(4 * count, dtype=float).reshape(count, 4).T)
    numbers = np.arange(count)
    known = numbers % 2 == 0 if gaps else np.full(count, True)
    columns = {
        "change_id": numbers + 1,
        "pixels": numbers.astype(np.int32),
        "area_m2": np.where(known, 0.25 * numbers, np.nan),
        "before_date": np.where(known, np.datetime64("2024-02-29"), np.datetime64("NaT", "D")),
        "last_seen": np.where(
            known, np.datetime64("2024-02-29T23:59:59.250"), np.datetime64("NaT", "ms")
        ).astype("M8[ms]"),
        "kind": np.where(known, "é, ☃", None).astype(object),
    }
    parts = np.array([shapely.MultiPolygon([box]) for box in boxes], dtype=object)
    return (
        Layer("changes", boxes, columns, ()),
        Layer("footprint", parts, {"pixels": numbers}, (), geometry_type="MultiPolygon"),
    )


@pytest.mark.parametrize(("count", "gaps"), [(0, False), (1, False), (3, True)])
@pytest.mark.parametrize("crs", CRSS)
def test_layers_are_read_as_gdal_reads_them(tmp_path, crs, count, gaps):
    path = tmp_path / "changes ü.gpkg"
    write_geopackage(path, layers(count, gaps), crs)
    names = ("changes", "footprint")
    for name, found in zip(names, read_layers(path, names), strict=True):
        meta, _, geometry, values = pyogrio.raw.read(path, layer=name)
        if crs is None:
            assert found.crs is None
        else:
            assert pyproj.CRS(found.crs) == pyproj.CRS(meta["crs"])
        assert shapely.from_wkb(geometry).tolist() == found.geometry.tolist()
        assert list(found.columns) == meta["fields"].tolist()
        for column, expected in zip(found.columns.values(), values, strict=True):
            assert column.dtype.kind == expected.dtype.kind
            np.testing.assert_array_equal(column, expected)


def test_a_file_that_another_program_edited_is_read_too(tmp_path):
    path = tmp_path / "changes.gpkg"
    write_geopackage(path, layers(3, gaps=False), "EPSG:32633")
    with sqlite3.connect(path) as database:
        for number in (3, 4):  # their functions are GDAL's
            database.execute(f'DROP TRIGGER "rtree_changes_geom_update{number}"')
        database.execute("ALTER TABLE changes ADD COLUMN checked BOOLEAN")
        database.execute("ALTER TABLE changes ADD COLUMN note TEXT(20)")
        database.execute("UPDATE changes SET checked = 1, note = 'fine', pixels = NULL WHERE fid = 2")
    (found,) = read_layers(path, ["changes"])
    np.testing.assert_array_equal(found.columns["checked"], [np.nan, 1, np.nan])
    np.testing.assert_array_equal(found.columns["pixels"], [0, np.nan, 2])
    assert found.columns["note"].tolist() == [None, "fine", None]


def test_a_file_that_is_none_is_named(tmp_path):
    path = tmp_path / "changes.gpkg"
    path.write_bytes(b"no database, but long enough for a header" * 100)
    with pytest.raises(InputError, match=r"changes\.gpkg is damaged .*; rsdetect vectorize .* it again"):
        read_layers(path, ["changes"])
    path.unlink()
    write_geopackage(path, layers(1, gaps=False)[:1], "EPSG:32633")
    with pytest.raises(InputError, match="has no layer footprint"):
        read_layers(path, ["changes", "footprint"])
