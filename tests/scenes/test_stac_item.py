"""A pystac.Item as a scene."""

from datetime import UTC, datetime

import numpy as np
import pystac
import pytest

from rsdetect.errors import InputError, SourceUnavailable
from rsdetect.scenes.band_files import BandFile
from rsdetect.scenes.pair import open_pair
from rsdetect.scenes.quality import SENTINEL2_SCL
from rsdetect.scenes.scene import read_scene
from support.scenes import random_scene, write_scene


def make_item(**assets):
    item = pystac.Item("S2B_T34UCF", None, None, datetime(2023, 8, 23, 9, tzinfo=UTC), {})
    for key, (href, fields) in assets.items():
        item.add_asset(key, pystac.Asset(str(href), media_type=pystac.MediaType.COG, extra_fields=fields))
    return item


@pytest.mark.parametrize("version", ["eo:bands", "bands", "of the asset"])
def test_an_item_gives_bands_date_and_mask(tmp_path, version):
    def fields(name):
        entry = {"common_name" if version == "eo:bands" else "eo:common_name": name}
        return entry if version == "of the asset" else {version: [entry]}

    scene = random_scene(1, 3, 40, 50, "uint16")
    files = [write_scene(tmp_path / f"B{i}.tif", band) for i, band in enumerate(scene)]
    classes = np.full((1, 40, 50), 4, np.uint8)
    classes[0, 3:9, 5:9] = 9
    item = make_item(
        B04=(files[0], fields("red")),
        B8A=(files[1], fields("nir08")),
        B11=(files[2], fields("swir16")),
        SCL=(write_scene(tmp_path / "c.tif", classes), {}),
        visual=(files[0], {"eo:bands": [{"common_name": "red"}, {"common_name": "green"}]}),
    )
    pair = open_pair(item, item)
    assert pair.bands == ("red", "nir", "swir1")
    assert (pair.before.path, pair.before_date) == ("S2B_T34UCF", "2023-08-23")
    assert pair.before.mask.values == SENTINEL2_SCL.values
    values, valid = read_scene(pair.before, pair.grid.window)
    np.testing.assert_array_equal(valid, classes[0] == 4)
    np.testing.assert_array_equal(values[:, valid], scene[:, valid])


def test_an_item_without_bands_is_refused(tmp_path):
    item = make_item(data=(write_scene(tmp_path / "a.tif", random_scene(1)), {}))
    with pytest.raises(InputError, match="S2B_T34UCF has no asset with one band and its common name; give"):
        open_pair(item, item)


def test_what_an_address_is_signed_with_is_in_no_record():
    assert "secret" not in BandFile("red", "/vsicurl/https://host/B04.tif?sig=secret", None).shown


def test_what_an_address_is_signed_with_is_in_no_message(impatient):
    item = make_item(B04=("http://127.0.0.1:9/B04.tif?sig=secret", {"eo:bands": [{"common_name": "red"}]}))
    with pytest.raises(SourceUnavailable, match=r"B04\.tif cannot be read") as refused:
        open_pair(item, item)
    assert "secret" not in str(refused.value)


def test_an_item_from_before_stac_1_gives_its_bands(tmp_path):
    files = [write_scene(tmp_path / f"{i}.tif", band) for i, band in enumerate(random_scene(1, 2))]
    item = pystac.Item.from_dict(
        {
            "type": "Feature",
            "stac_version": "0.6.2",
            "id": "old",
            "bbox": [9, 50, 10, 51],
            "geometry": {"type": "Point", "coordinates": [9, 50]},
            "properties": {
                "datetime": "2018-05-01T00:00:00Z",
                "eo:bands": [{"name": "B04", "common_name": "red"}, {"name": "B03", "common_name": "green"}],
            },
            "assets": {
                key: {"href": files[i], "type": "image/vnd.stac.geotiff", "eo:bands": [i]}
                for i, key in enumerate("rg")
            },
            "links": [],
        }
    )
    pair = open_pair(item, item)
    assert (pair.bands, pair.before_date) == (("red", "green"), "2018-05-01")
