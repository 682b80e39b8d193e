"""Scenes across 180 degrees, and longitudes that count from 0 to 360: the ground is where pyproj says."""

from __future__ import annotations

import contextlib

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine

from rsdetect import open_pair
from rsdetect.errors import NothingToCompare
from rsdetect.grid import Grid
from rsdetect.scenes.alignment import offset_between, window_of
from rsdetect.scenes.pair import PairOptions
from rsdetect.scenes.projecting import in_degrees
from rsdetect.scenes.scene import read_scene
from support.scenes import random_scene, write_scene

FIJI = Affine(20000, 0, 600000, 0, -20000, 8200000)  # UTM zone 60 south: 178 to 184 degrees
FROM_0, FROM_180 = Affine(0.5, 0, 0, 0, -0.5, 90), Affine(0.5, 0, -180, 0, -0.5, 90)


def wkt(crs):
    return pyproj.CRS.from_user_input(crs).to_wkt()


def longitudes(grid):
    """0 to 360 degrees, at the centres of pixels."""
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    xs, ys = grid.transform @ np.array([cols.ravel(), rows.ravel()])
    lon, _ = pyproj.Transformer.from_crs(pyproj.CRS(grid.crs), 4326, always_xy=True).transform(xs, ys)
    return np.reshape(lon, grid.shape) % 360


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("turns")
    write_scene(folder / "fiji.tif", np.ones((1, 20, 30), np.float32), crs="EPSG:32760", transform=FIJI)
    for name, transform in (("from 0", FROM_0), ("from -180", FROM_180)):
        grid = Grid(wkt("EPSG:4326"), transform, 360, 720)
        lon = longitudes(grid).astype("float32")[None]
        write_scene(folder / f"{name}.tif", lon, crs="EPSG:4326", transform=transform)
        write_scene(
            folder / f"{name} mask.tif", (lon > 180).astype("uint8"), crs="EPSG:4326", transform=transform
        )
    return folder


@pytest.mark.parametrize("name", ["from 0", "from -180"])
def test_a_world_map_is_warped_to_both_sides_of_180_degrees(folder, name):
    options = PairOptions(align=True, resampling="nearest", masks=("", str(folder / f"{name} mask.tif")))
    pair = open_pair(str(folder / "fiji.tif"), str(folder / f"{name}.tif"), options)
    assert pair.grid.shape == (20, 30), "all of it"
    values, valid = read_scene(pair.after, pair.grid.window)
    wanted = longitudes(pair.grid)
    assert wanted.min() < 179 and wanted.max() > 181
    np.testing.assert_array_equal(valid[abs(wanted - 180) > 0.5], (wanted < 180)[abs(wanted - 180) > 0.5])
    assert abs(values[0] - wanted)[valid].max() <= 0.25


def test_grids_that_count_longitudes_otherwise_coincide(tmp_path):
    array = random_scene(0, height=20, width=30)
    places = {"before": -171.0, "after": 189.1}
    for name, left in places.items():
        transform = Affine(0.01, 0, left, 0, -0.01, 60.5)
        write_scene(tmp_path / f"{name}.tif", array, crs="EPSG:4326", transform=transform)
    pair = open_pair(str(tmp_path / "before.tif"), str(tmp_path / "after.tif"))
    assert pair.grid.shape == (20, 20)
    before, after = (read_scene(scene, pair.grid.window) for scene in (pair.before, pair.after))
    np.testing.assert_array_equal(before[0], array[..., 10:])
    np.testing.assert_array_equal(after[0], array[..., :20])


def test_grids_of_one_crs_and_other_pixels_are_warped_across_a_turn(tmp_path):
    write_scene(
        tmp_path / "a.tif", random_scene(0), crs="EPSG:4326", transform=Affine(0.01, 0, 179.8, 0, -0.01, 1)
    )
    lon = np.broadcast_to(np.arange(100) * 0.02 - 181 + 0.01, (1, 60, 100)).astype("float32")
    write_scene(tmp_path / "b.tif", lon, crs="EPSG:4326", transform=Affine(0.02, 0, -181, 0, -0.02, 1.1))
    options = PairOptions(align=True, resampling="nearest", bands=(1,))
    pair = open_pair(str(tmp_path / "a.tif"), str(tmp_path / "b.tif"), options)
    values, valid = read_scene(pair.after, pair.grid.window)
    assert valid.all()
    np.testing.assert_allclose(values[0, 0] + 360, 179.8 + 0.01 * (np.arange(50) + 0.5), atol=0.011)


@pytest.mark.parametrize("crs", ["EPSG:32760", "EPSG:3832", "EPSG:3031"])
def test_a_world_map_covers_every_scene(crs):
    grid = Grid(wkt(crs), Affine(1000, 0, 4e5, 0, -1000, 2e6 if crs == "EPSG:3031" else 81e5), 100, 100)
    for transform in (FROM_0, FROM_180):
        world = Grid(wkt("EPSG:4326"), transform, 360, 720)
        assert window_of(world, grid) == grid.window
        found = window_of(grid, world)
        assert 0 < found.height < 30 and not found.is_empty


def test_other_sides_of_the_earth_do_not_overlap():
    one = Grid(wkt("EPSG:32631"), Affine(10, 0, 5e5, 0, -10, 53e5), 100, 100)
    other = Grid(wkt("EPSG:32601"), Affine(10, 0, 5e5, 0, -10, 53e5), 100, 100)
    with contextlib.suppress(NothingToCompare):
        assert window_of(other, one).is_empty
    assert offset_between(one, other) is None


def test_outlines_across_180_degrees_are_cut_there():
    x, y = pyproj.Transformer.from_crs(4326, 32660, always_xy=True).transform(180.0, 52.0)
    square = shapely.box(x - 20_000, y - 20_000, x + 20_000, y + 20_000)
    (found,) = in_degrees(np.array([square], dtype=object), "EPSG:32660")
    west, _, east, _ = found.bounds
    assert (west, east) == (-180, 180) and found.geom_type == "MultiPolygon"
    area = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(shapely.orient_polygons(found))[0]
    scale = pyproj.Proj(32660).get_factors(180.0, 52.0).areal_scale
    assert area == pytest.approx(square.area / scale, rel=1e-3)


@pytest.mark.parametrize(
    ("polygon", "crs", "wanted"),
    [
        (shapely.box(178, -18, 182, -16), "EPSG:4326", {(178, 180), (-180, -178)}),  # one that counts on
        (
            shapely.Polygon([(178, 0), (-178, 0), (-178, 2), (178, 2)]),
            "EPSG:4326",
            {(178, 180), (-180, -178)},
        ),
        (shapely.box(-180, -90, 180, 90), "EPSG:4326", {(-180, 180)}),
        (shapely.box(350, 0, 370, 2), "EPSG:4326", {(-10, 10)}),
        (shapely.box(-1e5, -1e5, 1e5, 1e5), "EPSG:3413", {(-180, 180)}),  # around the pole
    ],
)
def test_areas_in_degrees(polygon, crs, wanted):
    found = shapely.get_parts(in_degrees(np.array([polygon], dtype=object), crs))
    assert {(part.bounds[0], part.bounds[2]) for part in found} == wanted


def test_long_edges_stay_on_their_line_in_degrees():
    """An edge of 400 km of Lambert Europe is 3 km off its chord in degrees."""
    area = shapely.box(42e5, 30e5, 46e5, 34e5)
    (found,) = in_degrees(np.array([area], dtype=object), "EPSG:3035")
    lon, lat = pyproj.Transformer.from_crs(3035, 4326, always_xy=True).transform(44e5, 30e5)
    assert shapely.boundary(found).distance(shapely.Point(lon, lat)) < 1e-5
