"""A STAC catalogue of a small site: one file per band beside a classification."""

from __future__ import annotations

from datetime import datetime

import geopandas
import numpy as np
import pystac
import rasterio
import shapely

from rsdetect.simulation.write_time_series import write_series_date
from support.stac_server import item

BANDS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"}
CLASSES = np.array([4, 9, 3], np.uint8)  # vegetation, cloud, cloud shadow: Sentinel-2's for ours


def write_bands(folder, made, days):
    """One file per band and a classification for each date of a series; the names of the dates."""
    (folder / "whole").mkdir(parents=True)
    for number in range(len(days)):
        write_series_date(made, number, folder / "whole")
    for day in days:
        name = f"{day:%Y%m%d}"
        with rasterio.open(folder / "whole" / f"{name}.tif") as scene:
            profile = {"driver": "GTiff", "crs": scene.crs, "transform": scene.transform, "tiled": True}
            for band, key in enumerate(BANDS, 1):
                _write(folder / f"{name}_{key}.tif", scene.read(band), profile)
        with rasterio.open(folder / "whole" / f"{name}_mask.tif") as mask:
            _write(folder / f"{name}_SCL.tif", CLASSES[mask.read(1)], profile)
    return [f"{day:%Y%m%d}" for day in days]


def _write(path, array, profile):
    grid = {"height": array.shape[0], "width": array.shape[1], "dtype": array.dtype, "count": 1}
    with rasterio.open(path, "w", **(profile | {"blockxsize": 64, "blockysize": 64}), **grid) as file:
        file.write(array, 1)


def write_area(folder, inner=50):
    """The area of interest: the site without its edge, in longitude and latitude."""
    with rasterio.open(next((folder / "whole").glob("*.tif"))) as scene:
        shape = shapely.box(*scene.bounds).buffer(-inner)
        geopandas.GeoSeries([shape], crs=scene.crs).to_crs("EPSG:4326").to_file(folder / "area.geojson")
    return folder / "area.geojson"


def items_of(names, area, place, *, tile="MGRS-32UPU", **properties):
    """A STAC item per date, whose assets lie at `place`."""
    west, south, east, north = geopandas.read_file(area).total_bounds
    box = (west - 0.1, south - 0.1, east + 0.1, north + 0.1)
    found = []
    for name in names:
        assets = {key: (f"{place}/{name}_{key}.tif", band) for key, band in BANDS.items()}
        assets["SCL"] = (f"{place}/{name}_SCL.tif", None)
        day = datetime.strptime(name, "%Y%m%d").date().isoformat()
        told = {"grid:code": tile, "platform": "sentinel-2a"} | properties
        found.append(item(f"S2_{name}", day, assets, box=box, **told))
    return found


def static_catalogue(folder, items):
    """Path of a static catalogue that holds the items."""
    root = pystac.Catalog("root", "a site")
    space, time = pystac.SpatialExtent([[8, 47, 10, 48]]), pystac.TemporalExtent([[None, None]])
    collection = pystac.Collection("s2", "scenes", pystac.Extent(space, time))
    root.add_child(collection)
    for each in items:
        collection.add_item(each)
    root.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)
    return folder / "catalog.json"
