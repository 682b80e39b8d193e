"""Areas and perimeters in metres, and simplification in metres, in every kind of CRS."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine

from rsdetect.grid import Grid
from rsdetect.regions.areas import measure, metres_per_unit
from rsdetect.regions.trace import TraceOptions, trace_footprint, trace_regions

WGS84 = pyproj.CRS(4326).to_wkt()
SPHERE = pyproj.CRS.from_proj4("+proj=longlat +R=6371000 +no_defs").to_wkt()
BESSEL = pyproj.CRS(4314).to_wkt()
FEET = pyproj.CRS(2263).to_wkt()  # New York Long Island, US survey feet
UTM = pyproj.CRS(32633).to_wkt()


class ArrayRaster:
    def __init__(self, values, crs, transform):
        self.values = np.asarray(values, np.uint8)
        self.grid = Grid(crs, transform, *self.values.shape)

    def read(self, window):
        return self.values[window.slices_in(self.grid.window)]


@pytest.mark.parametrize("crs", [WGS84, SPHERE, BESSEL])
@pytest.mark.parametrize("south", [-60.0, -0.0001, 47.0])
def test_a_small_square_on_the_ellipsoid_agrees_with_geographiclib(crs, south):
    square = shapely.box(15, south, 15.001, south + 0.001)
    area, perimeter = measure(np.array([square]), crs)
    expected_area, expected_perimeter = pyproj.CRS(crs).get_geod().geometry_area_perimeter(square)
    np.testing.assert_allclose(area, [abs(expected_area)], rtol=1e-8)
    np.testing.assert_allclose(perimeter, [expected_perimeter], rtol=1e-8)


def test_a_large_rectangle_follows_its_parallels():
    rectangle = shapely.box(10, 50, 20, 55)
    area, perimeter = measure(np.array([rectangle]), WGS84)
    dense = shapely.segmentize(rectangle, 0.001)
    expected_area, expected_perimeter = pyproj.CRS(WGS84).get_geod().geometry_area_perimeter(dense)
    np.testing.assert_allclose(area, [abs(expected_area)], rtol=1e-9)
    np.testing.assert_allclose(perimeter, [expected_perimeter], rtol=1e-9)


def test_a_slanted_polygon_with_a_hole_on_the_ellipsoid():
    shell = [(5, 40), (8, 41), (7, 44), (4, 43)]
    hole = [(5.5, 41), (6.5, 41.5), (6, 42)]
    for polygon in (shapely.Polygon(shell, [hole]), shapely.Polygon(shell[::-1], [hole[::-1]])):
        area, perimeter = measure(np.array([shapely.normalize(polygon)]), WGS84)
        dense = shapely.orient_polygons(shapely.segmentize(polygon, 0.001))
        geod = pyproj.CRS(WGS84).get_geod()
        np.testing.assert_allclose(area, [geod.geometry_area_perimeter(dense)[0]], rtol=1e-9)
        np.testing.assert_allclose(perimeter, [geod.geometry_length(dense.boundary)], rtol=1e-9)


def test_regions_in_degrees_add_up_to_their_footprint():
    values = (np.indices((30, 30)).sum(axis=0) % 3 == 0) * 100
    raster = ArrayRaster(values, WGS84, Affine(0.01, 0, 20, 0, -0.01, 62))
    rest = ArrayRaster(100 - values, WGS84, raster.grid.transform)
    total = trace_regions(raster, 50).area_m2.sum() + trace_regions(rest, 50).area_m2.sum()
    np.testing.assert_allclose(total, trace_footprint(raster).area_m2, rtol=1e-10)


def test_the_minimum_area_in_degrees_is_in_square_metres():
    # One pixel at the equator and one at 60 degrees north: 309 m2 and 155 m2 of 0.6 arc seconds.
    values = np.zeros((60, 1))
    values[[0, 59]] = 100
    raster = ArrayRaster(values, WGS84, Affine(0.000158, 0, 7, 0, -1.0, 60))
    areas = trace_regions(raster, 50).area_m2
    assert areas[0] < 0.6 * areas[1]
    kept = trace_regions(raster, 50, options=TraceOptions(min_area=float(areas.mean())))
    np.testing.assert_array_equal(kept.area_m2, areas[1:])
    assert kept.geometry[0].bounds[1] < 1.5


def test_feet_become_metres():
    raster = ArrayRaster([[100, 100]], FEET, Affine(10, 0, 980000, 0, -10, 200000))
    regions = trace_regions(raster, 50)
    foot = 1200 / 3937
    np.testing.assert_allclose(regions.area_m2, [200 * foot**2], rtol=1e-4)
    np.testing.assert_allclose(regions.perimeter_m, [60 * foot], rtol=1e-4)
    assert len(trace_regions(raster, 50, options=TraceOptions(min_area=19))) == 0


def test_metres_per_unit():
    assert metres_per_unit(None, 3, 3) == (1, 1)
    np.testing.assert_allclose(metres_per_unit(UTM, 500000, 5300000), 1 / 0.9996, rtol=1e-8)
    np.testing.assert_allclose(metres_per_unit(FEET, 1e6, 2e5), 1200 / 3937, rtol=1e-4)
    geod = pyproj.Geod(ellps="WGS84")
    east, north = metres_per_unit(WGS84, 9.0, 48.0)
    np.testing.assert_allclose(east * 0.001, geod.line_length([9, 9.001], [48, 48]), rtol=1e-6)
    np.testing.assert_allclose(north * 0.001, geod.line_length([9, 9], [47.9995, 48.0005]), rtol=1e-6)


def _staircase():
    return np.where(np.tri(60, dtype=bool), 100, 0)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (UTM, Affine(10, 0, 500000, 0, -10, 5300000)),
        (WGS84, Affine(10 / 55800, 0, 15, 0, -10 / 111412, 60)),  # 10 m pixels in degrees
        (FEET, Affine(10 * 3937 / 1200, 0, 980000, 0, -10 * 3937 / 1200, 200000)),
    ],
)
def test_simplification_takes_metres_in_every_crs(crs, transform):
    raster = ArrayRaster(_staircase(), crs, transform)
    outline = trace_regions(raster, 50)
    # A step of 10 m encloses 50 m2 with its diagonal, and the tolerance is held to the square root of that.
    kept = trace_regions(raster, 50, options=TraceOptions(simplify=6.9))
    smooth = trace_regions(raster, 50, options=TraceOptions(simplify=7.3))
    points = [shapely.get_num_coordinates(regions.geometry[0]) for regions in (outline, kept, smooth)]
    assert points[0] == points[1] > 100
    assert points[2] < points[0] / 2
    np.testing.assert_allclose(smooth.area_m2, outline.area_m2, rtol=0.03)
    assert smooth.perimeter_m[0] < 0.9 * outline.perimeter_m[0]
    assert smooth.pixels.tolist() == outline.pixels.tolist()


# A longitude in each: UTM, Web Mercator, British, French (in grads), Lambert, Albers, polar, feet, and two
# plate carrées.
PROJECTED = {
    "EPSG:32633": 15.0, "EPSG:3857": 15.0, "EPSG:27700": -2.0, "EPSG:27572": 2.3, "EPSG:3035": 10.0,
    "EPSG:5070": -96.0, "EPSG:3413": -45.0, "EPSG:2263": -74.0, "EPSG:32662": 15.0, "ESRI:54008": 15.0,
}  # fmt: skip


@pytest.mark.parametrize("latitude", [8.0, 45.0, 69.0])
@pytest.mark.parametrize("crs", PROJECTED)
def test_a_projected_area_is_that_of_the_ground(crs, latitude):
    parsed = pyproj.CRS(crs)
    own = parsed.geodetic_crs
    unit = parsed.axis_info[0].unit_conversion_factor
    there = pyproj.Transformer.from_crs(pyproj.CRS(4326), parsed, always_xy=True)
    back = pyproj.Transformer.from_crs(parsed, own, always_xy=True)
    x, y = there.transform(PROJECTED[crs], latitude)
    edge = 400 / unit
    outline = shapely.Polygon([(x, y), (x + edge, y), (x + edge, y + 2 * edge), (x + edge / 2, y + edge)])
    holed = shapely.difference(
        outline, shapely.box(x + 0.8 * edge, y + 0.5 * edge, x + 0.9 * edge, y + 0.7 * edge)
    )
    area, perimeter = measure(np.array([holed]), parsed.to_wkt())
    degrees = np.rad2deg(own.axis_info[0].unit_conversion_factor)

    def on_earth(points):
        lon, lat = back.transform(points[:, 0], points[:, 1])
        return np.stack([lon, lat], axis=1) * degrees

    dense = shapely.orient_polygons(shapely.transform(shapely.segmentize(holed, edge / 50), on_earth))
    geod = parsed.get_geod()
    np.testing.assert_allclose(area, [abs(geod.geometry_area_perimeter(dense)[0])], rtol=1e-6)
    np.testing.assert_allclose(perimeter, [geod.geometry_length(dense.boundary)], rtol=1e-4)
    east, north = metres_per_unit(parsed.to_wkt(), x, y)
    here, right, up = (on_earth(np.array([p]))[0] for p in ((x, y), (x + 1, y), (x, y + 1)))
    assert east == pytest.approx(geod.inv(*here, *right)[2], rel=1e-5)
    assert north == pytest.approx(geod.inv(*here, *up)[2], rel=1e-5)


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:3035"])
def test_a_large_projected_area_is_that_of_the_ground(crs):
    parsed = pyproj.CRS(crs)
    x, y = pyproj.Transformer.from_crs(4326, parsed, always_xy=True).transform(10.0, 50.0)
    square = shapely.box(x, y, x + 600_000, y + 500_000)
    back = pyproj.Transformer.from_crs(parsed, parsed.geodetic_crs, always_xy=True)
    dense = shapely.transform(
        shapely.segmentize(square, 500), lambda p: np.stack(back.transform(p[:, 0], p[:, 1]), axis=1)
    )
    expected, length = parsed.get_geod().geometry_area_perimeter(dense)
    area, perimeter = measure(np.array([square]), parsed.to_wkt())
    np.testing.assert_allclose(area, [abs(expected)], rtol=1e-5)
    np.testing.assert_allclose(perimeter, [length], rtol=1e-5)


def test_a_polygon_across_180_degrees_is_as_large_as_elsewhere():
    mercator = pyproj.CRS("EPSG:3832")  # PDC Mercator, centred on 150 degrees east: Fiji is in one piece
    x, y = pyproj.Transformer.from_crs(4326, mercator, always_xy=True).transform(180.0, -17.0)
    area, _ = measure(np.array([shapely.box(x - 500, y, x + 500, y + 1000)]), mercator.to_wkt())
    east, north = metres_per_unit(mercator.to_wkt(), x, y + 500)
    np.testing.assert_allclose(area, [1e6 * east * north], rtol=1e-6)
    assert 900_000 < area[0] < 920_000


def test_a_site_grid_keeps_its_own_metres():
    site = 'LOCAL_CS["Mine grid",UNIT["foot",0.3048],AXIS["E",EAST],AXIS["N",NORTH]]'
    area, perimeter = measure(np.array([shapely.box(0, 0, 10, 20)]), site)
    np.testing.assert_allclose(area, [200 * 0.3048**2])
    np.testing.assert_allclose(perimeter, [60 * 0.3048])


def test_the_minimum_area_is_that_of_the_ground():
    """20 x 20 m of Web Mercator at 52 degrees north are 152 m2."""
    mercator = pyproj.CRS(3857)
    x, y = pyproj.Transformer.from_crs(4326, mercator, always_xy=True).transform(5.0, 52.0)
    values = np.zeros((9, 9))
    values[2:4, 2:4] = 100
    raster = ArrayRaster(values, mercator.to_wkt(), Affine(10, 0, x, 0, -10, y))
    assert trace_regions(raster, 50).area_m2 == pytest.approx([151.86], rel=1e-4)
    assert len(trace_regions(raster, 50, options=TraceOptions(min_area=151)).area_m2) == 1
    assert len(trace_regions(raster, 50, options=TraceOptions(min_area=154)).area_m2) == 0
