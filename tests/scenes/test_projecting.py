"""Polygons on the grid of the scenes: edges stay straight in their own CRS, whatever lies where."""

from __future__ import annotations

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine

from rsdetect import check, open_pair
from rsdetect.errors import GridMismatch, InputError, NothingToCompare
from rsdetect.grid import Grid
from rsdetect.scenes.alignment import describe_mismatch, same_crs
from rsdetect.scenes.aoi import inside_aoi, read_aoi
from rsdetect.scenes.pair import PairOptions
from support.scenes import TEN_METRES, UTM, random_scene, write_scene

WGS84 = "EPSG:4326"
SITE = 'LOCAL_CS["Mine grid",UNIT["metre",1],AXIS["E",EAST],AXIS["N",NORTH]]'


def wkt(crs):
    return pyproj.CRS.from_user_input(crs).to_wkt()


def grid_at(crs, lon, lat, step=10.0, edge=200):
    x, y = pyproj.Transformer.from_crs(4326, pyproj.CRS(crs), always_xy=True).transform(lon, lat)
    return Grid(wkt(crs), Affine(step, 0, x - step * edge / 2, 0, -step, y + step * edge / 2), edge, edge)


def degrees_of(grid):
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    xs, ys = grid.transform @ np.array([cols.ravel(), rows.ravel()])
    back = pyproj.Transformer.from_crs(pyproj.CRS(grid.crs), 4326, always_xy=True)
    lon, lat = back.transform(xs, ys)
    return np.reshape(lon, grid.shape), np.reshape(lat, grid.shape)


def inside(polygon, grid, crs=WGS84):
    frame = geopandas.GeoDataFrame(geometry=[polygon], crs=crs)
    return inside_aoi(read_aoi(frame, grid), grid.window)


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:3857", "EPSG:3035"])
def test_a_long_edge_runs_along_its_parallel(crs):
    """By pyproj, at the centre of each pixel."""
    grid = grid_at(crs, 9.0, 48.0)
    _, lat = degrees_of(grid)
    found = inside(shapely.box(8.4, 47.0, 9.6, 48.0), grid)
    far = abs(lat - 48.0) > 1e-5  # a tenth of a pixel
    np.testing.assert_array_equal(found[far], (lat < 48.0)[far])
    assert found.any() and not found.all()


@pytest.mark.parametrize("polygon", [shapely.box(-180, -90, 180, 90), shapely.box(-180, -80, 180, 84)])
@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:3035", "EPSG:3857"])
def test_the_whole_world_covers_a_scene(crs, polygon):
    assert inside(polygon, grid_at(crs, 9.0, 48.0)).all()


@pytest.mark.parametrize(
    ("place", "polygon"),
    [
        ((180.0, -17.0), shapely.box(179.99, -18, 180, -16)),  # Fiji, in two halves or in one
        ((180.0, -17.0), shapely.box(-180, -18, -179.99, -16)),
        ((180.0, -17.0), shapely.box(179.99, -18, 180.01, -16)),
        (
            (180.0, 67.0),
            shapely.MultiPolygon([shapely.box(179, 66, 180, 68), shapely.box(-180, 66, -179.99, 68)]),
        ),
    ],
)
@pytest.mark.parametrize("crs", ["EPSG:3832", "EPSG:32660"])
def test_areas_across_180_degrees_lie_where_they_are(crs, place, polygon):
    grid = grid_at(crs, *place)
    lon, _ = degrees_of(grid)
    lon = np.where(lon < 0, lon + 360, lon)
    parts = [part.bounds for part in shapely.get_parts(polygon)]
    spans = [(left + 360 * (left < 0), right + 360 * (left < 0)) for left, _, right, _ in parts]
    wanted = np.logical_or.reduce([(lon > left) & (lon < right) for left, right in spans])
    near = np.logical_or.reduce([abs(lon - edge) < 1e-5 for span in spans for edge in span])
    np.testing.assert_array_equal(inside(polygon, grid)[~near], wanted[~near])


def test_a_grid_that_counts_from_0_to_360_degrees():
    grid = Grid(wkt(WGS84), Affine(0.01, 0, 189.0, 0, -0.01, 60.5), 100, 100)
    assert inside(shapely.box(-171, 59.5, -170.5, 60.5), grid)[:, :50].all()
    assert not inside(shapely.box(-171, 59.5, -170.5, 60.5), grid)[:, 51:].any()


def test_what_has_no_way_to_the_scenes_is_refused_with_both_crss(tmp_path):
    scene = write_scene(tmp_path / "site.tif", random_scene(0), crs=SITE)
    frame = geopandas.GeoDataFrame(geometry=[shapely.box(8, 47, 9, 48)], crs=WGS84)
    with pytest.raises(InputError, match=r"is in EPSG:4326, from which there is no way to .*Mine grid"):
        check(scene, scene, aoi=frame)


def test_polygons_elsewhere_lie_outside():
    grid = grid_at("EPSG:32632", 9.0, 48.0)
    with pytest.raises(NothingToCompare, match="outside"):
        inside(shapely.box(-60, 10, -59, 11), grid)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("EPSG:4326", "OGC:CRS84", True),
        ("EPSG:32632", "EPSG:32632+5773", True),
        ("EPSG:32633", "EPSG:32632+5773", False),
        ("EPSG:25832", "+proj=utm +zone=32 +ellps=GRS80 +towgs84=0,0,0,0,0,0,0 +units=m", True),
        ("EPSG:32632", "+proj=utm +zone=32 +datum=WGS84 +units=m", True),
        ("EPSG:25832", "+proj=utm +zone=33 +ellps=GRS80 +towgs84=0,0,0,0,0,0,0 +units=m", False),
        (
            "EPSG:31467",
            "+proj=tmerc +lat_0=0 +lon_0=9 +k=1 +x_0=3500000 +ellps=bessel +towgs84=598,73,418",
            False,
        ),
        ("EPSG:32632", "EPSG:25832", False),
        ("EPSG:32632", "EPSG:23032", False),
        ("EPSG:4326", "EPSG:4258", False),
    ],
)
def test_crss_are_compared_by_what_they_mean(one, other, same):
    assert same_crs(wkt(one), wkt(other)) is same
    assert same_crs(wkt(other), wkt(one)) is same


def test_two_crss_of_one_name_are_distinguished():
    one = wkt("+proj=utm +zone=32 +ellps=bessel")
    other = wkt("+proj=utm +zone=33 +ellps=bessel")
    grids = [Grid(crs, TEN_METRES, 10, 10) for crs in (one, other)]
    text = describe_mismatch(*grids)
    first, second = text.split(" and with " if " and with " in text else " and ")
    assert first != second and "9" in first and "15" in second


def test_null_shifts_are_one_grid_and_other_shifts_are_not(tmp_path):
    null = "+proj=utm +zone=32 +ellps=GRS80 +towgs84=0,0,0,0,0,0,0 +units=m +no_defs"
    before = write_scene(tmp_path / "before.tif", random_scene(0), crs="EPSG:25832")
    after = write_scene(tmp_path / "after.tif", random_scene(1), crs=null)
    assert open_pair(before, after).grid.shape == (40, 50)
    other = write_scene(tmp_path / "other.tif", random_scene(1), crs=UTM)
    with pytest.raises(GridMismatch, match="EPSG:25832 and EPSG:32632"):
        open_pair(before, other, PairOptions())
