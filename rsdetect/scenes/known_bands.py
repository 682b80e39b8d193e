"""Known bands: common names (red, nir, ...) by the band names of products, and by wavelength."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rsdetect.scenes.band_names import OLI, SENTINEL_2, TM, common_name

_S2 = {name.removeprefix("b").lstrip("0"): colour for name, colour in SENTINEL_2.items()}
_OLI = {str(number): colour for number, colour in OLI.items()}
_TM = {str(number): colour for number, colour in TM.items()}
# https://lpdaac.usgs.gov/products/mod09a1v061/ and .../vnp09gav002/
_MODIS = {"1": "red", "2": "nir", "3": "blue", "4": "green", "6": "swir1", "7": "swir2"}
_VIIRS = {
    "m3": "blue", "m4": "green", "m5": "red", "m7": "nir", "m10": "swir1", "m11": "swir2",
    "i1": "red", "i2": "nir", "i3": "swir1",
}  # fmt: skip
# B4, B04, SR_B4, Band 4, nbart_band04; what GDAL writes behind it (", central wavelength 665 nm") is dropped.
_CODE = re.compile(r"(?:[a-z]+_)?b(?:and)?[ _]?0?(\d{1,2}a?)(?:[ ,(:].*)?")
_PREFIX = re.compile(r"^(?:nbart?|lambertian|sr|toa|boa|band|ms)_")
_MODIS_NAME = re.compile(r".*(?:sur_refl_b0?|nadir_reflectance_band|reflectance_band)(\d)(?:_\d)?")
_VIIRS_NAME = re.compile(r"(?:.*[_ ])?(?:surfreflect_)?([im]\d{1,2})(?:_\d)?")
_SENSORS = (  # in a file's name
    (re.compile(r"(?<![a-z0-9])(?:s2[a-d]?|sentinel[-_ ]?2[a-d]?|msi|hls\.s30|hlss30)(?![a-z0-9])"), _S2),
    (re.compile(r"(?<![a-z0-9])(?:l[co]0?[89]|landsat[-_ ]?[89]|oli|hls\.l30|hlsl30)(?![a-z])"), _OLI),
    (re.compile(r"(?<![a-z0-9])(?:l[te]0?[457]|landsat[-_ ]?[457])(?![a-z])"), _TM),
)
_WORDS = {
    "r": "red", "g": "green", "b": "blue", "n": "nir", "nir1": "nir", "nir_1": "nir", "nir08": "nir",
    "nir_08": "nir", "near infrared": "nir", "near_infrared": "nir", "nearinfrared": "nir",
    "swir_1": "swir1", "swir_2": "swir2", "swir_16": "swir1", "swir_22": "swir2",
}  # fmt: skip
_BGRN = ("blue", "green", "red", "nir")
_EIGHT = ("coastal", "blue", "green", "yellow", "red", "rededge", "nir", "nir2")
# The order of the bands in products whose files name none, by file name and number of bands.
_ORDERS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"^\d{8}_\d{6}_.*_(?:analyticms|analytic)(?![a-z])(?!.*8b)"), _BGRN),  # PlanetScope, SkySat
    (re.compile(r"^\d{8}_\d{6}_.*_analyticms.*8b"), ("coastal", "blue", "green_i", *_EIGHT[2:7])),
    (
        re.compile(r"^\d{8}_level2_sen2\w_boa"),  # FORCE
        ("blue", "green", "red", "rededge1", "rededge2", "rededge3", "bnir", "nir", "swir1", "swir2"),
    ),
    (re.compile(r"^\d{8}_level2_lnd\d\d_boa"), ("blue", "green", "red", "nir", "swir1", "swir2")),
    (re.compile(r"^m_\d{7}_[ns][ew]_"), ("red", "green", "blue", "nir")),  # NAIP
    (re.compile(r"^img_(?:phr|spot|pneo)\w*_(?:ms|pms)\w*_\d{15}_ort"), ("red", "green", "blue", "nir")),
    (re.compile(r"^\d{2}[a-z]{3}\d{8}-[ms]\w\w\w"), _BGRN),  # WorldView-2 and -3, of four or eight bands
    (re.compile(r"^\d{2}[a-z]{3}\d{8}-[ms]\w\w\w"), _EIGHT),
)
_COLOURS = ("red", "green", "blue", "nir", "swir1", "swir2")
# The centre that is sought, and where the band may lie, in nm.
_RANGES = {
    "blue": (485, 450, 520),
    "green": (560, 520, 600),
    "red": (660, 620, 690),
    "nir": (842, 770, 900),
    "swir1": (1610, 1550, 1750),
    "swir2": (2200, 2080, 2350),
}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(nm|nanomet[a-z]*|[uµμ]m|micromet[a-z]*|microns?)\b", re.IGNORECASE)
_MOST_OFF = 0.05  # of the wavelength that is asked for


def known_bands(
    names: Sequence[str], wavelengths: Sequence[float | None] = (), path: str = ""
) -> tuple[str, ...]:
    """Common name of each known band; "" if unknown, or if another band has it already.

    Parameters
    ----------
    names
        Names in the file, in lower case; "" without a name.
    wavelengths
        Centres of the bands in nm; empty = unknown.
    path
        Path of the file: products name their satellite in it.

    >>> known_bands(["b1", "b2", "b3", "b4", "b8", "b8a", "b12"])
    ('', 'blue', 'green', 'red', 'nir', '', 'swir2')
    >>> known_bands(["nbart_red", "rededge", "nir_1"]), known_bands(["", ""], [662.0, 550.0])
    (('red', '', 'nir'), ('red', 'green'))
    """
    found = [""] * len(names)
    names = _with_order(names, path)
    for named in (names, _by_word(names), _by_code(names, path)):
        for place, name in enumerate(named):
            if name in _COLOURS and name not in found and not found[place]:
                found[place] = name
    for colour, (centre, low, high) in _RANGES.items():
        free = [
            (abs(length - centre), place)
            for place, length in enumerate(wavelengths)
            if length is not None and low <= length <= high and not found[place]
        ]
        if colour not in found and free:
            found[min(free)[1]] = colour
    return tuple(found)


def _with_order(names: Sequence[str], path: str) -> list[str]:
    """Names of bands, with those of the product's order for bands without one."""
    file = _file_of(path)
    for product, order in _ORDERS:
        if len(order) == len(names) and product.search(file):
            given = [name or ordered for name, ordered in zip(names, order, strict=True)]
            return given if len(set(given)) == len(given) else list(names)
    return list(names)


def _file_of(path: str) -> str:
    """File name in a path or address, in lower case."""
    return re.split(r"[\\/]", path.partition("?")[0])[-1].lower()


def _by_word(names: Sequence[str]) -> list[str]:
    bare = [_PREFIX.sub("", name) for name in names]
    # Digital Earth Australia counts Sentinel-2's short-wave bands from 2.
    shifted = {"swir_2": "swir1", "swir_3": "swir2"} if "swir_3" in bare else {}
    return [shifted.get(name) or _word(name) for name in bare]


def _word(name: str) -> str:
    if name in _WORDS:
        return _WORDS[name]
    known = common_name(name)
    if known in _COLOURS:
        return known
    words = re.split(r"[^a-z0-9]+", name)
    colours = [common_name(word) for word in words if common_name(word) in _COLOURS]
    return colours[0] if len(colours) == 1 and "edge" not in words else ""


def _by_code(names: Sequence[str], path: str) -> list[str]:
    if any(_MODIS_NAME.fullmatch(name) for name in names):
        found = [_MODIS_NAME.fullmatch(name) for name in names]
        return [_MODIS.get(match[1], "") if match else "" for match in found]
    viirs = [_VIIRS_NAME.fullmatch(name) for name in names]
    if sum(match is not None for match in viirs) > 1:
        return [_VIIRS.get(match[1], "") if match else "" for match in viirs]
    codes = _codes(names)
    if all(re.match(rf"band[ _]?0*{i}(?!\d)|$", name) for i, name in enumerate(names, 1)):
        return [""] * len(names)  # programs count the bands of a file like that, whatever they are
    table = _table({code for code in codes if code}, names, path)
    if table is _S2 and "8" not in codes:  # stacks at 20 m, HLS
        table = {**_S2, "8a": "nir"}
    return [table.get(code, "") for code in codes]


def instrument_bands(names: Sequence[str], path: str) -> tuple[str, list[str]]:
    """Instrument whose bands the names count ("OLI", "TM", "MSI" or "" if unknown), and the number of each.

    >>> instrument_bands(["b9", "b10", "b11"], "LC08_L1TP_195028.tif")
    ('OLI', ['9', '10', '11'])
    """
    codes = _codes(names)
    table = _table({code for code in codes if code}, names, path)
    known = ((_OLI, "OLI"), (_TM, "TM"), (_S2, "MSI"))
    return next((name for each, name in known if table is each), ""), codes


def _codes(names: Sequence[str]) -> list[str]:
    return [match[1] if (match := _CODE.fullmatch(name)) else "" for name in names]


def _table(codes: set[str], names: Sequence[str], path: str) -> dict[str, str]:
    """Known meaning of the band numbers; empty if several satellites are possible."""
    file = _file_of(path)
    for sensor, table in _SENSORS:
        if codes and sensor.search(file):
            return table
    if codes & {"8a", "12"} or ({"2", "3", "4", "8"} <= codes and not codes & {"5", "6", "7"}):
        return _S2
    if any(name.startswith("sr_b") for name in names):  # Landsat, Collection 2
        return _OLI if "6" in codes or "st_b10" in names else _TM if "7" in codes else {}
    return _OLI if {"10", "11"} <= codes else {}


def wavelength_in(text: str) -> float | None:
    """Wavelength of a band in a text, in nm.

    >>> wavelength_in("band 7 (460.5 Nanometers)"), wavelength_in("0.665 um"), wavelength_in("red")
    (460.5, 665.0, None)
    """
    found = _LENGTH.search(text)
    if found is None:
        return None
    return float(found[1]) * (1 if found[2].lower().startswith("n") else 1000)


def nearest_band(wavelengths: Sequence[float | None], wanted: float) -> int | None:
    """Index of the band whose centre is nearest to `wanted` (nm); None if all are more than 5 % off."""
    off = [(abs(length - wanted), place) for place, length in enumerate(wavelengths) if length is not None]
    return min(off)[1] if off and min(off)[0] <= _MOST_OFF * wanted else None
