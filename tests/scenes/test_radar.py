"""Radar is recognised by names and tags, never by its one band of float32."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
import rasterio

import rsdetect
from rsdetect.errors import InputError
from rsdetect.scenes.opening import header_of, open_source
from rsdetect.scenes.radar import is_radar
from support.scenes import random_scene, write_scene


def written(folder, stem="scene", names=None, tags=None):
    path = write_scene(folder / f"{stem}.tif", random_scene(0, 1, 40, 50, "float32"), names=names)
    if tags:
        with rasterio.open(path, "r+") as file:
            file.update_tags(**tags)
    return path


@pytest.mark.parametrize(
    "scene",
    [
        {"names": ("VV",)},
        {"stem": "S1A_IW_GRDH_1SDV_20200601"},
        {"stem": "may_vh"},
        {"tags": {"PLATFORM": "SENTINEL-1B"}},
        {"tags": {"sar:product_type": "GRD"}},
    ],
)
def test_names_and_tags_show_radar(tmp_path, scene):
    assert is_radar(header_of(open_source(written(tmp_path, **scene))))


@pytest.mark.parametrize(
    "scene", [{}, {"names": ("nir",)}, {"stem": "s2_nir"}, {"tags": {"P": "SENTINEL-10"}}]
)
def test_one_band_of_float32_is_no_radar(tmp_path, scene):
    assert not is_radar(header_of(open_source(written(tmp_path, **scene))))


@pytest.mark.parametrize(("names", "proposed"), [(("VV",), "log-ratio"), (("nir",), "sfa")])
def test_the_network_refuses_one_band_and_proposes_what_suits_it(tmp_path, names, proposed):
    paths = [written(tmp_path, stem, names) for stem in ("before", "after")]
    with pytest.raises(InputError, match=f"detector='{proposed}'") as refused:
        rsdetect.detect(*paths, out=tmp_path / "out", detector="siamese", quiet=True)
    assert ("1, 1, 1" in str(refused.value)) is (proposed == "sfa")
    assert np.isfinite(rsdetect.score(*paths, detector=proposed).values).all()


@pytest.mark.parametrize("on_item", [True, False])
def test_polarisations_of_a_stac_item_are_bands_and_show_radar(tmp_path, on_item):
    pystac = pytest.importorskip("pystac")
    both = {"sar:polarizations": ["VV", "VH"]}
    item = pystac.Item("grd", None, None, datetime.datetime(2024, 5, 6), both if on_item else {})
    for band in ("vv", "vh"):
        extra = {} if on_item else {"sar:polarizations": [band.upper()]}
        path = written(tmp_path, f"{band}_measured")
        item.add_asset(band, pystac.Asset(path, media_type=pystac.MediaType.COG, extra_fields=extra))
    item.add_asset("thumbnail", pystac.Asset("quick.png", media_type="image/png"))
    header = header_of(open_source(item))
    assert header.names == ("vv", "vh") and is_radar(header)
