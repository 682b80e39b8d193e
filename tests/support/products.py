"""Products of satellites as they are delivered: folders, names and metadata of the real ones, small bands.

Sentinel-2: the listings below autotest/gdrivers/data/sentinel2 of OSGeo/gdal (fake_l1c, fake_l2a,
fake_l1c_processing_baseline_5_09, fake_l2a_processing_baseline_5_09). Landsat: the metadata in the test of
oli_tirs_l1_tif and its like of pytroll/satpy (file names of PRODUCT_CONTENTS, DATE_ACQUIRED).
"""

from __future__ import annotations

import numpy as np
from affine import Affine

from support.scenes import write_scene

S2_BANDS = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B8A": 20, "B11": 20}
S2_NAMES = ("blue", "green", "red", "nir", "b8a", "swir1")
LANDSAT_BANDS = ("B2", "B3", "B4", "B5", "B6", "B7")
LANDSAT_NAMES = ("blue", "green", "red", "nir", "swir1", "swir2")


def _jp2(path, band, size):
    transform = Affine(size, 0, 500000, 0, -size, 5300000)
    write_scene(path, band, transform=transform, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")


def write_safe(folder, scene, *, level="2A", compact=True, date="2023-08-23", classes=None):
    """A `.SAFE` folder; `scene` (6, height, width) uint16, of which bands of 20 m keep every second pixel."""
    day = date.replace("-", "")
    if compact:
        root = folder / f"S2B_MSIL{level}_{day}T095559_N0509_R122_T34UCF_{day}T124759.SAFE"
        granule = root / "GRANULE" / f"L{level}_T34UCF_A033753_{day}T095553"
        metadata, start = f"MTD_MSIL{level}.xml", f"T34UCF_{day}T095559"
    else:
        who = "OPER" if level == "1C" else "USER"
        root = folder / f"S2A_{who}_PRD_MSIL{level}_PDMC_{day}T194310_R065_V{day}T102653_{day}T102653.SAFE"
        start = f"S2A_{who}_MSI_L{level}_TL_SGS__{day}T154231_A002783_T34UCF"
        granule = root / "GRANULE" / f"{start}_N02.01"
        metadata = f"S2A_{who}_MTD_SAFL{level}_PDMC_{day}T194310_R065_V{day}T102653_{day}T102653.xml"
    for (name, size), band in zip(S2_BANDS.items(), scene, strict=True):
        if level == "1C":
            _jp2(granule / "IMG_DATA" / f"{start}_{name}.jp2", band[:: size // 10, :: size // 10], size)
            continue
        for other in (10, 20, 60):
            if other >= size:
                step = other // 10
                place = granule / "IMG_DATA" / f"R{other}m" / f"{start}_{name}_{other}m.jp2"
                _jp2(place, band[::step, ::step], other)
    if classes is not None:
        image = granule / "IMG_DATA"
        scl = (
            image / "R20m" / f"{start}_SCL_20m.jp2"
            if compact
            else image / f"{start.replace('_MSI_', '_SCL_')}_20m.jp2"
        )
        _jp2(scl, classes, 20)
    kind = "RADIO" if level == "1C" else "BOA"
    divisor = "QUANTIFICATION_VALUE" if level == "1C" else "BOA_QUANTIFICATION_VALUE"
    offsets = "".join(f'<{kind}_ADD_OFFSET band_id="{i}">-1000</{kind}_ADD_OFFSET>' for i in range(13))
    (root / metadata).write_text(
        f"<n1:Level-{level}_User_Product><PRODUCT_START_TIME>{date}T10:26:53.027Z</PRODUCT_START_TIME>"
        f'<{divisor} unit="none">10000</{divisor}>{offsets if compact else ""}'
        f"</n1:Level-{level}_User_Product>"
    )
    return root


def write_landsat(folder, scene, *, level="L2SP", date="2023-08-17", quality=None):
    """A Landsat 8 folder; `scene` (6, height, width) uint16; with a panchromatic and a thermal band."""
    name = f"LC08_{level}_028030_{date.replace('-', '')}_20230912_02_T1"
    root = folder / name
    start = "SR_" if level == "L2SP" else ""
    thirty = Affine(30, 0, 500000, 0, -30, 5300000)
    for band, values in zip(LANDSAT_BANDS, scene, strict=True):
        nodata = 0 if start else None  # level 1 declares none
        write_scene(root / f"{name}_{start}{band}.TIF", values, transform=thirty, nodata=nodata)
    write_scene(root / f"{name}_{'ST_' if start else ''}B10.TIF", scene[0], transform=thirty)
    if not start:
        fine = Affine(15, 0, 499992.5, 0, -15, 5300007.5)
        write_scene(root / f"{name}_B8.TIF", np.repeat(np.repeat(scene[0], 2, 0), 2, 1), transform=fine)
    if quality is not None:
        write_scene(root / f"{name}_QA_PIXEL.TIF", quality, transform=thirty)
    (root / f"{name}_MTL.txt").write_text(
        f"GROUP = LANDSAT_METADATA_FILE\n  GROUP = IMAGE_ATTRIBUTES\n    DATE_ACQUIRED = {date}\n"
        f"    SUN_ELEVATION = 30.0\n  END_GROUP = IMAGE_ATTRIBUTES\n"
        + (_factors("LEVEL2_SURFACE_REFLECTANCE_PARAMETERS", 2.75e-05, -0.2) if start else "")
        + _factors("LEVEL1_RADIOMETRIC_RESCALING", 2e-05, -0.1)
    )
    return root


def _factors(group, scale, offset):
    lines = [
        f"    REFLECTANCE_{kind}_BAND_{band} = {value!r}\n"
        for kind, value in (("MULT", scale), ("ADD", offset))
        for band in range(1, 10)
    ]
    return f"  GROUP = {group}\n{''.join(lines)}  END_GROUP = {group}\n"
