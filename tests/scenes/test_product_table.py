"""Every product of docs/products.md as a small file of its structure: bands, scale, nodata, mask and date.

The structure is that of a real file's metadata, field by field: those of vendors are in
support/vendor_products.py, those of SAFE and Landsat folders in support/products.py, the others here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pystac
import pytest
from affine import Affine

from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.pair import PairOptions, open_pair
from support.products import write_landsat, write_safe
from support.scenes import random_scene, write_scene
from support.vendor_products import (
    ENMAP,
    ENMAP_FIRST,
    LANDSAT_1,
    enmap_xml,
    landsat_mtl,
    skysat_description,
    tag,
    write_beside,
    write_planetscope,
    write_pleiades,
    write_worldview,
)

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
    source: str = "specification"  # repository with the real metadata


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
    # opendatacube/eo-datasets, see LANDSAT_1
    names = [f"B{i}" for i in range(1, 12)]
    fine = Affine(15, 0, 499992.5, 0, -15, 5300007.5)
    for name, values in zip(names, _scene(11), strict=True):
        size = 2 if name == "B8" else 1
        place = fine if name == "B8" else THIRTY
        band = np.repeat(np.repeat(values, size, 0), size, 1)
        path = write_scene(folder / LANDSAT_1 / f"{LANDSAT_1}_{name}.TIF", band, transform=place)
    write_scene(
        folder / LANDSAT_1 / f"{LANDSAT_1}_BQA.TIF", np.full((1, 60, 60), 2720, np.uint16), transform=THIRTY
    )
    write_beside(path, f"{LANDSAT_1}_MTL.txt", landsat_mtl())
    return folder / LANDSAT_1


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
    # NASA-IMPACT/hls-vi, hls_vi/generate_indices.py (tags, bands, nodata) and tests/fixtures (names of files)
    name = "HLS.S30.T13RCN.2024128T173909.v2.0"
    codes = ("B02", "B03", "B04", "B8A", "B11", "B12")
    product = "S2B_MSIL1C_20240507T173909_N0510_R098_T13RCN_20240507T224115.SAFE"
    return [
        tag(
            write_scene(folder / f"{name}.{code}.tif", band, nodata=-9999, transform=THIRTY),
            add_offset="0.0", scale_factor="0.0001", SENSING_TIME="2024-05-07T17:47:50.135678Z",
            PRODUCT_URI=product, SPATIAL_RESOLUTION="30", HORIZONTAL_CS_NAME="WGS84 / UTM zone 13N",
        )
        for code, band in zip(codes, _scene(dtype="int16"), strict=True)
    ]  # fmt: skip


def planetscope(folder):
    # appelmar/gdalcubes, inst/formats/PlanetScope_3B_AnalyticMS_SR.json: name, order of bands, nodata
    return write_scene(folder / "20210704_101031_45_2212_3B_AnalyticMS_SR.tif", _scene(4), nodata=0)


def planetscope_radiance(folder):
    return write_planetscope(folder, _scene(4))


def skysat(folder):
    path = write_scene(folder / "20210704_101031_ssc4d2_0012_analytic.tif", _scene(4), nodata=0)
    return tag(path, TIFFTAG_IMAGEDESCRIPTION=skysat_description())


def pleiades(folder):
    return write_pleiades(folder, _scene(4))


def worldview(folder):
    return write_worldview(folder, _scene(4))


def naip(folder):
    # stactools-packages/naip, json-dest/VA_m_3707763_se_18_060_20180825_20190211.json
    return write_scene(
        folder / "m_3707763_se_18_060_20180825.tif", _scene(4, "uint8"), crs="EPSG:26918", alpha=False,
        photometric="MINISBLACK", transform=Affine(0.6, 0, 305096.4, 0, -0.6, 4104398.4),
    )  # fmt: skip


def drone(folder):
    # OpenDroneMap/ODM, opendm/utils.py (add_raster_meta_tags) and opendm/orthophoto.py (warp with -dstalpha)
    path = write_scene(folder / "odm_orthophoto.tif", _scene(4, "uint8"), photometric="RGB", alpha=True)
    return tag(path, TIFFTAG_DATETIME="2021:07:04 10:10:31+00:00", TIFFTAG_SOFTWARE="ODM 3.5.4")


def sentinel1_rtc(folder):
    # stactools-packages/sentinel1, tests/data-files/S1A_20200103_17RMJ_ASC/Gamma0_VV.vrt
    return [
        tag(
            write_scene(
                folder / "S1A_20200103_17RMJ_ASC" / f"{name}.tif", band, nodata=0, names=[name],
                crs="EPSG:32617", transform=Affine(20, 0, 399960, 0, -20, 2900040),
            ),
            DATE="2020-01-03", MISSION_ID="S1A", ORBIT_DIRECTION="ascending", TILE_ID="17RMJ",
        )
        for name, band in zip(("Gamma0_VV", "Gamma0_VH"), _scene(2, "float32"), strict=True)
    ]  # fmt: skip


def modis(folder):
    # stactools-packages/modis, tests/data-files/expected/MOD09A1/061/MOD09A1.A2022033.h19v10.061....json:
    # names of bands, scale and data type; nodata and AppEEARS' names of files by the specification
    name = "MOD09A1.061_sur_refl_b0{}_doy2022033_aid0001.tif"
    numbers = (1, 2, 3, 4, 6, 7)
    scene = _scene(dtype="int16")
    return {
        f"sur_refl_b0{number}": write_scene(folder / name.format(number), band, nodata=-28672)
        for number, band in zip(numbers, scene, strict=True)
    }


def enmap(folder):
    lengths = [*ENMAP_FIRST, *(440 + 36 * i for i in range(56))]
    path = write_scene(folder / f"{ENMAP}-SPECTRAL_IMAGE.TIF", _scene(60, "int16"), nodata=-32768)
    return write_beside(path, f"{ENMAP}-METADATA.XML", enmap_xml(lengths))


def prisma(folder):
    path = write_scene(
        folder / "PRS_L2D_STD_20210704101031_20210704101035_0001.bsq", _scene(60), driver="ENVI"
    )
    lengths = ", ".join(f"{406 + 34 * i:.2f}" for i in range(60))
    with Path(path).with_suffix(".hdr").open("a") as header:
        header.write(f"wavelength units = Nanometers\nwavelength = {{{lengths}}}\n")
    return path


TEN, SHIFTED, C2 = (1e-4, 0.0), (1e-4, -0.1), (2.75e-5, -0.2)
SINE = math.sin(math.radians(55.48648300))
# Reflectance of the number 1 in red: pi L d² / (E0 sin(elevation)), d by an almanac.
PLEIADES_RED = math.pi / 9.95 * 1.0129**2 / 1594.0 / math.sin(math.radians(71.26746896645534))
WORLDVIEW_RED = math.pi * 1.851735e-2 / 5.74e-2 * 1.0013**2 / 1538.85 / math.sin(math.radians(68.9))
ROWS = {
    "Sentinel-2 L1C, SAFE": (
        sentinel2_l1c_safe, Row((*NIR, "swir1"), SHIFTED, 0, False, "2023-08-23", "OSGeo/gdal"),
    ),
    "Sentinel-2 L2A, SAFE": (
        sentinel2_l2a_safe,
        Row((*NIR, "swir1"), SHIFTED, 0, True, "2023-08-23", "stactools-packages/sentinel2"),
    ),
    "Sentinel-2 L2A, Earth Search": (
        sentinel2_earth_search, Row(ALL, SHIFTED, 0, True, "2023-08-23", "Element84/earth-search, issue 66"),
    ),
    "Sentinel-2 L2A, Planetary Computer": (
        sentinel2_planetary_computer,
        Row(ALL, SHIFTED, None, True, "2023-08-23", "stactools-packages/sentinel2"),
    ),
    "Landsat Collection 1, level 1": (
        landsat_collection_1,
        Row(ALL, (2e-5 / SINE, -0.1 / SINE), 0, True, "2016-01-21", "opendatacube/eo-datasets"),
    ),
    "Landsat Collection 2, level 2": (
        landsat_collection_2, Row(ALL, C2, 0, True, "2023-08-17", "pytroll/satpy"),
    ),
    "Landsat Collection 2, Planetary Computer": (
        landsat_planetary_computer, Row(ALL, C2, 0, True, "2023-08-23", "stactools-packages/landsat"),
    ),
    "HLS S30 and L30": (hls, Row(ALL, TEN, -9999, False, "2024-05-07", "NASA-IMPACT/hls-vi")),
    "PlanetScope, surface reflectance": (
        planetscope, Row(NIR, TEN, 0, False, "2021-07-04", "appelmar/gdalcubes"),
    ),
    "PlanetScope, radiance": (
        planetscope_radiance, Row(NIR, (2.33772293772e-05, 0.0), 0, False, "2016-08-31", "Terradue/Stars"),
    ),
    "SkySat, analytic": (skysat, Row(NIR, (0.0026, 0.0), 0, False, "2021-07-04", "sertit/eoreader")),
    "Pléiades, ortho": (
        pleiades, Row(NIR, (PLEIADES_RED, 0.0), None, False, "2021-08-15", "Terradue/Stars"),
    ),
    "WorldView-2 and -3": (
        worldview, Row(NIR, (WORLDVIEW_RED, 0.0), None, False, "2018-10-01", "Terradue/Stars"),
    ),
    "NAIP": (naip, Row(NIR, None, None, False, "2018-08-25", "stactools-packages/naip")),
    "Drone orthomosaic": (drone, Row(VISIBLE, None, None, True, "2021-07-04", "OpenDroneMap/ODM")),
    "Sentinel-1 RTC": (
        sentinel1_rtc, Row(None, None, 0, False, "2020-01-03", "stactools-packages/sentinel1"),
    ),
    "MODIS MOD09, AppEEARS": (
        modis, Row(ALL, TEN, -28672, False, "2022-02-02", "stactools-packages/modis"),
    ),
    "EnMAP L2A": (enmap, Row(ALL, TEN, -32768, False, "2022-06-12", "senbox-org/optical-toolbox")),
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
    assert linear == (None if row.linear is None else pytest.approx(row.linear, rel=2e-3))
    assert pair.before.nodata == row.nodata
    assert (pair.before.mask is not None or pair.before.validity.masked) == row.mask
    assert pair.before_date == row.date


def test_the_table_of_the_documentation_has_these_products_and_sources():
    text = (ROOT / "docs" / "products.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert {row[0]: row[-1] for row in rows[1:]} == {name: row.source for name, (_, row) in ROWS.items()}
