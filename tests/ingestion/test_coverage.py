"""Coverage of an area of interest, also across 180 degrees and where it cannot be projected wholly."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import geopandas
import numpy as np
import pyproj
import pystac
import pytest
import rasterio
import shapely
from affine import Affine

from rsdetect.feeds import make_feed
from rsdetect.feeds.passes import merge_passes
from rsdetect.feeds.scene_refs import SceneRef
from rsdetect.feeds.sections import StacSource
from rsdetect.feeds.stac import search_boxes
from rsdetect.grid import Grid
from rsdetect.ingestion.coverage import covering_grid, footprint_on, uncovered_share
from rsdetect.ingestion.ingest import ingest_scene
from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.ingestion.site import choose_site
from rsdetect.scenes.projecting import in_degrees
from support.scenes import write_scene
from support.stac_server import item

WGS84 = "EPSG:4326"
EAST_OF_180 = shapely.box(-180, 66.99, -179.99, 67.01)
CHUKOTKA = shapely.MultiPolygon([shapely.box(179.99, 66.99, 180, 67.01), EAST_OF_180])


def grid_at(crs, lon, lat, step, edge):
    """A grid of which a place is the middle."""
    x, y = pyproj.Transformer.from_crs(4326, pyproj.CRS(crs), always_xy=True).transform(lon, lat)
    x += 360 * (crs == WGS84 and x < 0)
    left_top = Affine(step, 0, x - step * edge / 2, 0, -step, y + step * edge / 2)
    return Grid(pyproj.CRS(crs).to_wkt(), left_top, edge, edge)


def area(folder, polygon, crs=WGS84):
    geopandas.GeoSeries([polygon], crs=crs).to_file(folder / "aoi.gpkg")
    return folder / "aoi.gpkg"


@pytest.mark.parametrize("polygon", [CHUKOTKA, shapely.box(179.99, 66.99, 180.01, 67.01)])
@pytest.mark.parametrize(("crs", "step"), [("EPSG:32660", 10.0), ("EPSG:3571", 10.0), (WGS84, 2e-4)])
def test_the_share_across_180_degrees(tmp_path, polygon, crs, step):
    aoi = str(area(tmp_path, polygon))
    grid = grid_at(crs, 180.0, 67.0, step, 400)
    assert uncovered_share(aoi, grid, [footprint_on(grid, grid)]) == 0
    half = grid_at(WGS84, -179.95, 67.0, 5e-4, 200)  # to the east of 180 degrees
    assert uncovered_share(aoi, grid, [footprint_on(half, grid)]) == pytest.approx(0.5, abs=1e-3)


def test_the_share_of_an_area_that_no_projection_holds(tmp_path):
    aoi = area(tmp_path, shapely.box(-180, -90, 180, 90))
    grid, other = (grid_at("EPSG:32632", lon, 48.0, 1000.0, 300) for lon in (9.0, 11.0))
    share = uncovered_share(str(aoi), grid, [footprint_on(grid, grid)])
    assert share == pytest.approx(1 - 9e10 / 5.1e14, abs=1e-4)
    assert covering_grid(grid, [other], str(aoi)) == covering_grid(grid, [other], None)


def test_the_grid_reaches_the_area_of_interest_by_its_whole_outline(tmp_path):
    """The southern edge of a box in degrees bulges 6 km south of its corners in UTM."""
    grid = grid_at("EPSG:32632", 9.0, 50.0, 1000.0, 200)
    world = Grid(pyproj.CRS(4326).to_wkt(), Affine(0.5, 0, -180, 0, -0.5, 90), 360, 720)
    found = covering_grid(grid, [world], str(area(tmp_path, shapely.box(6, 49.0, 12, 51.0))))
    left, bottom, right, top = found.bounds
    way = pyproj.Transformer.from_crs(4326, 32632, always_xy=True)
    assert bottom == pytest.approx(way.transform(9, 49.0)[1], abs=1001)
    assert top == pytest.approx(way.transform(12, 51.0)[1], abs=1001)
    assert (left, right) == pytest.approx((way.transform(6, 49)[0], way.transform(12, 49)[0]), abs=1001)


def test_tiles_of_one_pass_on_both_sides_of_180_degrees_are_one_scene():
    noon = datetime(2023, 5, 1, 10, tzinfo=UTC)
    boxes = {"a": (179.0, -17, 180.1, -16), "b": (-179.95, -17, -179.0, -16), "c": (-181.0, -17, -179.9, -16)}
    found = merge_passes([SceneRef(name, noon, (f"{name}.tif",), bounds=box) for name, box in boxes.items()])
    assert [tile.id for each in found for tile in each.tiles] == ["b", "a"], "c is the ground of a"


def test_a_search_on_both_sides_of_180_degrees_has_a_box_on_each():
    (polygon,) = in_degrees(np.array([shapely.box(179.5, -17, 180.5, -16)], dtype=object), WGS84)
    assert search_boxes(polygon) == [(-180, -17, -179.5, -16), (179.5, -17, 180, -16)]
    assert search_boxes(shapely.box(8, 47, 9, 48)) == [(8, 47, 9, 48)]


def test_items_across_180_degrees_are_found_by_an_area_in_utm(tmp_path):
    """Footprints from 179 to -179 degrees, beyond 180, of one side, and elsewhere."""
    boxes = {
        "jump": (179, -18, -179, -16),
        "beyond": (179, -18, 181, -16),
        "east": (-180, -18, -179, -16),
        "west": (178, -18, 180, -16),
        "elsewhere": (-170, -18, -169, -16),
    }
    catalogue = pystac.Catalog("fiji", "")
    catalogue.add_items(
        [item(name, "2024-05-03", {"B04": ("x", "red")}, box=box) for name, box in boxes.items()]
    )
    catalogue.normalize_and_save(str(tmp_path), pystac.CatalogType.SELF_CONTAINED)
    x, y = pyproj.Transformer.from_crs(4326, 32760, always_xy=True).transform(180.0, -17.0)
    aoi = area(tmp_path, shapely.box(x - 5000, y - 5000, x + 5000, y + 5000), "EPSG:32760")
    section = StacSource(url=str(tmp_path / "catalog.json"), assets=("B04",))
    found = make_feed(section, Path("/nowhere"), str(aoi)).list_scenes()
    assert sorted(ref.id.split("/")[-1] for ref in found) == ["beyond", "east", "jump", "west"]
    assert {ref.bounds[2] for ref in found if "jump" in ref.id} == {181}


@pytest.mark.parametrize("step", [10, 20])
def test_undeclared_fill_of_band_files_is_not_ingested(tmp_path, step):
    """Beyond the swath all bands hold 0; over water near infrared alone does."""
    swath = np.indices((80, 100))[1] < 64
    ground = np.where(swath, 1000 + np.indices((80, 100))[1] % 17, 0).astype("uint16")
    water = ground.copy()
    water[20:40, 10:30] = 0
    red, nir = (write_scene(tmp_path / f"{i}.tif", each) for i, each in enumerate((ground, water)))
    files, names = (red, nir), ("red", "nir")
    if step == 20:
        place = Affine(20, 0, 500000, 0, -20, 5300000)
        coarse = np.where(swath[::2, ::2], 2000, 0).astype("uint16")
        files, names = (*files, write_scene(tmp_path / "swir.tif", coarse, transform=place)), (*names, "swir")
    ref = SceneRef("a", datetime(2024, 5, 3, tzinfo=UTC), files, band_names=names)
    options = ScenesSection(align=True)
    (tmp_path / "copies").mkdir()
    row = ingest_scene(ref, None, choose_site([ref], None, None), options, tmp_path / "copies")
    assert row.content["valid_share"] == pytest.approx(0.64)
    with rasterio.open(row.content["path"]) as dataset:
        values = dataset.read()
    np.testing.assert_array_equal(np.isfinite(values[0]), swath)
    assert (values[1][20:40, 10:30] == 0).all()
    if step == 20:
        np.testing.assert_array_equal(values[2][swath], 2000)
