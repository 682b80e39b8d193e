"""One scene per pass: tiles become a mosaic, the newest processing counts, sensors stay apart."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import yaml
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject

from rsdetect.feeds.passes import merge_passes
from rsdetect.feeds.scene_refs import SceneRef
from support.jobs import run_here
from support.products import write_landsat, write_safe
from support.scenes import write_scene

NOON = datetime(2023, 5, 1, 10, 20, 31, tzinfo=UTC)
S2 = "S2A_MSIL2A_20230501T102031"
WEST, EAST, NORTH = (9.0, 50.0, 10.0, 51.0), (9.9, 50.0, 10.9, 51.0), (9.0, 50.9, 10.0, 51.9)


def ref(name, seconds=0.0, bounds=WEST, **fields):
    return SceneRef(name, NOON + timedelta(seconds=seconds), (f"{name}.tif",), bounds=bounds, **fields)


def merged(*refs):
    return [(each.id, tuple(tile.id for tile in each.tiles)) for each in merge_passes(refs)]


def test_tiles_of_one_moment_become_one_scene():
    assert merged(ref("a"), ref("b", bounds=EAST)) == [("mosaic 2023-05-01", ("b", "a"))]


def test_tiles_of_one_pass_become_one_scene_and_the_next_pass_another():
    tiles = [
        ref(f"{day}-{i}", 86400 * 5 * day + 14 * i, box)
        for day in (0, 1)
        for i, box in enumerate((WEST, EAST, NORTH))
    ]
    found = merge_passes(tiles)
    assert [len(each.tiles) for each in found] == [3, 3]
    assert found[0].taken == NOON and found[0].replaces == ("0-2", "0-1", "0-0")


def test_a_pass_over_midnight_is_one_scene():
    late = (datetime(2023, 5, 1, 23, 59, 55, tzinfo=UTC) - NOON).total_seconds()
    ((name, tiles),) = merged(ref("a", late), ref("b", late + 14, EAST))
    assert (name, tiles) == ("mosaic 2023-05-01", ("b", "a"))


def test_scenes_of_the_same_ground_minutes_apart_stay_two():
    assert merged(ref("a"), ref("b", 600)) == [("a", ()), ("b", ())]


def test_sensors_of_one_day_stay_apart():
    both = ref("a", sensor="sentinel-2a"), ref("b", sensor="landsat-8")
    assert merged(*both) == [("a", ()), ("b", ())]
    assert all(not each.problem for each in merge_passes(both))
    by_name = ref("S2A_32UPA_20230501_0_L2A"), ref("LC08_L2SP_193026_20230501_02_T1", bounds=EAST)
    assert len(merged(*by_name)) == 2


def test_scenes_of_one_moment_and_ground_are_a_problem_of_that_date_alone():
    found = merge_passes([ref("a"), ref("b"), ref("c", 86400 * 5)])
    assert [bool(each.problem) for each in found] == [True, True, False]
    assert "a and b have one acquisition time" in found[0].problem


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (f"{S2}_N0400_R065_T32UPA_20230501T140000", f"{S2}_N0510_R065_T32UPA_20240201T000000"),
        (f"{S2}_N0400_R065_T32UPA.SAFE", f"{S2}_N0510_R065_T32UPA.SAFE"),
        ("S2A_32UPA_20230501_0_L2A", "S2A_32UPA_20230501_1_L2A"),
        ("LC08_L2SP_193026_20230501_20230505_02_RT", "LC08_L2SP_193026_20230501_20230512_02_T1"),
        ("LC08_L2SP_193026_20230501_20230512_02_T1.tar", "LC08_L2SP_193026_20230501_20240512_02_T1.tar"),
        ("HLS.S30.T32UPA.2023121T102031.v1.5", "HLS.S30.T32UPA.2023121T102031.v2.0"),
        ("site_20230501_v1.tif", "site_20230501_v2.tif"),
        ("site_20230501_v9.tif", "site_20230501_v10.tif"),
        (f"{S2}_N0400_R065_T32UPA.SAFE.zip", f"{S2}_N0510_R065_T32UPA.SAFE.zip"),
        ("LC08_L2SP_193026_20230501_20230512_02_T2", "LC08_L2SP_193026_20230501_20240512_02_T1"),
        ("HLS.S30.T32UPA.2023121T102031.v1.5.{band}.tif", "HLS.S30.T32UPA.2023121T102031.v2.0.{band}.tif"),
        (
            "LC08_L2SP_193026_20230501_20230505_02_RT_SR_{band}.TIF",
            "LC08_L2SP_193026_20230501_20230512_02_T1_SR_{band}.TIF",
        ),
        (
            f"{S2}_N0400_R065_T32UPA_20230501T140000.SAFE/GRANULE/L2A/IMG_DATA/R10m/T32UPA_{{band}}_10m.jp2",
            f"{S2}_N0510_R065_T32UPA_20240201T000000.SAFE/GRANULE/L2A/IMG_DATA/R10m/T32UPA_{{band}}_10m.jp2",
        ),
    ],
)  # fmt: skip
def test_of_two_processings_the_newer_is_used_and_it_is_noted(older, newer):
    for order in ((older, newer), (newer, older)):
        (found,) = merge_passes([ref(name) for name in order])
        assert (found.id, found.replaces) == (newer, (older,))
        assert older in found.note and "newer processing" in found.note


def test_a_product_beside_its_archive_is_used_once():
    name = f"{S2}_N0510_R065_T32UPA_20230501T140000"
    (found,) = merge_passes([ref(f"{name}.SAFE"), ref(f"{name}.SAFE.zip")])
    assert found.id.endswith(".SAFE") and "the same product as" in found.note


@pytest.mark.parametrize(
    "names",
    [
        ("MOD09GA.A2023121.h18v04.061.hdf", "MYD09GA.A2023121.h18v04.061.hdf"),
        ("VNP09GA.A2023121.h18v04.tif", "VJ109GA.A2023121.h18v04.tif"),
        ("HLS.S30.T32UPA.2023121T102031.v2.0.{band}.tif", "HLS.L30.T32UPA.2023121T102031.v2.0.{band}.tif"),
        ("LC08_L2SP_193026_20230501_20230512_02_T1", "LC09_L2SP_193026_20230501_20230512_02_T1"),
        ("S2A_MSIL2A_20230501T102031_N0510_R065_T32UPA", "S2C_MSIL2A_20230501T102031_N0510_R065_T32UPA"),
    ],
)
def test_sensors_are_distinguished_by_the_names_of_their_products(names):
    found = merge_passes([ref(name) for name in names])
    assert len(found) == 2 and not any(each.problem or each.replaces for each in found)


def test_the_baseline_and_time_of_processing_that_a_catalogue_gives_decide():
    one = ref("x", sensor="s", tile="T1", processed="05.10 2024-02-01")
    other = ref("y", sensor="s", tile="T1", processed="04.00 2024-03-01")
    (found,) = merge_passes([one, other])
    assert found.id == "x"


def test_levels_of_one_product_are_not_processings_of_it():
    names = [f"S2A_MSIL{level}_20230501T102031_N0400_R065_T32UPA_20230501T140000" for level in ("1C", "2A")]
    assert [each.id for each in merge_passes([ref(name) for name in names])] == names


# --- whole jobs ---------------------------------------------------------------------------------------------

DATES = ("20230501T102031", "20230511T102031", "20230521T102031", "20230531T102031")
X0, Y0 = 500000, 5300000


def ground(date, rows=96, cols=180):
    """One band set of a place on which a block is built at the third date."""
    rng = np.random.default_rng(3)
    base = rng.integers(400, 2000, (3, 8, 15)).repeat(12, 1).repeat(12, 2)[:, :rows, :cols]
    base = base + np.random.default_rng(date + 10).integers(0, 30, base.shape)
    if date >= 2:
        base[:, 30:60, 140:170] = 4200
    return base.astype(np.uint16)


def write_tiles(folder, *, zone=None):
    """Tiles of 100 columns with an overlap of 20; the eastern ones in the CRS `zone`."""
    for number, date in enumerate(DATES):
        array = ground(number)
        write_scene(
            folder / f"{date}_west.tif", array[:, :, :100], transform=from_origin(X0, Y0, 10, 10), nodata=0
        )
        east, place = array[:, :, 80:], from_origin(X0 + 800, Y0, 10, 10)
        if zone is None:
            write_scene(folder / f"{date}_east.tif", east, transform=place, nodata=0)
            continue
        left, bottom, right, top = rasterio.warp.transform_bounds(
            "EPSG:32632", zone, X0 + 800, Y0 - 960, X0 + 1800, Y0
        )
        there = from_origin(left, top, 10, 10)
        size = int((top - bottom) / 10) + 1, int((right - left) / 10) + 1
        warped = np.zeros((3, *size), np.uint16)
        reproject(
            east, warped, src_transform=place, src_crs="EPSG:32632", dst_transform=there, dst_crs=zone,
            resampling=Resampling.nearest, src_nodata=0, dst_nodata=0,
        )  # fmt: skip
        write_scene(folder / f"{date}_east.tif", warped, crs=zone, transform=there, nodata=0)


def write_job(folder, *, pattern, aoi=None, **sections):
    if aoi is not None:
        geopandas.GeoDataFrame(geometry=[aoi], crs="EPSG:32632").to_crs(4326).to_file(folder / "aoi.geojson")
        sections["aoi"] = "aoi.geojson"
    job = {
        "site": "place",
        "source": {"kind": "folder", "path": "scenes", "pattern": pattern},
        "out": "out",
        "baseline": {"policy": "previous"},
        "detector": {"name": "cva", "min_area": 3000},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job | sections))
    return folder / "job.yaml"


SITE = shapely.box(X0 + 1400, Y0 - 600, X0 + 1700, Y0 - 300)
AOI = shapely.box(X0 + 300, Y0 - 900, X0 + 1780, Y0 - 60)


def run(job):
    told = run_here("monitor", "run", job)
    assert told.status == 0, told.err
    return told


@pytest.mark.parametrize("zone", [None, "EPSG:32633"])
def test_the_area_of_interest_is_covered_from_all_its_tiles(tmp_path, zone):
    write_tiles(tmp_path / "scenes", zone=zone)
    job = write_job(tmp_path, pattern="{date:%Y%m%dT%H%M%S}_*.tif", aoi=AOI)
    told = run(job)
    events = geopandas.read_file(tmp_path / "out" / "events.gpkg", layer="events")
    found = events.to_crs(32632).geometry.intersection(SITE).area.sum()
    assert found > 0.8 * SITE.area, told.err
    assert "not covered" not in told.err


def test_a_late_tile_joins_the_scene_of_its_pass(tmp_path):
    write_tiles(tmp_path / "scenes")
    later = tmp_path / "later"
    later.mkdir()
    for path in (tmp_path / "scenes").glob("20230521*_east.tif"):
        path.rename(later / path.name)
    job = write_job(tmp_path, pattern="{date:%Y%m%dT%H%M%S}_*.tif", aoi=AOI)
    run(job)
    (path,) = later.iterdir()
    path.rename(tmp_path / "scenes" / path.name)
    run(job)
    told = json.loads(run_here("monitor", "status", job, "--json").out)
    used = [each["scene"] for each in told["scenes"] if each["state"] in ("done", "waits")]
    assert used == [f"mosaic {day}" for day in ("2023-05-01", "2023-05-11", "2023-05-21", "2023-05-31")]


def test_what_no_scene_covers_is_named_with_its_share(tmp_path):
    write_tiles(tmp_path / "scenes")
    wide = shapely.box(X0 + 300, Y0 - 900, X0 + 3240, Y0 - 60)  # half of it beyond the tiles
    told = run(write_job(tmp_path, pattern="{date:%Y%m%dT%H%M%S}_*.tif", aoi=wide))
    assert "49% of the area of interest is not covered by any scene" in told.err


def test_a_run_without_news_gives_its_reason(tmp_path):
    write_tiles(tmp_path / "scenes")
    for path in (tmp_path / "scenes").glob("202305[123]1*"):
        path.unlink()
    job = write_job(tmp_path, pattern="{date:%Y%m%dT%H%M%S}_*.tif")
    assert "nothing new (1 scene has no baseline yet under the policy previous)" in run(job).err
    write_tiles(tmp_path / "scenes")
    run(job)
    assert "nothing new (no new scene among the 4 of the source" in run(job).err


def test_products_delivered_as_folders_are_watched(tmp_path):
    array = np.concatenate([ground(0, 120, 120), ground(1, 120, 120)])
    write_safe(tmp_path / "scenes", array, level="2A", date="2023-08-13")
    later = array.copy()
    later[:, 40:80, 40:80] = 5000
    write_safe(tmp_path / "scenes", later, level="2A", date="2023-08-23")
    pattern = "S2B_MSIL2A_{date:%Y%m%dT%H%M%S}_*.SAFE"
    told = run(write_job(tmp_path, pattern=pattern))
    assert "1 scene compared" in told.err
    assert len(pyogrio.read_dataframe(tmp_path / "out" / "events.gpkg", layer="events")) == 1


def test_landsat_folders_are_watched_in_reflectance(tmp_path):
    array = np.concatenate([ground(0, 120, 120), ground(1, 120, 120)]) + 8000
    write_landsat(tmp_path / "scenes", array, date="2023-08-01")
    later = array.copy()
    later[:, 40:80, 40:80] += 6000
    write_landsat(tmp_path / "scenes", later, date="2023-08-17")
    run(write_job(tmp_path, pattern="LC08_L2SP_028030_{date:%Y%m%d}_*_02_T1"))
    with rasterio.open(next((tmp_path / "out" / ".monitor" / "scenes").glob("*.tif"))) as copy:
        assert copy.descriptions[:3] == ("blue", "green", "red")
        assert 0 < float(np.nanmedian(copy.read(1))) < 0.3


def test_files_of_10_m_and_20_m_are_one_scene(tmp_path):
    for number, date in enumerate(DATES):
        array = ground(number, 96, 96) if number < 2 else ground(number)[:, :, 84:]
        for band, values in zip(("B04", "B03"), array, strict=False):
            write_scene(tmp_path / "scenes" / f"T32UPA_{date}_{band}_10m.tif", values[:, :96], nodata=0)
            coarse = values[::2, :96:2]
            place = from_origin(X0, Y0, 20, 20)
            write_scene(
                tmp_path / "scenes" / f"T32UPA_{date}_{band}_20m.tif", coarse, transform=place, nodata=0
            )
        place = from_origin(X0, Y0, 20, 20)
        write_scene(
            tmp_path / "scenes" / f"T32UPA_{date}_B11_20m.tif",
            array[2, ::2, :96:2],
            transform=place,
            nodata=0,
        )
    source = {
        "kind": "folder", "path": "scenes", "pattern": "T32UPA_{date:%Y%m%dT%H%M%S}_{band}_*m.tif",
        "bands": ["B04", "B03", "B11"],
    }  # fmt: skip
    told = run(write_job(tmp_path, pattern="", source=source))
    assert "3 scenes compared" in told.err
    with rasterio.open(next((tmp_path / "out" / ".monitor" / "scenes").glob("*.tif"))) as copy:
        assert copy.res == (10, 10) and copy.count == 3


def test_encodings_before_and_after_a_baseline_are_no_event(tmp_path):
    for number, date in enumerate(DATES[:2]):
        path = write_scene(tmp_path / "scenes" / f"{date}.tif", ground(0) + 1000 * number)
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = (1e-4,) * 3, (-0.1 * number,) * 3
    write_scene(tmp_path / "scenes" / f"{DATES[2]}.tif", ground(0))
    told = run(write_job(tmp_path, pattern="{date:%Y%m%dT%H%M%S}.tif"))
    assert "1 scene compared" in told.err
    assert "20230521T102031.tif is set aside: it declares no scale and offset" in " ".join(told.err.split())
    assert len(pyogrio.read_dataframe(tmp_path / "out" / "events.gpkg", layer="events")) == 0


def test_an_implausible_result_is_a_note_of_the_run(tmp_path):
    for number, date in enumerate(DATES[:2]):
        array = ground(number)
        array[:, :, 110:] += 3000 * number
        write_scene(tmp_path / "scenes" / f"{date}.tif", array)
    told = run(write_job(tmp_path, pattern="{date:%Y%m%dT%H%M%S}.tif"))
    assert "Note: 20230511T102031.tif:" in told.err and "of the compared ground is marked" in told.err


def test_why_the_source_left_scenes_out_is_printed(tmp_path):
    write_tiles(tmp_path / "scenes")
    for path in (tmp_path / "scenes").glob("*_east.tif"):
        path.unlink()
    source = {"kind": "folder", "path": "scenes", "pattern": "{date:%Y%m%dT%H%M%S}_west.tif"}
    masked = source | {"mask_pattern": "{date:%Y%m%dT%H%M%S}_clouds.tif"}
    told = run_here("monitor", "run", write_job(tmp_path, pattern="", source=masked))
    assert told.status == 2 and "20230531T102031_west.tif is left out: its mask does not" in told.err
    write_scene(tmp_path / "scenes" / f"{DATES[0]}_clouds.tif", np.zeros((1, 96, 100), np.uint8))
    told = run(write_job(tmp_path, pattern="", source=masked))
    assert "nothing new (1 scene has no baseline yet" in told.err
    assert "Warning:" in told.err and "20230511T102031_west.tif is left out: its mask does not" in told.err
