"""Arrays that odc-stac loads from a STAC item, against the files that the item names."""

import importlib.util
import os
from datetime import UTC, datetime

import numpy as np
import pystac
import pytest
import rasterio
from rasterio.warp import transform_bounds
from shapely.geometry import box, mapping

from rsdetect.grid import Window
from rsdetect.scenes.header import read_header
from rsdetect.scenes.opening import open_source
from rsdetect.scenes.pair import open_pair, read_tile
from rsdetect.tiles import TileWindow
from support.scenes import random_scene, write_scene

if importlib.util.find_spec("odc") is None and not os.environ.get("CI"):
    pytest.skip("odc-stac, of the dev group, is not installed", allow_module_level=True)

NAMES = ("red", "green", "blue")
ARRAY = random_scene(1, 3, 60, 70, "uint16")
ARRAY[:, 5:9, 4:20] = 0


@pytest.fixture
def path(tmp_path):
    return write_scene(tmp_path / "all.tif", ARRAY, nodata=0, names=NAMES)


@pytest.fixture
def item(tmp_path, path):
    header = read_header(path)
    with rasterio.open(path) as dataset:
        bounds = transform_bounds(dataset.crs, 4326, *dataset.bounds)
    about = {
        "proj:shape": list(header.grid.shape),
        "proj:transform": list(header.grid.transform)[:6],
        "raster:bands": [{"data_type": "uint16", "nodata": 0}],
    }
    taken = datetime(2021, 7, 4, 10, tzinfo=UTC)
    item = pystac.Item("scene", mapping(box(*bounds)), list(bounds), taken, {"proj:epsg": 32632})
    item.stac_extensions = [
        "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
        "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    ]
    for name, band in zip(NAMES, ARRAY, strict=True):
        href = write_scene(tmp_path / f"{name}.tif", band, nodata=0)
        extra = about | {"eo:bands": [{"name": name}]}
        item.add_asset(name, pystac.Asset(href, media_type=pystac.MediaType.COG, extra_fields=extra))
    return item


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:odc", "ignore::DeprecationWarning:odc")
@pytest.mark.parametrize("chunks", [{"x": 32, "y": 32}, None])
def test_an_array_of_odc_stac_is_its_files(item, path, chunks):
    from odc.stac import load

    loaded = load([item], bands=NAMES, crs="EPSG:32632", resolution=10, chunks=chunks)
    array = loaded.isel(time=0).to_array("band").assign_attrs(nodata=0)
    header, expected = open_source(array).header(), read_header(path)
    assert (header.grid, header.names, header.nodata) == (expected.grid, expected.names, expected.nodata)
    pair = open_pair(path, array)
    assert pair.after_date == "2021-07-04"
    window = Window(-2, 3, 50, 80)
    tile = read_tile(pair, TileWindow(0, 0, window, window))
    np.testing.assert_array_equal(tile.before, tile.after)
    np.testing.assert_array_equal(tile.before_valid, tile.after_valid)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:odc", "ignore::DeprecationWarning:odc")
def test_an_array_with_the_accessor_of_odc_geo_alone(path):
    """No attribute of rioxarray: CRS and grid by `.odc.assign_crs`."""
    import odc.geo.xr  # noqa: F401

    from support.memory import data_array

    array = data_array(ARRAY, crs=None).odc.assign_crs("EPSG:32632", crs_coord_name="place")
    assert open_source(array).header().grid == read_header(path).grid
