"""A job over a STAC API: scenes in files a band, read by ranges, clouds by their classification."""

from datetime import datetime

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.shutil import copy

from support.file_server import ServerApart
from support.jobs import run_here
from support.watched_jobs import DAYS, deliver, series, source_in, write_job

pytest.importorskip("pystac_client")
from support.stac_server import item, stac_api

BANDS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"}
NUMBERS = (0, 1, 2)
CLASSES = np.array([4, 9, 3], np.uint8)  # vegetation, cloud, cloud shadow: Sentinel-2's for ours


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The dates as files: whole scenes, and the same as one file per band beside a classification of 20 m."""
    folder = tmp_path_factory.mktemp("bucket")
    deliver(folder, series(), *NUMBERS)
    for number in NUMBERS:
        name = f"{DAYS[number]:%Y%m%d}"
        with rasterio.open(folder / "scenes" / f"{name}.tif") as scene:
            profile = {"driver": "COG", "crs": scene.crs, "transform": scene.transform}
            for band, key in enumerate(BANDS, 1):
                write_cog(folder / f"{name}_{key}.tif", scene.read(band), profile)
        with rasterio.open(folder / "scenes" / f"{name}_mask.tif") as mask:
            write_cog(folder / f"{name}_SCL.tif", CLASSES[mask.read(1)], profile)
    return folder


def write_cog(path, array, profile):
    plain = path.with_suffix(".plain.tif")
    grid = {"height": array.shape[0], "width": array.shape[1], "dtype": array.dtype, "count": 1}
    with rasterio.open(plain, "w", **(profile | {"driver": "GTiff"}), **grid) as file:
        file.write(array, 1)
    copy(plain, path, driver="COG")
    plain.unlink()


@pytest.fixture(scope="module")
def site(folder):
    """The area of interest: the valley without its edge, in longitude and latitude."""
    with rasterio.open(next((folder / "scenes").glob("*.tif"))) as scene:
        inner = shapely.box(*scene.bounds).buffer(-50)
        geopandas.GeoSeries([inner], crs=scene.crs).to_crs("EPSG:4326").to_file(folder / "site.geojson")
    return folder / "site.geojson"


@pytest.fixture
def bucket(folder, monkeypatch, impatient):
    for name, value in {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/",  # each run in a process of its own would begin again
        "no_proxy": "127.0.0.1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("rsdetect.feeds.retries._BACKOFF_S", 0.01)
    with ServerApart(folder) as server:
        yield server


@pytest.fixture
def api(bucket, site, tmp_path):
    west, south, east, north = geopandas.read_file(site).total_bounds
    items = []
    for number in NUMBERS:
        name = f"{DAYS[number]:%Y%m%d}"
        assets = {key: (f"http://{bucket.place}/{name}_{key}.tif", band) for key, band in BANDS.items()}
        assets["SCL"] = (f"http://{bucket.place}/{name}_SCL.tif", None)
        box = (west - 0.1, south - 0.1, east + 0.1, north + 0.1)
        items.append(item(f"S2_{name}", DAYS[number].isoformat(), assets, cloud=number, box=box))
    with stac_api(tmp_path, items) as door:
        yield door


def job_over(api, folder, site):
    source = {
        "kind": "stac",
        "url": api.url,
        "collections": ["s2"],
        "assets": list(BANDS),
        "mask_asset": "SCL",
    }
    first = {"policy": "fixed", "scene": DAYS[0].isoformat()}
    return write_job(folder, source=source, aoi=str(site), baseline=first)


def found_in(folder):
    frame = geopandas.read_file(folder / "out" / "events.gpkg", layer="events")
    return sorted(
        (row.first_seen.isoformat(), row.status, row.geometry.normalize().wkt) for row in frame.itertuples()
    )


def results_in(folder):
    """Bytes of all files of a job but the heartbeat, which every run writes."""
    found = {path: path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()}
    del found[folder / "out" / "heartbeat.json"]
    return found


@pytest.mark.slow
def test_a_catalogue_gives_the_events_that_a_folder_gives_and_trouble_with_it_passes(
    api, bucket, folder, site, tmp_path
):
    local = tmp_path / "local"
    local.mkdir()
    first = {"policy": "fixed", "scene": DAYS[0].isoformat()}
    job = write_job(local, source=source_in(folder), aoi=str(site), baseline=first)
    assert run_here("monitor", "run", job).status == 0

    job = job_over(api, tmp_path, site)
    # The catalogue is down: nothing is begun.
    api.fails_after = 0
    told = run_here("monitor", "run", job)
    assert (told.status, told.err.count("\n")) == (3, 1)
    assert "cannot be reached now" in told.err and not (tmp_path / "out").exists()
    api.fails_after = None

    # The scenes are unavailable, and with the first one the grid: it is named, and the next run tries again.
    bucket.is_down = True
    told = run_here("monitor", "run", job)
    assert told.status == 3
    assert f"{DAYS[0]:%Y%m%d}_B02.tif" in told.err and "503" in told.err
    bucket.is_down = False

    told = run_here("monitor", "run", job)
    assert told.status == 0, told.err
    assert found_in(tmp_path) == found_in(local) != []

    # Down again: what is there stays, to the last byte.
    kept = results_in(tmp_path)
    api.fails_after = 0
    assert run_here("monitor", "run", job).status == 3
    assert results_in(tmp_path) == kept
    assert datetime.fromisoformat(found_in(tmp_path)[0][0]).date() in DAYS
