"""Sources of scenes: folders by their names, tables, and catalogues on real servers."""

from datetime import UTC, date, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import geopandas
import numpy as np
import pystac
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from rsdetect.errors import InputError, JobInterrupted
from rsdetect.feeds import make_feed
from rsdetect.feeds.pattern import NamePattern
from rsdetect.feeds.sections import FolderSource, ListSource, StacSource
from rsdetect.scenes.quality import LANDSAT_QA, SENTINEL2_SCL

pytest.importorskip("pystac_client")
from support.http_server import EndingServer, refusing_port, serving
from support.stac_server import item, stac_api


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def in_folder(folder, pattern, **keys):
    return make_feed(FolderSource(path=".", pattern=pattern, **keys), folder).list_scenes()


# --- names -------------------------------------------------------------------------------------------------


@given(
    day=st.dates(date(1972, 1, 1), date(2099, 12, 31)),
    code=st.sampled_from(["%Y%m%d", "%Y-%m-%d", "%Y%j", "%d.%m.%Y", "%Y/%m/%d"]),
    before=st.text("abcXYZ_-.", max_size=6),
    after=st.text("abcXYZ_-.", max_size=6),
)
def test_a_name_that_is_written_with_a_pattern_is_read_with_it(day, code, before, after):
    pattern = NamePattern.parse(f"{before}{{date:{code}}}{after}.tif")
    found = pattern.match(f"{before}{day.strftime(code)}{after}.tif")
    assert found is not None
    assert (found.taken, found.band) == (datetime(day.year, day.month, day.day, tzinfo=UTC), None)
    assert pattern.match(f"{before}{day.strftime(code)}{after}.tiff") is None
    assert pattern.match(f"{before}{after}.tif") is None


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("{date:%Y%m%d}_*.tif", "20240503_T32.tif", True),
        ("{date:%Y%m%d}_*.tif", "20240503_.tif", True),
        ("{date:%Y%m%d}_*.tif", "20241399_T32.tif", False),  # there is no thirteenth month
        ("{date:%Y%m%d}_*.tif", "20240503_a/b.tif", False),
        ("{date:%Y%m%d}_*.tif", "x20240503_a.tif", False),
        ("{date:%Y%m%d}_?.tif", "20240503_ab.tif", False),
        ("*_{date}.tif", "S2_20240503.tif", True),
        ("a+(b)_{date}.tif", "a+(b)_20240503.tif", True),
        ("a+(b)_{date}.tif", "aa(b)_20240503.tif", False),
    ],
)
def test_what_fits_a_pattern_and_what_does_not(pattern, name, fits):
    assert (NamePattern.parse(pattern).match(name) is not None) == fits


def test_times_and_zones_in_names():
    pattern = NamePattern.parse("{date:%Y%m%dT%H%M%S%z}.tif")
    assert pattern.match("20240503T101530+0200.tif").taken == datetime(2024, 5, 3, 8, 15, 30, tzinfo=UTC)
    assert NamePattern.parse("S2_{date:%Y%m%dT%H%M%S}.tif").match("S2_20240503T101530.tif").taken.hour == 10


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("*.tif", "has no date"),
        ("{date:%Y%m}_*.tif", "not a full date"),
        ("{date:%Y%B%d}.tif", "a date with %B"),
        ("{day}_{date}.tif", "unknown field 'day'"),
        ("{date}_{date}.tif", "a field twice"),
        ("{date_*.tif", "unmatched brace"),
    ],
)
def test_patterns_that_cannot_be_are_refused(pattern, said):
    with pytest.raises(InputError, match=said):
        NamePattern.parse(pattern)


# --- a folder ----------------------------------------------------------------------------------------------


def test_a_folder_gives_its_scenes_with_their_masks(tmp_path):
    touch(tmp_path, "20240503_scene.tif", "20240601_scene.tif", "20240503_mask.tif", "20240601_mask.tif")
    touch(tmp_path, "readme.txt", "20240503_scene.tif.aux.xml", "20240503_scene.tfw", ".hidden")
    touch(tmp_path, "20241399_scene.tif", ".work/20240701_scene.tif", "old/20230503_scene.tif")
    scenes = in_folder(tmp_path, "{date:%Y%m%d}_*.tif", mask_pattern="{date:%Y%m%d}_mask.tif")
    assert [scene.id for scene in scenes] == ["20240503_scene.tif", "20240601_scene.tif"]
    assert [scene.day for scene in scenes] == ["2024-05-03", "2024-06-01"]
    assert scenes.unmatched == ("20241399_scene.tif", "readme.txt")
    assert scenes[1].files == (str(tmp_path / "20240601_scene.tif"),)
    assert scenes[1].mask == str(tmp_path / "20240601_mask.tif")


def test_a_scene_waits_for_its_mask_and_for_all_its_bands(tmp_path):
    touch(tmp_path, "20240503_scene.tif", "20240601_scene.tif", "20240503_mask.tif")
    scenes = in_folder(tmp_path, "{date:%Y%m%d}_scene.tif", mask_pattern="{date:%Y%m%d}_mask.tif")
    assert [scene.id for scene in scenes] == ["20240503_scene.tif"]
    assert "20240601_scene.tif is left out: its mask does not exist" in scenes.left_out[0]
    touch(tmp_path, "2024/05/03/B04.jp2", "2024/05/03/B08.jp2", "2024/06/01/B04.jp2")
    scenes = in_folder(tmp_path, "{date:%Y/%m/%d}/{band}.jp2", bands=("B08", "B04"))
    assert [(scene.id, scene.band_names) for scene in scenes] == [("2024/05/03/{band}.jp2", ("b08", "b04"))]
    assert scenes[0].files == tuple(str(tmp_path / f"2024/05/03/{band}.jp2") for band in ("B08", "B04"))
    assert "its band B08 does not exist" in scenes.left_out[0]


def test_folders_that_cannot_be_are_refused(tmp_path):
    touch(tmp_path, "20240503_scene.tif", "20240503_a_mask.tif", "20240503_b_mask.tif")
    with pytest.raises(InputError, match="matches"):
        in_folder(tmp_path, "{date:%Y-%m-%d}.tif")
    with pytest.raises(InputError, match="does not exist"):
        in_folder(tmp_path / "no", "{date}.tif")
    with pytest.raises(InputError, match="masks for one date"):
        in_folder(tmp_path, "{date}_scene.tif", mask_pattern="{date}_*_mask.tif")
    with pytest.raises(InputError, match="require each other"):
        in_folder(tmp_path, "{date}_{band}.tif")
    with pytest.raises(InputError, match="require each other"):
        in_folder(tmp_path, "{date}.tif", bands=("red",))


# --- a table -----------------------------------------------------------------------------------------------


def in_table(path):
    return make_feed(ListSource(path=path.name), path.parent).list_scenes()


def test_a_table_of_scenes_and_a_table_of_pairs(tmp_path):
    table = tmp_path / "scenes.csv"
    table.write_text(
        "scene,date,mask,remark\na.tif,2024-05-03,a_mask.tif,fine\n"
        "https://host/b.tif,2024-06-01T10:20:00+02:00,,\n/data/LC08_20240701.tif,,,\n"
    )
    scenes = in_table(table)
    assert [scene.files[0] for scene in scenes] == [
        *(str(tmp_path / "a.tif"), "https://host/b.tif", "/data/LC08_20240701.tif")
    ]
    assert [scene.mask for scene in scenes] == [str(tmp_path / "a_mask.tif"), None, None]
    assert [scene.day for scene in scenes] == ["2024-05-03", "2024-06-01", "2024-07-01"]
    assert scenes[1].taken == datetime(2024, 6, 1, 8, 20, tzinfo=UTC)
    table.write_text(
        "Before;After;before_date;after_date;after_mask\na.tif;b.tif;2024-05-03;2024-06-01;m.tif\n"
        "c.tif;b.tif;2023-05-03;2024-06-01;m.tif\n"
    )
    scenes = in_table(table)
    assert [(scene.id, scene.day, scene.mask) for scene in scenes] == [
        ("a.tif", "2024-05-03", None),
        ("b.tif", "2024-06-01", str(tmp_path / "m.tif")),
        ("c.tif", "2023-05-03", None),
    ]


@pytest.mark.parametrize("kind", ["object", "datetime64[ns]"])
def test_a_geoparquet_equals_a_csv(tmp_path, kind):
    days = [date(2024, 5, 3), date(2024, 6, 1)]
    frame = geopandas.GeoDataFrame(
        {"scene": ["a.tif", "b.tif"], "date": np.array(days, dtype=kind), "mask": ["m.tif", None]},
        geometry=[shapely.box(0, 0, 1, 1)] * 2,
        crs="EPSG:4326",
    )
    frame.to_parquet(tmp_path / "scenes.parquet")
    (tmp_path / "scenes.csv").write_text("scene,date,mask\na.tif,2024-05-03,m.tif\nb.tif,2024-06-01,\n")
    found, wanted = in_table(tmp_path / "scenes.parquet"), in_table(tmp_path / "scenes.csv")
    for one, other in zip(found, wanted, strict=True):
        assert (one.id, one.taken, one.files, one.mask) == (other.id, other.taken, other.files, other.mask)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lists no scene"),
        ("scene,date\n", "lists no scene"),
        ("path,date\na.tif,2024-05-03\n", "neither a column 'scene'"),
        ("scene,date\na.tif,\n", "line 2: there is no date"),
        ("scene,date\na.tif,May\n", "line 2: 'May' is not a date"),
        ("scene,date\n,2024-05-03\n", "line 2 names no scene"),
        ("scene,date\na.tif,2024-05-03\na.tif,2024-05-04\n", "line 3 contradicts"),
        ("before,date\na.tif,2024-05-03\n", "neither a column 'scene'"),
    ],
)
def test_tables_that_cannot_be_are_refused(tmp_path, text, said):
    (tmp_path / "scenes.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        in_table(tmp_path / "scenes.csv")


def test_a_table_that_is_none(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        in_table(tmp_path / "no.csv")
    (tmp_path / "no.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="cannot be read as GeoParquet"):
        in_table(tmp_path / "no.parquet")


# --- a catalogue -------------------------------------------------------------------------------------------

PLACES = {"B04": ("https://host/{}/B04.tif", "red"), "B08": ("s3://bucket/{}/B08.tif", "nir")}


def year(cloud=lambda month: 10 * month, **more):
    """An item a month over the site, whose cloud cover grows."""
    made = []
    for month in range(1, 10):
        scene = f"S2_{month:02d}"
        assets = {key: (place.format(scene), name) for key, (place, name) in PLACES.items()}
        assets["scl"] = (f"file:///data/{scene}/scl%20mask.tif", None)
        made.append(item(scene, f"2024-{month:02d}-03", assets, cloud=cloud(month), **more))
    return made


def site(tmp_path, box=(9.0, 47.85, 9.01, 47.86)):
    geopandas.GeoSeries([shapely.box(*box)], crs="EPSG:4326").to_crs("EPSG:32632").to_file(
        tmp_path / "site.gpkg"
    )
    return tmp_path / "site.gpkg"


def in_catalogue(url, aoi, **keys):
    section = StacSource(**({"url": str(url), "assets": ("B04", "B08"), "mask_asset": "scl"} | keys))
    return make_feed(section, Path("/nowhere"), aoi and str(aoi)).list_scenes()


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    elsewhere = item("ELSEWHERE", "2024-05-03", {"B04": ("x", "red")}, box=(10, 50, 11, 51))
    landsat = item(
        "LC08", "2024-05-03", {"red": ("x.tif", None), "qa_pixel": ("q.tif", None)}, collection="landsat"
    )
    bare = item("BARE", "2024-05-04", {"B04": ("x", "red")})
    neighbour = item("NEIGHBOUR", "2024-05-03", {"B04": ("x", "red")}, box=(9.4, 47.8, 9.6, 47.9))
    everything = [*year(**{"grid:code": "MGRS-32UPU"}), elsewhere, landsat, bare, neighbour]
    with stac_api(tmp_path_factory.mktemp("stac"), everything) as door:
        yield door


@pytest.fixture(autouse=True)
def _no_waiting_and_a_fresh_door(monkeypatch, request):
    monkeypatch.setattr("rsdetect.feeds.retries._BACKOFF_S", 0.01)
    if "api" in request.fixturenames:
        door = request.getfixturevalue("api")
        door.failures, door.fails_after, door.status = 0, None, 503
        door.requests.clear()


def test_an_api_gives_the_scenes_of_place_time_and_little_cloud(api, tmp_path):
    scenes = in_catalogue(
        api.url,
        site(tmp_path),
        collections=("s2",),
        max_cloud=60,
        since=date(2024, 3, 3),
        until=date(2024, 8, 3),
    )
    assert [scene.id for scene in scenes] == ["S2_03", "S2_04", "S2_05", "S2_06"]
    assert [scene.day for scene in scenes] == [f"2024-{month:02d}-03" for month in range(3, 7)]
    assert scenes[0].files == ("/vsicurl/https://host/S2_03/B04.tif", "/vsis3/bucket/S2_03/B08.tif")
    assert scenes[0].band_names == ("red", "nir")
    assert scenes[0].mask == "/data/S2_03/scl mask.tif"
    assert (scenes[0].mask_values, scenes[0].mask_bits) == (SENTINEL2_SCL.values, ())
    assert scenes[0].source == f"{api.url}/collections/s2/items/S2_03"
    assert "BARE is left out: it has no asset B08, scl." in scenes.left_out
    assert "2 of 6 items are left out: their cloud cover exceeds max_cloud 60." in scenes.left_out


def test_pages_are_turned(api, tmp_path, monkeypatch):
    monkeypatch.setattr("rsdetect.feeds.stac_client._ITEMS_A_PAGE", 2)
    scenes = in_catalogue(api.url, site(tmp_path), collections=("s2",))
    assert [scene.id for scene in scenes] == [f"S2_{month:02d}" for month in range(1, 10)]
    assert sum(path.startswith("/search") for _, path, _ in api.requests) >= 5


def test_all_collections_tell_their_scenes_apart_by_name_and_landsat_is_known(api, tmp_path):
    scenes = in_catalogue(api.url, site(tmp_path), assets=("red",), mask_asset="qa_pixel")
    assert [(scene.id, scene.mask_bits, scene.band_names) for scene in scenes] == [
        ("landsat/LC08", LANDSAT_QA.bits, ())  # the catalogue does not give the number of bands
    ]
    plain = in_catalogue(api.url, site(tmp_path), assets=("red",), mask_asset="qa_pixel", mask_kind="plain")
    assert (plain[0].mask_values, plain[0].mask_bits) == ((), ())


def test_properties_choose_a_tile(api, tmp_path):
    with_code = in_catalogue(api.url, site(tmp_path), where={"grid:code": "MGRS-32UPU"})
    assert len(with_code) == 9
    with pytest.raises(InputError, match=r"no item in .* with grid:code MGRS-31UFQ"):
        in_catalogue(api.url, site(tmp_path), where={"grid:code": "MGRS-31UFQ"})


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_stumbles_is_asked_again(api, tmp_path, status):
    api.failures, api.status = 3, status
    assert len(in_catalogue(api.url, site(tmp_path), collections=("s2",))) == 9
    assert api.failures == 0


def test_a_server_that_breaks_off_in_the_middle_gives_nothing_and_may_be_asked_later(
    api, tmp_path, monkeypatch
):
    monkeypatch.setattr("rsdetect.feeds.stac_client._ITEMS_A_PAGE", 2)
    api.fails_after = 4
    with pytest.raises(JobInterrupted, match=r"cannot be reached now \(status 503\)"):
        in_catalogue(api.url, site(tmp_path), collections=("s2",))
    api.fails_after = None
    assert len(in_catalogue(api.url, site(tmp_path), collections=("s2",))) == 9


def test_a_server_that_is_not_there_may_come_back(tmp_path):
    with refusing_port() as port, pytest.raises(JobInterrupted, match="cannot be reached now"):
        in_catalogue(f"http://127.0.0.1:{port}", site(tmp_path))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_bad_input(api, tmp_path, status):
    api.failures, api.status = 1, status
    with pytest.raises(InputError, match=f"refuses .status {status}"):
        in_catalogue(api.url, site(tmp_path))


def test_what_a_catalogue_lacks_is_named(api, tmp_path):
    with pytest.raises(InputError, match="no collection 's3'; it has landsat, s2"):
        in_catalogue(api.url, site(tmp_path), collections=("s3",))
    with pytest.raises(InputError, match=r"has the assets B99, scl; \S+ has"):
        in_catalogue(api.url, site(tmp_path), assets=("B99",), where={"grid:code": "MGRS-32UPU"})
    with pytest.raises(InputError, match="has no item"):
        in_catalogue(api.url, site(tmp_path), since=date(2031, 1, 1))
    with pytest.raises(InputError, match="add an area of interest"):
        in_catalogue(api.url, None)


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    """A static catalogue of the same items, as files."""
    folder = tmp_path_factory.mktemp("static")
    catalogue = pystac.Catalog("all", "everything")
    west = pystac.SpatialExtent([[8, 47, 11, 51]])
    extent = pystac.Extent(west, pystac.TemporalExtent([[datetime(2024, 1, 1, tzinfo=UTC), None]]))
    for name, items in {
        "s2": [*year(), item("ELSEWHERE", "2024-05-03", {}, box=(10, 50, 11, 51))],
        "landsat": [item("LC08", "2024-05-03", {"red": ("./x.tif", None)}, collection="landsat")],
    }.items():
        collection = pystac.Collection(name, name, extent)
        collection.add_items(items)
        catalogue.add_child(collection)
    catalogue.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)
    return folder


def test_a_static_catalogue_gives_what_an_api_gives(api, static, tmp_path):
    keys = {"collections": ("s2",), "max_cloud": 60, "since": date(2024, 3, 3)}
    asked = in_catalogue(api.url, site(tmp_path), **keys)
    walked = in_catalogue(static / "catalog.json", site(tmp_path), **keys)
    alone = in_catalogue(static / "s2" / "collection.json", site(tmp_path), **keys)
    for found in (walked, alone):
        assert [(one.id, one.taken, one.files, one.mask) for one in found] == [
            (one.id, one.taken, one.files, one.mask) for one in asked
        ]
    assert len(in_catalogue(static / "catalog.json", None, collections=("s2",), where={})) == 9


def test_relative_places_of_a_static_catalogue_count_from_the_item(static, tmp_path):
    (found,) = in_catalogue(
        static / "catalog.json", site(tmp_path), collections=("landsat",), assets=("red",), mask_asset=None
    )
    assert found.files == (str(static / "landsat" / "LC08" / "x.tif"),)
    assert (found.id, found.mask) == ("LC08", None)


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked += 1
        if self.server.asked > self.server.last:
            self.send_error(503)
        else:
            super().do_GET()


def test_a_static_catalogue_on_a_server_that_loses_an_item(static, tmp_path):
    server = EndingServer(partial(_Files, directory=str(static)))
    server.asked, server.last = 0, 10**9
    with serving(server):
        url = f"http://127.0.0.1:{server.server_port}/catalog.json"
        assert len(in_catalogue(url, site(tmp_path), collections=("s2",))) == 9
        server.last = server.asked + server.asked // 2  # in the middle of the items
        with pytest.raises(JobInterrupted, match="cannot be reached now"):
            in_catalogue(url, site(tmp_path), collections=("s2",))


def test_what_is_not_a_catalogue_is_described(static, tmp_path):
    for name, text in {"a.json": "{", "b.json": "[]", "c.json": '{"type": "FeatureCollection"}'}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=r"(is not|as) a STAC catalogue"):
            in_catalogue(tmp_path / name, None)
    with pytest.raises(InputError, match=r"no\.json cannot be read as a STAC catalogue: No such file"):
        in_catalogue(tmp_path / "no.json", None)
    (tmp_path / "points.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match="is a table without places"):
        in_catalogue(static / "catalog.json", tmp_path / "points.csv")


def test_assets_of_many_bands(tmp_path):
    bands = [{"name": name, "eo:common_name": name} for name in ("red", "green", "blue")]
    one = item("A", "2024-05-03", {})
    one.add_asset("visual", pystac.Asset("/a.tif", extra_fields={"bands": bands}))
    one.add_asset("nir", pystac.Asset("/n.tif"))
    catalogue = pystac.Catalog("all", "everything")
    catalogue.add_item(one)
    catalogue.normalize_and_save(str(tmp_path), pystac.CatalogType.SELF_CONTAINED)
    (found,) = in_catalogue(tmp_path / "catalog.json", None, assets=("visual",), mask_asset=None)
    assert (found.files, found.band_names) == (("/a.tif",), ("red", "green", "blue"))
    with pytest.raises(InputError, match="has 3 bands"):
        in_catalogue(tmp_path / "catalog.json", None, assets=("visual", "nir"), mask_asset=None)
