"""Band names (red, nir, ...) from the names of products' files."""

from __future__ import annotations

import re

SENTINEL_2 = {"b02": "blue", "b03": "green", "b04": "red", "b08": "nir", "b11": "swir1", "b12": "swir2"}
# https://www.usgs.gov/faqs/what-are-band-designations-landsat-satellites; the MSS of Landsat 1 to 3 counts
# its bands from 4, that of 4 and 5 from 1.
OLI = {2: "blue", 3: "green", 4: "red", 5: "nir", 6: "swir1", 7: "swir2"}
TM = {1: "blue", 2: "green", 3: "red", 4: "nir", 5: "swir1", 7: "swir2"}
_MSS = {1: "green", 2: "red", 4: "nir"}
_EARLY_MSS = {4: "green", 5: "red", 7: "nir"}
_LANDSAT = {
    **dict.fromkeys(("lc08", "lc09", "lo08", "lo09"), OLI),
    **dict.fromkeys(("le07", "lt05", "lt04"), TM),
    **dict.fromkeys(("lm05", "lm04"), _MSS),
    **dict.fromkeys(("lm03", "lm02", "lm01"), _EARLY_MSS),
}
_COMMON = frozenset(
    (
        "red",
        "green",
        "blue",
        "nir",
        "nir08",
        "swir1",
        "swir2",
        "swir16",
        "swir22",
        "pan",
        "coastal",
        "rededge",
    )
)
_SYNONYMS = {"swir16": "swir1", "swir22": "swir2"}
_LANDSAT_FILE = re.compile(r"^(l[cotem]0[1-9])_.*_((?:sr_)?b(\d{1,2}))$", re.IGNORECASE)
_HLS_L30 = re.compile(r"^hls\.l30\..*\.b(\d\d)$", re.IGNORECASE)
_AUSTRALIA = re.compile(r"^ga_(ls[5789]|s2)\w*_nbart?_.*_band(\d{1,2}a?)$", re.IGNORECASE)
_BAND = re.compile(r"(?:^|[_.-])(b\d{1,2}a?)(?:_\d\dm)?$", re.IGNORECASE)


def band_name(stem: str) -> str:
    """Band name of a file, from the file's name without its suffix.

    >>> band_name("T32UPU_20210704T101031_B04_10m"), band_name("S2A_OPER_T40RBN_B8A"), band_name("B2")
    ('red', 'b8a', 'blue')
    >>> band_name("LC09_L2SP_195028_20220507_20220509_02_T1_SR_B4"), band_name("Scene-NIR")
    ('red', 'nir')
    >>> band_name("ga_ls8c_nbart_3-0-0_090084_2016-01-21_final_band05")
    'nir'
    >>> band_name("HLS.L30.T32UPU.2021185T101500.v2.0.B05")
    'nir'
    """
    if landsat := _LANDSAT_FILE.match(stem):
        return _LANDSAT[landsat[1].lower()].get(int(landsat[3]), landsat[2].lower())
    if hls := _HLS_L30.match(stem):
        return OLI.get(int(hls[1]), f"b{hls[1]}")
    if ours := _AUSTRALIA.match(stem):
        code = ours[2].lower()
        if ours[1].lower() == "s2":
            return SENTINEL_2.get(f"b{code:0>2}", f"b{code}")
        return (OLI if ours[1][2] in "89" else TM).get(int(code), f"b{code}")
    if found := _BAND.search(stem):
        code = found[1].lower()
        code = f"b0{code[1:]}" if re.fullmatch(r"b\d", code) else code
        return SENTINEL_2.get(code, code)
    last = re.split(r"[_\-. ]", stem.lower())[-1]
    return common_name(last) if last in _COMMON else stem.lower()


def common_name(name: str) -> str:
    """Band name of detectors for STAC's common name: swir16 and swir22 are swir1 and swir2."""
    return _SYNONYMS.get(name.lower(), name.lower())


def place_in_order(stem: str) -> tuple[float, str]:
    """Sort key of file names by band number, 8A after 8."""
    found = _BAND.search(stem)
    if not found:
        return 0, stem
    digits = re.sub(r"\D", "", found[1])
    return int(digits) + (0.5 if found[1][-1] in "aA" else 0), stem
