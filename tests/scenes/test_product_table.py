"""Every product of docs/products.md as a small file of its structure: bands, scale, nodata, mask and date."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine

from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.pair import PairOptions, open_pair
from support.products import write_landsat, write_safe
from support.scenes import random_scene, write_scene

ROOT = Path(__file__).parents[2]
SIX = WantedBands(("red", "green", "blue", "nir", "swir1", "swir2"), 3)
VISIBLE = ("red", "green", "blue")
NIR, ALL = (*VISIBLE, "nir"), SIX.names
THIRTY = Affine(30, 0, 500000, 0, -30, 5300000)


@dataclass(frozen=True)
class Row:
    """What is understood of a product without options."""

    bands: tuple[str, ...] | None  # of the default network; None = for cva alone
    linear: tuple[float, float] | None  # scale and offset of its first band
    nodata: float | None
    mask: bool
    date: str | None


def _scene(bands=6, dtype="uint16"):
    return random_scene(1, bands, 60, 60, dtype)


def _item(folder, key_names, properties, fields=None, mask=None):
    """A STAC item with a file per asset; `key_names` is {asset: (name, common name)}."""
    found = pystac.Item("item", None, None, datetime(2023, 8, 23, 9, tzinfo=UTC), properties)
    for (key, (name, common)), band in zip(key_names.items(), _scene(len(key_names)), strict=True):
        href = write_scene(folder / f"{key}.tif", band)
        told = {"eo:bands": [{"name": name, "common_name": common}]} | (fields or {})
        found.add_asset(key, pystac.Asset(href, media_type=pystac.MediaType.COG, extra_fields=told))
    if mask:
        href = write_scene(folder / f"{mask}.tif", np.full((1, 60, 60), 4, np.uint8))
        found.add_asset(mask, pystac.Asset(href, media_type=pystac.MediaType.COG))
    return found


def sentinel2_l1c_safe(folder):
    # OSGeo/gdal, autotest/gdrivers/data/sentinel2/fake_l1c_processing_baseline_5_09
    return write_safe(folder, _scene(), level="1C")


def sentinel2_l2a_safe(folder):
    # stactools-packages/sentinel2, tests/data-files/S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_...SAFE
    return write_safe(folder, _scene(), level="2A", classes=np.full((1, 30, 30), 4, np.uint8))


S2_ASSETS = {
    "red": ("B04", "red"), "green": ("B03", "green"), "blue": ("B02", "blue"), "nir": ("B08", "nir"),
    "swir16": ("B11", "swir16"), "swir22": ("B12", "swir22"),
}  # fmt: skip


def sentinel2_earth_search(folder):
    # Element84/earth-search, issue 66: raster:bands of an item of sentinel-2-l2a
    bands = {"raster:bands": [{"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": -0.1}]}
    told = {"platform": "sentinel-2b", "s2:processing_baseline": "05.09"}
    return _item(folder, S2_ASSETS, told, bands, "scl")


def sentinel2_planetary_computer(folder):
    # stactools-packages/sentinel2, tests/data-files/S2A_MSIL2A_20230625T234621_N0509_...SAFE
    assets = {name: (name, common) for name, common in S2_ASSETS.values()}
    return _item(folder, assets, {"platform": "Sentinel-2A", "s2:processing_baseline": "05.09"}, mask="SCL")


def landsat_collection_1(folder):
    name = "LC08_L1TP_195028_20150704_20170407_01_T1"
    for band, values in zip(range(2, 8), _scene(), strict=True):
        write_scene(folder / name / f"{name}_B{band}.TIF", values, transform=THIRTY)
    write_scene(folder / name / f"{name}_BQA.TIF", np.full((1, 60, 60), 2720, np.uint16), transform=THIRTY)
    factors = "".join(
        f"REFLECTANCE_MULT_BAND_{i} = 2.0000E-05\nREFLECTANCE_ADD_BAND_{i} = -0.100000\n"
        for i in range(1, 10)
    )
    (folder / name / f"{name}_MTL.txt").write_text(
        f"DATE_ACQUIRED = 2015-07-04\nSUN_ELEVATION = 30.0\nGROUP = RADIOMETRIC_RESCALING\n{factors}"
    )
    return folder / name


def landsat_collection_2(folder):
    # pytroll/satpy, the metadata in the test of oli_tirs_l1_tif
    return write_landsat(folder, _scene(), quality=np.full((1, 60, 60), 1 << 6, np.uint16))


def landsat_planetary_computer(folder):
    # stactools-packages/landsat, examples/landsat-c2-l2/LC08_L2SP_047027_20201204_02_T1
    names = {"blue": 2, "green": 3, "red": 4, "nir08": 5, "swir16": 6, "swir22": 7}
    assets = {key: (f"SR_B{number}", key) for key, number in names.items()}
    bands = {"raster:bands": [{"nodata": 0, "data_type": "uint16", "scale": 2.75e-05, "offset": -0.2}]}
    return _item(folder, assets, {"platform": "landsat-8"}, bands, "qa_pixel")


def hls(folder):
    name = "HLS.S30.T32UPU.2021185T102021.v2.0"
    codes = ("B02", "B03", "B04", "B8A", "B11", "B12")
    scene = _scene(dtype="int16")
    return [
        write_scene(folder / f"{name}.{code}.tif", band, nodata=-9999, transform=THIRTY)
        for code, band in zip(codes, scene, strict=True)
    ]


def planetscope(folder):
    return write_scene(folder / "20210704_101031_45_2212_3B_AnalyticMS_SR.tif", _scene(4), nodata=0)


def skysat(folder):
    return write_scene(folder / "20210704_101031_ssc4d2_0012_analytic.tif", _scene(4), nodata=0)


def pleiades(folder):
    return write_scene(folder / "IMG_PHR1A_PMS_202107041010313_ORT_1234567890-001_R1C1.TIF", _scene(4))


def worldview(folder):
    return write_scene(folder / "21JUL04101031-M2AS_R1C1-012345678901_01_P001.TIF", _scene(8))


def naip(folder):
    return write_scene(
        folder / "m_3807708_sw_18_060_20210704.tif", _scene(4, "uint8"), alpha=False, photometric="MINISBLACK"
    )


def drone(folder):
    path = write_scene(folder / "odm_orthophoto.tif", _scene(4, "uint8"), photometric="RGB", alpha=True)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(TIFFTAG_DATETIME="2021:07:04 10:10:31")
    return path


def sentinel1_rtc(folder):
    name = "S1A_IW_GRDH_1SDV_20210704T053010_20210704T053035_038631_048EE7_rtc.tif"
    return write_scene(folder / name, _scene(2, "float32"), nodata=-32768, names=["vv", "vh"])


def modis(folder):
    name = "MOD09A1.061_sur_refl_b0{}_doy2021185_aid0001.tif"
    numbers = (1, 2, 3, 4, 6, 7)
    scene = _scene(dtype="int16")
    return {
        f"sur_refl_b0{number}": write_scene(folder / name.format(number), band, nodata=-28672)
        for number, band in zip(numbers, scene, strict=True)
    }


def enmap(folder):
    # EnMAP-Box/enmap-box, issue 458: bands named by number and wavelength, some of nodata alone
    name = "ENMAP01-____L2A-DT0000001234_20210704T101031Z_001_V010111_20211004T010203Z-SPECTRAL_IMAGE.TIF"
    names = [f"band {i} ({420 + 34 * i} Nanometers)" for i in range(60)]
    return write_scene(folder / name, _scene(60, "int16"), nodata=-32768, names=names)


def prisma(folder):
    path = write_scene(
        folder / "PRS_L2D_STD_20210704101031_20210704101035_0001.bsq", _scene(60), driver="ENVI"
    )
    lengths = ", ".join(f"{406 + 34 * i:.2f}" for i in range(60))
    with Path(path).with_suffix(".hdr").open("a") as header:
        header.write(f"wavelength units = Nanometers\nwavelength = {{{lengths}}}\n")
    return path


TEN, SHIFTED, C2 = (1e-4, 0.0), (1e-4, -0.1), (2.75e-5, -0.2)
ROWS = {
    "Sentinel-2 L1C, SAFE": (sentinel2_l1c_safe, Row((*NIR, "swir1"), SHIFTED, 0, False, "2023-08-23")),
    "Sentinel-2 L2A, SAFE": (sentinel2_l2a_safe, Row((*NIR, "swir1"), SHIFTED, 0, True, "2023-08-23")),
    "Sentinel-2 L2A, Earth Search": (sentinel2_earth_search, Row(ALL, SHIFTED, 0, True, "2023-08-23")),
    "Sentinel-2 L2A, Planetary Computer": (
        sentinel2_planetary_computer, Row(ALL, SHIFTED, None, True, "2023-08-23"),
    ),
    "Landsat Collection 1, level 1": (landsat_collection_1, Row(ALL, (4e-5, -0.2), 0, True, "2015-07-04")),
    "Landsat Collection 2, level 2": (landsat_collection_2, Row(ALL, C2, 0, True, "2023-08-17")),
    "Landsat Collection 2, Planetary Computer": (
        landsat_planetary_computer, Row(ALL, C2, 0, True, "2023-08-23"),
    ),
    "HLS S30 and L30": (hls, Row(ALL, TEN, -9999, False, "2021-07-04")),
    "PlanetScope, surface reflectance": (planetscope, Row(NIR, TEN, 0, False, "2021-07-04")),
    "SkySat, analytic": (skysat, Row(NIR, None, 0, False, "2021-07-04")),
    "Pléiades, ortho": (pleiades, Row(NIR, None, None, False, "2021-07-04")),
    "WorldView-2 and -3": (worldview, Row(NIR, None, None, False, "2021-07-04")),
    "NAIP": (naip, Row(NIR, None, None, False, "2021-07-04")),
    "Drone orthomosaic": (drone, Row(VISIBLE, None, None, True, "2021-07-04")),
    "Sentinel-1 RTC": (sentinel1_rtc, Row(None, None, -32768, False, "2021-07-04")),
    "MODIS MOD09, AppEEARS": (modis, Row(ALL, TEN, -28672, False, "2021-07-04")),
    "EnMAP L2A": (enmap, Row(ALL, None, -32768, False, "2021-07-04")),
    "PRISMA, ENVI": (prisma, Row(ALL, None, None, False, "2021-07-04")),
}  # fmt: skip


@pytest.mark.parametrize("product", ROWS)
def test_a_product_is_understood_by_itself(tmp_path, product):
    write, row = ROWS[product]
    scene = write(tmp_path)
    pair = open_pair(scene, scene, PairOptions(), wanted=SIX if row.bands else None)
    assert not pair.doubts
    if row.bands is not None:
        assert pair.bands == row.bands
        assert not any("are taken for them" in note for note in pair.notes)
    linear = (pair.before.scales[0], pair.before.offsets[0]) if pair.before.scales else None
    assert linear == (None if row.linear is None else pytest.approx(row.linear))
    assert pair.before.nodata == row.nodata
    assert (pair.before.mask is not None or pair.before.validity.masked) == row.mask
    assert pair.before_date == row.date


def test_the_table_of_the_documentation_has_these_products():
    text = (ROOT / "docs" / "products.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| ([^|]+?) \|", text, flags=re.M)
    assert [name for name in listed if name not in ("product", "---")] == list(ROWS)
