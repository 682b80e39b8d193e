"""Two periods of a catalogue compared in one command: found, composed, recorded."""

from __future__ import annotations

import json
import re
import sys
from types import SimpleNamespace

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

import rsdetect
from rsdetect.catalogue import compose
from support.jobs import run_here
from support.moody_server import MoodyServer
from support.products import write_safe
from support.watched_jobs import DAYS, series

pytest.importorskip("pystac_client")
from support.catalogue import BANDS, items_of, static_catalogue, write_area, write_bands
from support.stac_server import stac_api

MAY, JUNE = "2024-05", "2024-06-01/2024-06-30"
NAMES = [f"{day:%Y%m%d}" for day in DAYS]  # three in May, two in June


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    write_bands(folder, series(), DAYS)
    write_area(folder)
    static_catalogue(folder / "stac", items_of(NAMES, folder / "area.geojson", folder))
    return folder


def asked(site, *more, stac=None, before=MAY, after=JUNE, collection="s2", aoi=None):
    return (
        *("detect", "--stac", stac or site / "stac" / "catalog.json", "--collection", collection),
        *("--aoi", aoi or site / "area.geojson", "--before-period", before, "--after-period", after),
        *("--detector", "cva", "--no-qgis-project", *more),
    )


def keywords(site, **more):
    found = {
        "stac": str(site / "stac" / "catalog.json"),
        "collection": "s2",
        "aoi": site / "area.geojson",
        "before_period": MAY,
        "after_period": JUNE,
    }
    return found | more


def observations(site, names, grid):
    """(dates, bands, height, width) of the series on the grid of a composite, NaN under clouds."""
    found = []
    for name in names:
        with rasterio.open(site / "whole" / f"{name}.tif") as scene:
            row, col = scene.index(*grid.transform @ (0.5, 0.5))
            window = ((row, row + grid.height), (col, col + grid.width))
            values = scene.read(window=window).astype(np.float32)
        with rasterio.open(site / "whole" / f"{name}_mask.tif") as mask:
            values[:, mask.read(1, window=window) != 0] = np.nan
        found.append(values[[2, 1, 0, 3]])  # red, green, blue, nir
    return np.array(found)


def test_the_composite_is_the_median_of_the_clear_observations(site, tmp_path, monkeypatch):
    monkeypatch.setattr(compose, "_MOST_BYTES", 4 * 3 * 4 * 64**2)  # windows of 64 px
    told = run_here(*asked(site, "--quiet", "--out", tmp_path / "out"))
    assert told.status == 0, told.err
    for which, names in (("before", NAMES[:3]), ("after", NAMES[3:])):
        with rasterio.open(tmp_path / "out" / "scenes" / f"{which}.tif") as scene:
            found, inside = scene.read(), scene.dataset_mask() != 0
            assert scene.descriptions == ("red", "green", "blue", "nir")
            expected = np.nanmedian(observations(site, names, scene), axis=0)
        assert inside.mean() > 0.9
        np.testing.assert_array_equal(found[:, inside], expected[:, inside])
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [each["scene"] for each in record["periods"]["before"]["scenes"]] == [
        f"S2_{name}" for name in NAMES[:3]
    ]
    assert record["check"]["before"]["date"] == DAYS[2].isoformat()
    assert sorted(path.name for path in (tmp_path / "out" / "scenes").iterdir()) == [
        "after.tif",
        "before.tif",
    ]

    told = run_here(*asked(site, "--quiet", "--out", tmp_path / "out"))
    assert told.status == 2 and "holds the results of an earlier run" in told.err


def test_the_list_names_the_taken_scenes_and_writes_nothing(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = run_here(*asked(site, "--list", "--json", "--pick", "least-cloud"))
    assert told.status == 0, told.err
    listed = json.loads(told.out)
    assert not list(tmp_path.iterdir())
    taken = {which: [each for each in listed[which] if each["is_taken"]] for which in ("before", "after")}
    assert {which: len(several) for which, several in taken.items()} == {"before": 1, "after": 1}
    for which, names in (("before", NAMES[:3]), ("after", NAMES[3:])):
        assert [each["date"].replace("-", "") for each in listed[which]] == names
        assert {each["tile"] for each in listed[which]} == {"MGRS-32UPU"}
        for each, name in zip(listed[which], names, strict=True):
            with rasterio.open(site / "whole" / f"{name}_mask.tif") as mask:
                assert each["clear_share"] == pytest.approx((mask.read(1) == 0).mean(), abs=0.05)
        assert taken[which][0]["clear_share"] == max(each["clear_share"] for each in listed[which])
    text = run_here(*asked(site, "--list")).out
    assert "period" in text and "MGRS-32UPU" in text and "100%" in text

    changes = rsdetect.detect_periods(
        out=tmp_path / "out", pick="least-cloud", detector="cva", quiet=True, **keywords(site)
    )
    used = [each["scene"] for each in changes.record["periods"]["before"]["scenes"] if each["is_taken"]]
    assert used == [taken["before"][0]["scene"]]
    assert changes.record["check"]["before"]["date"] == taken["before"][0]["date"]


def test_a_server_that_throttles_and_an_asset_that_is_gone(site, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    (site / f"{NAMES[1]}_B08.tif").rename(site / "aside.tif")
    try:
        with MoodyServer(site, "429", 3, 3, Retry_After=1) as server:
            items = items_of(NAMES, site / "area.geojson", server.address("").rstrip("/"))
            for each in items:
                for asset in each.assets.values():
                    asset.href += "?sig=hush"
            with stac_api(tmp_path, items) as api:
                api.failures, api.status, api.retry_after = 1, 429, 1
                told = run_here(*asked(site, "--out", tmp_path / "out", stac=api.url))
                assert told.status == 0, told.err
                api.fails_after, api.status, api.retry_after = 0, 503, None
                monkeypatch.setattr("rsdetect.feeds.retries._BACKOFF_S", 0.01)
                down = run_here(*asked(site, "--out", tmp_path / "other", stac=api.url))
                assert (down.status, down.err.count("\n")) == (3, 1) and not (tmp_path / "other").exists()
    finally:
        (site / "aside.tif").rename(site / f"{NAMES[1]}_B08.tif")
    assert f"Warning: S2_{NAMES[1]} is not used" in told.err and "404" in told.err
    before = json.loads((tmp_path / "out" / "run.json").read_text())["periods"]["before"]["scenes"]
    assert [each["is_taken"] for each in before] == [True, False, True]
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or b"hush" not in path.read_bytes(), path


def elsewhere(folder):
    geopandas.GeoSeries([shapely.box(20, 10, 20.1, 10.1)], crs="EPSG:4326").to_file(folder / "far.geojson")
    return folder / "far.geojson"


@pytest.mark.parametrize(
    ("wrong", "more", "said"),
    [
        ({"before": "2021"}, (), "has no item of s2 in .* since 2021-01-01 until 2021-12-31"),
        ({"collection": "s3"}, (), "has no collection 's3'; it has s2"),
        ({"aoi": elsewhere}, (), "has no item of s2 in .*far.geojson"),
        (
            {},
            ("--bands", "red,swir16"),
            "has the bands red, swir16; S2_.* has blue, green, red, nir",
        ),
        ({"before": "2024-05/2024-06", "after": "2024-06"}, (), "begins before --before-period .* has ended"),
        ({"before": "May"}, (), "--before-period 'May' is not a period; write 2023-05/2023-09"),
        ({"before": "2024-05-20/2024-05-03"}, (), "ends before it begins"),
        ({}, ("--mask", "clouds.tif"), "scenes of periods have masks of their own"),
        ({}, ("--scenes", "*.tif"), "give one of the two"),
        ({}, ("--pick", "newest"), "--pick 'newest' is unknown; choose one of composite, least-cloud"),
    ],
)
def test_wrong_input_is_one_sentence_before_anything_is_written(site, tmp_path, wrong, more, said):
    wrong = {name: value(tmp_path) if callable(value) else value for name, value in wrong.items()}
    told = run_here(*asked(site, "--out", tmp_path / "out", *more, **wrong))
    assert (told.status, told.err.count("\n"), told.out) == (2, 1, ""), told.err
    assert re.search(said, told.err), told.err
    assert not (tmp_path / "out").exists()


def test_options_that_contradict_each_other_are_refused(tmp_path):
    for arguments, said in (
        (
            ("detect", "a.tif", "b.tif", "--stac", "x", "--before-period", "2021", "--after-period", "2022"),
            "BEFORE",
        ),
        (("detect", "--list"), "--list is of scenes of two periods"),
        (("detect", "--collection", "s2", "--before-period", "2021", "--after-period", "2022"), "--stac"),
        (("detect", "--stac", "x", "--before-period", "2021"), "--after-period is missing"),
        (("detect", "a.tif", "b.tif"), "--out is missing"),
    ):
        told = run_here(*arguments)
        assert (told.status, told.err.count("\n")) == (2, 1) and said in told.err, told.err


def test_a_period_without_a_clear_scene_is_named(site, tmp_path):
    items = items_of(NAMES, site / "area.geojson", site)
    with rasterio.open(site / f"{NAMES[0]}_SCL.tif") as scene:
        profile, classes = scene.profile, scene.read(1)
    with rasterio.open(tmp_path / "cloud.tif", "w", **profile) as cloud:
        cloud.write(np.full_like(classes, 9), 1)
    for each in items[3:]:
        each.assets["SCL"].href = str(tmp_path / "cloud.tif")
    stac = static_catalogue(tmp_path / "stac", items)
    told = run_here(*asked(site, "--out", tmp_path / "out", stac=stac))
    assert (told.status, told.err.count("\n")) == (2, 1)
    assert "no clear scene for --after-period 2024-06-01 to 2024-06-30: 2 scenes" in told.err
    assert not (tmp_path / "out").exists()


def test_tiles_of_two_processing_baselines_have_the_same_reflectance(site, tmp_path):
    """Of a pass, the left half is a tile of an old baseline and the right half one of a new: + 1000."""
    for name in NAMES:
        for key in (*BANDS, "SCL"):
            with rasterio.open(site / f"{name}_{key}.tif") as scene:
                values, profile, half = scene.read(1), scene.profile, scene.width // 2
                shifted = scene.transform @ rasterio.Affine.translation(half, 0)
            offset = 0 if key == "SCL" else 1000
            parts = (
                ("old", values[:, :half], profile["transform"]),
                ("new", values[:, half:] + offset, shifted),
            )
            for which, part, transform in parts:
                own = profile | {"width": part.shape[1], "transform": transform}
                with rasterio.open(tmp_path / f"{which}{name}_{key}.tif", "w", **own) as file:
                    file.write(part.astype(profile["dtype"]), 1)
    area = site / "area.geojson"
    told = {"constellation": "sentinel-2"}
    items = []
    for which, tile, baseline in (("old", "MGRS-32UPU", "03.01"), ("new", "MGRS-32UQU", "05.09")):
        for each in items_of(NAMES, area, tmp_path, tile=tile, **told | {"s2:processing_baseline": baseline}):
            for asset in each.assets.values():
                asset.href = str(tmp_path / f"{which}{asset.href.rpartition('/')[2]}")
            each.id = f"{which}_{each.id}"
            items.append(each)
    stac = static_catalogue(tmp_path / "stac", items)
    done = run_here(*asked(site, "--quiet", "--out", tmp_path / "out", stac=stac))
    assert done.status == 0, done.err
    with rasterio.open(tmp_path / "out" / "scenes" / "before.tif") as scene:
        found, inside = scene.read(), scene.dataset_mask() != 0
        expected = np.nanmedian(observations(site, NAMES[:3], scene), axis=0) * 1e-4
    np.testing.assert_allclose(found[:, inside], expected[:, inside], rtol=1e-5)


def test_a_job_that_stopped_goes_on_from_its_copies(site, tmp_path, monkeypatch):
    calls = []
    ingest = compose.ingest_content

    def failing(ref, *rest):
        calls.append(ref.id)
        if len(calls) == 4:
            raise rsdetect.JobInterrupted("the server is away.")
        return ingest(ref, *rest)

    monkeypatch.setattr(compose, "ingest_content", failing)
    told = run_here(*asked(site, "--quiet", "--out", tmp_path / "out"))
    assert told.status == 3, told.err
    told = run_here(*asked(site, "--quiet", "--out", tmp_path / "out"))
    assert told.status == 0, told.err
    assert len(calls) == 6  # five scenes, of which one twice


def test_local_scenes_are_found_by_a_pattern(site, tmp_path):
    """Their dates are in the names; without a mask file, what is valid in them is clear."""
    common = ("--aoi", site / "area.geojson", "--before-period", MAY, "--after-period", JUNE)
    pattern = str(site / "whole" / "*[0-9].tif")
    told = run_here("detect", "--scenes", pattern, *common, "--list", "--json")
    assert told.status == 0, told.err
    assert [each["date"].replace("-", "") for each in json.loads(told.out)["before"]] == NAMES[:3]
    told = run_here("detect", "--scenes", str(tmp_path / "*.jp2"), *common, "--list")
    assert (told.status, told.err.count("\n")) == (2, 1) and "no file or folder matches" in told.err


def test_products_of_a_folder_are_composed_by_their_own_masks(tmp_path):
    """Two dates before, each with a cloud of its own; the classification hides it."""
    ground = np.random.default_rng(2).integers(2000, 4000, (6, 48, 64), dtype=np.uint16)
    for number, day in enumerate(("2023-06-03", "2023-07-03", "2024-06-03")):
        scene, classes = ground.copy(), np.full((24, 32), 4, np.uint8)
        if number < 2:
            columns = slice(16 * number, 16 * number + 8)
            classes[4:12, columns] = 9
            scene[:, 8:24, 2 * columns.start : 2 * columns.stop] = 9000
        write_safe(tmp_path / "scenes" / str(number), scene, date=day, classes=classes)
    periods = ("--before-period", "2023-05/2023-09", "--after-period", "2024")
    told = run_here(
        *("detect", "--scenes", tmp_path / "scenes" / "**" / "*.SAFE", *periods, "--detector", "cva"),
        *("--bands", "red,green,blue", "--no-qgis-project", "--out", tmp_path / "out"),
    )
    assert told.status == 0, told.err
    with rasterio.open(tmp_path / "out" / "scenes" / "before.tif") as scene:
        red, valid = scene.read(scene.descriptions.index("red") + 1), scene.dataset_mask() != 0
    assert valid.all()
    np.testing.assert_allclose(red, (ground[2].astype(np.float32) - 1000) * 1e-4, rtol=1e-5)


def test_addresses_are_signed_by_the_package_of_their_catalogue(site, monkeypatch):
    from rsdetect.feeds import stac_client

    assert stac_client._signing("https://planetarycomputer.microsoft.com/api/stac/v1") is None
    marked = SimpleNamespace(sign_inplace=lambda item: item)
    monkeypatch.setitem(sys.modules, "planetary_computer", marked)
    assert stac_client._signing("https://planetarycomputer.microsoft.com/api/stac/v1") is marked.sign_inplace
    assert stac_client._signing("https://example.org/stac") is None
