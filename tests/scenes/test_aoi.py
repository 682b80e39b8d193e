"""--aoi: only pixels with their centre in the polygons are scored, and other tiles are never read."""

from __future__ import annotations

import warnings

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import shapely.affinity
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import geometry_mask

from rsdetect.batches.pairs import read_pairs
from rsdetect.checks.scan import Scan
from rsdetect.errors import InputError, NothingToCompare
from rsdetect.grid import Grid, Window
from rsdetect.jobs.options import DetectOptions
from rsdetect.monitoring.job import Job
from rsdetect.scenes.aoi import inside_aoi, read_aoi, touches_window
from rsdetect.scenes.pair import PairOptions, open_pair, read_tile
from rsdetect.scoring.core import score_core
from rsdetect.tiles import TileWindow, plan_tiles
from support.scenes import TEN_METRES, UTM, random_scene, write_plain, write_scene

WKT = rasterio.crs.CRS.from_string(UTM).to_wkt()
GRID = Grid(WKT, TEN_METRES, 60, 80)


def write_areas(path, *polygons, crs=UTM, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        geopandas.GeoDataFrame(geometry=list(polygons), crs=crs).to_file(path, **options)
    return str(path)


def on_ground(polygon, transform=TEN_METRES):
    """From (column, row) to CRS units."""
    return shapely.affinity.affine_transform(polygon, transform.to_shapely())


def covered(path, grid=GRID, window=None):
    return inside_aoi(read_aoi(path, grid), window or grid.window)


TRIANGLE = shapely.Polygon([(3.1, 5.2), (70.3, 11.7), (22.6, 55.9)])
RING = shapely.Polygon(
    [(10.2, 8.3), (60.7, 10.1), (55.5, 50.6), (12.3, 44.4)], [[(20.1, 20.2), (40.3, 22.4), (30.5, 38.6)]]
)


@pytest.mark.parametrize("shape", [TRIANGLE, RING], ids=["triangle", "with a hole"])
@pytest.mark.parametrize(
    "transform",
    [TEN_METRES, Affine(10, 0, 500000, 0, 10, 5299000), TEN_METRES @ Affine.rotation(25)],
    ids=["north-up", "south-up", "rotated"],
)
def test_a_pixel_belongs_to_the_area_when_its_centre_does(tmp_path, shape, transform):
    path = write_areas(tmp_path / "aoi.gpkg", on_ground(shape, transform))
    expected = geometry_mask([on_ground(shape, transform)], (60, 80), transform, invert=True)
    np.testing.assert_array_equal(covered(path, Grid(WKT, transform, 60, 80)), expected)


def test_several_polygons_and_layers_of_any_size_are_one_area(tmp_path):
    parts = [shapely.box(1, 1, 9, 9), shapely.box(5, 5, 15, 12), TRIANGLE, shapely.box(70, 50, 200, 200)]
    path = write_areas(
        tmp_path / "aoi.gpkg",
        *map(on_ground, parts[:2]),
        shapely.MultiPolygon(list(map(on_ground, parts[2:]))),
    )
    expected = geometry_mask([on_ground(part) for part in parts], (60, 80), TEN_METRES, invert=True)
    np.testing.assert_array_equal(covered(path), expected)


@pytest.mark.parametrize("name", ["aoi.gpkg", "aoi.geojson", "aoi.shp", "ein Gebiet, größer.fgb"])
def test_any_vector_format_will_do(tmp_path, name):
    if name.endswith("geojson"):
        path = write_areas(
            tmp_path / name, *geopandas.GeoSeries([on_ground(RING)], crs=UTM).to_crs(4326), crs=4326
        )
    else:
        path = write_areas(tmp_path / name, on_ground(RING))
    expected = geometry_mask([on_ground(RING)], (60, 80), TEN_METRES, invert=True)
    assert (covered(path) == expected).mean() > 0.999


def test_polygons_in_degrees_are_brought_to_the_pairs_crs(tmp_path):
    moved = geopandas.GeoSeries([on_ground(TRIANGLE)], crs=UTM).to_crs(4326)
    path = write_areas(tmp_path / "aoi.gpkg", *moved, crs=4326)
    expected = geometry_mask([on_ground(TRIANGLE)], (60, 80), TEN_METRES, invert=True)
    np.testing.assert_array_equal(covered(path), expected)


def test_the_area_of_a_plain_picture_is_drawn_on_its_pixels(tmp_path):
    """QGIS shows such a picture below the x axis, so rows count downwards from y = 0."""
    picture = write_plain(tmp_path / "picture.png", random_scene(0, 1, 60, 80))
    path = write_areas(tmp_path / "aoi.gpkg", shapely.box(10, -30, 40, -5), crs=None, driver="GPKG")
    pair = open_pair(picture, picture, PairOptions(aoi=path))
    expected = np.zeros((60, 80), bool)
    expected[5:30, 10:40] = True
    np.testing.assert_array_equal(inside_aoi(pair.aoi, Window(0, 0, 60, 80)), expected)


corner = st.tuples(st.integers(-20, 200).map(lambda n: n / 2), st.integers(-20, 160).map(lambda n: n / 2))


@settings(max_examples=60)
@given(
    corners=st.lists(corner, min_size=3, max_size=7),
    offset=st.tuples(st.integers(-10, 60), st.integers(-10, 80)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    far=st.sampled_from([0, 30_000]),
)
def test_the_area_is_the_same_whichever_window_asks(corners, offset, size, far):
    """Corners on pixel edges and centres, so that many a border runs exactly through a centre."""
    polygon = shapely.make_valid(shapely.Polygon(np.array(corners) + far))
    if polygon.area == 0:
        return
    aoi = shapely.to_wkb(polygon)
    around = Window(far - 20, far - 20, 140, 160)
    whole = inside_aoi(aoi, around)
    window = Window(far + offset[0], far + offset[1], *size)
    np.testing.assert_array_equal(inside_aoi(aoi, window), whole[window.slices_in(around)])
    rows, cols = np.mgrid[window.row_off : window.row_end, window.col_off : window.col_end] + 0.5
    strictly = shapely.contains_xy(polygon, cols, rows)
    at_most = shapely.intersects_xy(polygon, cols, rows)
    found = inside_aoi(aoi, window)
    assert (found >= strictly).all() and (found <= at_most).all()
    if found.any():
        assert touches_window(aoi, window)


def test_a_bow_tie_counts_as_both_its_wings(tmp_path):
    bow_tie = shapely.Polygon([(10.2, 10.3), (60.4, 50.1), (60.4, 10.3), (10.2, 50.1)])
    path = write_areas(tmp_path / "aoi.gpkg", on_ground(bow_tie))
    found = covered(path)
    assert found[30, 15] and found[30, 55] and not found[12, 35] and not found[48, 35]


def test_pixels_outside_the_area_are_not_valid_and_those_inside_are(tmp_path):
    scene = write_scene(tmp_path / "scene.tif", random_scene(0, 1, 60, 80))
    path = write_areas(tmp_path / "aoi.gpkg", on_ground(RING))
    pair = open_pair(scene, scene, PairOptions(aoi=path))
    window = Window(-5, -5, 70, 90)
    tile = read_tile(pair, TileWindow(0, 0, window, window))
    expected = geometry_mask([on_ground(RING)], (60, 80), TEN_METRES, invert=True)
    np.testing.assert_array_equal(tile.valid[5:65, 5:85], expected)
    assert tile.valid.sum() == expected.sum()


def test_tiles_and_blocks_outside_the_area_are_never_read(tmp_path, monkeypatch):
    scene = write_scene(
        tmp_path / "scene.tif", random_scene(0, 1, 1500, 1500), tiled=True, blockxsize=256, blockysize=256
    )
    path = write_areas(
        tmp_path / "aoi.gpkg", *map(on_ground, (shapely.box(0, 0, 9, 9), shapely.box(600, 600, 700, 700)))
    )
    pair = open_pair(scene, scene, PairOptions(aoi=path))
    windows = []
    read = rasterio.io.DatasetReader.read

    def counted(dataset, *args, window, **keywords):
        windows.append(window)
        return read(dataset, *args, window=window, **keywords)

    class Flat:
        halo, stride, strips, skips_equal = 0, 1, False, False

        def score(self, tile):
            return np.zeros(tile.valid.shape, np.float32)

    monkeypatch.setattr(rasterio.io.DatasetReader, "read", counted)
    tiles = [tile for tile in plan_tiles(pair.grid, 128, 0, 1) if pair.intersects_aoi(tile.core)]
    edge = 704  # of the part that is cropped to the area, in steps of 64 pixels
    assert [tile.core for tile in tiles] == [
        Window(0, 0, 128, 128),
        *(
            Window(row, col, min(128, edge - row), min(128, edge - col))
            for row in (512, 640)
            for col in (512, 640)
        ),
    ]
    for tile in tiles:
        score_core(pair, Flat(), tile)
    assert len(windows) == 2 * 5
    windows.clear()
    Scan(pair).sample_pixels()
    assert set(windows) == {((0, 256), (0, 256)), ((512, 768), (512, 768))}


def test_an_area_outside_the_scenes_is_refused(tmp_path):
    path = write_areas(tmp_path / "aoi.gpkg", on_ground(shapely.box(100, 100, 110, 110)))
    with pytest.raises(NothingToCompare, match="lies outside what both scenes cover"):
        read_aoi(path, GRID)


def test_an_area_that_the_crs_cannot_express_is_refused(tmp_path):
    path = write_areas(tmp_path / "aoi.gpkg", shapely.box(188, -89.99, 190, -89.98), crs=4326)
    with pytest.raises((NothingToCompare, InputError)):
        read_aoi(path, GRID)


def test_an_area_without_a_crs_is_refused(tmp_path):
    path = write_areas(tmp_path / "aoi.shp", on_ground(TRIANGLE), crs=None)
    with pytest.raises(InputError, match="names no CRS, and the scenes are in EPSG:32632"):
        read_aoi(path, GRID)


def test_points_and_lines_are_no_area(tmp_path):
    path = write_areas(tmp_path / "aoi.gpkg", shapely.Point(500100, 5299900))
    with pytest.raises(InputError, match="holds no polygon"):
        read_aoi(path, GRID)


@pytest.mark.parametrize("name", ["missing.gpkg", "scene.tif", "notes.txt", "table.csv"])
def test_what_holds_no_polygons_is_refused_by_name(tmp_path, name):
    write_scene(tmp_path / "scene.tif", random_scene(0))
    (tmp_path / "notes.txt").write_text("here")
    (tmp_path / "table.csv").write_text("name,x\nhere,1\n")
    with pytest.raises(InputError, match=name):
        read_aoi(str(tmp_path / name), GRID)


def test_polygons_inside_a_collection_count(tmp_path):
    collection = shapely.GeometryCollection([shapely.Point(500100, 5299900), on_ground(TRIANGLE)])
    path = write_areas(
        tmp_path / "aoi.geojson", *geopandas.GeoSeries([collection], crs=UTM).to_crs(4326), crs=4326
    )
    assert covered(path).sum() == pytest.approx(TRIANGLE.area, rel=0.02)


@pytest.fixture
def layers(tmp_path):
    """A GeoPackage with points, then two layers of polygons; and a scene of 12 x 15 pixels under them."""
    path = tmp_path / "sites.gpkg"
    left, top = 500000, 5300000
    shapes = {
        "pins": shapely.Point(left + 20, top - 20),
        "west": shapely.box(left, top - 120, left + 50, top),
        "east": shapely.box(left + 100, top - 120, left + 150, top),
    }
    for name, shape in shapes.items():
        geopandas.GeoDataFrame(geometry=[shape], crs=UTM).to_file(path, layer=name)
    return path, write_scene(tmp_path / "a.tif", random_scene(0, 3, 12, 15))


@pytest.mark.parametrize(("layer", "first_column"), [("", 0), (":west", 0), (":east", 10)])
def test_the_layer_of_an_area_of_interest_is_named_or_reported(layers, layer, first_column):
    path, scene = layers
    pair = open_pair(scene, scene, PairOptions(aoi=f"{path}{layer}"))
    inside = inside_aoi(pair.aoi, pair.grid.window).any(axis=0)
    assert pair.grid.bounds[0] + 10 * int(np.flatnonzero(inside)[0]) == 500000 + 10 * first_column
    noted = [note for note in pair.notes if "layer 'west'" in note and "pins, west, east" in note]
    assert bool(noted) == (not layer)


def test_a_layer_that_does_not_exist_is_refused_by_name(layers):
    path, scene = layers
    with pytest.raises(InputError, match=r"has no layer 'north'; it has pins, west, east"):
        open_pair(scene, scene, PairOptions(aoi=f"{path}:north"))


def test_lists_and_job_files_name_a_layer_of_a_file_beside_them(layers):
    path, _ = layers
    (path.parent / "pairs.csv").write_text(
        "name,before,after,aoi\na,a.tif,a.tif,sites.gpkg:west\nb,a.tif,a.tif,sites.gpkg\n"
    )
    pairs = read_pairs(path.parent / "pairs.csv", DetectOptions())
    assert [pair.options.pair.aoi for pair in pairs] == [f"{path}:west", str(path)]
    source = {"kind": "folder", "path": "scenes", "pattern": "{date:%Y%m%d}.tif"}
    for text, leads_to in (
        ("sites.gpkg:west", f"{path}:west"),
        ("sites.gpkg", str(path)),
        ("https://host/sites.geojson", "https://host/sites.geojson"),
    ):
        job = Job.model_validate({"site": "a", "source": source, "out": "out", "aoi": text})
        assert job.aoi_path(path.parent / "job.yaml") == leads_to
