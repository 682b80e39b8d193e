"""Vendor metadata in or beside a file: band names and reflectance of Planet, Maxar, Airbus, EnMAP, Landsat.

The numbers of these products are radiances in units of their own. The factors to reflectance at the top of
the atmosphere are in files beside the images, or follow from their calibration and the elevation of the sun.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rsdetect.reading import refuse_endless
from rsdetect.scenes.radiometry import Linear, landsat_linear

_PLANETSCOPE = re.compile(r"(\d{8}_\d{6}_.*_AnalyticMS(?:_8b)?)(_clip)?\.tif", re.IGNORECASE)
_PLANET_BAND = re.compile(
    r"<ps:bandNumber>(\d+)<.*?<ps:reflectanceCoefficient>([-+.\deE]+)<", flags=re.DOTALL
)
_ENMAP = re.compile(r"(ENMAP\d\d-.*)-SPECTRAL_IMAGE.*\.tiff?", re.IGNORECASE)
_LANDSAT_1 = re.compile(r"(L[COTE]0\d_L1\w\w_.*)_B(\d+)\.TIF", re.IGNORECASE)
# Irradiance of the sun in W/(m² µm), of Maxar's "Absolute Radiometric Calibration: 2016v0" (Thuillier 2003).
_MAXAR_SUN = {
    "WV02": {"P": 1571.36, "C": 1773.81, "B": 2007.27, "G": 1829.62, "Y": 1701.85, "R": 1538.85,
             "RE": 1346.09, "N": 1053.21, "N2": 856.599},
    "WV03": {"P": 1574.41, "C": 1757.89, "B": 2004.61, "G": 1830.18, "Y": 1712.07, "R": 1535.33,
             "RE": 1348.08, "N": 1055.94, "N2": 858.77},
    "WV04": {"P": 1608.01, "B": 2009.45, "G": 1831.88, "R": 1492.12, "N": 937.8},
    "GE01": {"P": 1610.73, "B": 1993.18, "G": 1828.83, "R": 1491.49, "N": 1022.58},
    "QB02": {"P": 1370.92, "B": 1949.59, "G": 1823.64, "R": 1553.78, "N": 1102.85},
    "WV01": {"P": 1478.62},
}  # fmt: skip
_MAXAR_NAMES = {
    "P": "pan", "C": "coastal", "B": "blue", "G": "green", "Y": "yellow", "R": "red", "RE": "rededge",
    "N": "nir", "N2": "nir2",
}  # fmt: skip
_AIRBUS_NAMES = ("red", "green", "blue", "nir")
_Tags = Mapping[str, str]


@dataclass(frozen=True)
class VendorMetadata:
    """Metadata of a vendor on the bands of a file, in their order; empty where there is none."""

    names: tuple[str, ...] = ()
    linear: tuple[Linear, ...] = ()  # scale and offset to reflectance, or to radiance of EnMAP's level 1
    wavelengths: tuple[float | None, ...] = ()  # nm
    file: str | None = None  # where it is, unless in the dataset's own files


def vendor_metadata(dataset: Any) -> VendorMetadata:
    """Metadata of the vendor for an open dataset, from its tags and from the file beside it.

    Parameters
    ----------
    dataset
        An open rasterio dataset.
    """
    path = Path(str(dataset.name))
    found = VendorMetadata()
    if match := _PLANETSCOPE.fullmatch(path.name):
        found = _planetscope(path.with_name(f"{match[1]}_metadata{match[2] or ''}.xml"), dataset.count)
    elif match := _LANDSAT_1.fullmatch(path.name):
        found = _landsat(path.with_name(f"{match[1]}_MTL.txt"), int(match[2]))
    elif match := _ENMAP.fullmatch(path.name):
        found = _enmap(path.with_name(f"{match[1]}-METADATA.XML"), dataset.count)
    elif "IMD" in dataset.tag_namespaces():
        tags = {key.upper(): value.strip('"') for key, value in dataset.tags(ns="IMD").items()}
        found = _maxar(tags, dataset.count) or _airbus(tags, dataset.count) or found
    elif "reflectance_coefficients" in (told := dataset.tags().get("TIFFTAG_IMAGEDESCRIPTION", "")):
        found = VendorMetadata(linear=_skysat(told, dataset.count))
    return found


def _read(path: Path) -> str:
    refuse_endless(path)
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return ""


def _planetscope(path: Path, count: int) -> VendorMetadata:
    factors = {int(band): float(factor) for band, factor in _PLANET_BAND.findall(_read(path))}
    if sorted(factors) != list(range(1, count + 1)):
        return VendorMetadata()
    return VendorMetadata(linear=tuple((factors[i], 0.0) for i in sorted(factors)), file=str(path))


def _landsat(path: Path, band: int) -> VendorMetadata:
    text = _read(path)
    linear = landsat_linear(text, level_2=False).get(band)
    return VendorMetadata() if linear is None else VendorMetadata(linear=(linear,), file=str(path))


def _skysat(description: str, count: int) -> tuple[Linear, ...]:
    """Reflectance of SkySat's bands by the JSON in the TIFF's description."""
    try:
        factors = [float(each) for each in json.loads(description)["properties"]["reflectance_coefficients"]]
    except (ValueError, KeyError, TypeError):
        return ()
    return tuple((factor, 0.0) for factor in factors) if len(factors) == count else ()


def _enmap(path: Path, count: int) -> VendorMetadata:
    text = _read(path)
    centres, gains, offsets = (
        [float(number) for number in re.findall(rf"<{name}>\s*([-+.\deE]+)\s*</{name}>", text)]
        for name in ("wavelengthCenterOfBand", "GainOfBand", "OffsetOfBand")
    )
    linear = tuple(zip(gains, offsets, strict=False)) if len(gains) == len(offsets) == count else ()
    wavelengths = tuple(centres) if len(centres) == count else ()
    return VendorMetadata(linear=linear, wavelengths=wavelengths, file=str(path) if text else None)


def _maxar(tags: _Tags, count: int) -> VendorMetadata | None:
    """Metadata of Maxar in an IMD or XML file, whose keys GDAL reads in other capitals."""
    bands = list(
        dict.fromkeys(
            match[1]
            for key in tags
            if (match := re.match(r"BAND_([A-Z]+2?)\.", key)) and match[1] in _MAXAR_NAMES
        )
    )
    if len(bands) != count:
        return None
    names = tuple(_MAXAR_NAMES[band] for band in bands)
    calibrated = tags.get("RADIOMETRICLEVEL", "Corrected") == "Corrected" and (
        tags.get("RADIOMETRICENHANCEMENT", "Off") == "Off" and tags.get("BITSPERPIXEL", "16") != "8"
    )
    image = {key.partition(".")[2]: value for key, value in tags.items() if key.startswith("IMAGE")}
    light = _light(image.get("FIRSTLINETIME") or image.get("TLCTIME", ""), image.get("MEANSUNEL", ""))
    sun = _MAXAR_SUN.get(image.get("SATID", ""), {})
    linear = []
    for band in bands if calibrated and light else ():
        factor, width = (
            _number(tags.get(f"BAND_{band}.{key}")) for key in ("ABSCALFACTOR", "EFFECTIVEBANDWIDTH")
        )
        if factor and width and light and band in sun:
            linear.append((factor / width / (sun[band] * light), 0.0))
    return VendorMetadata(names, tuple(linear) if len(linear) == count else ())


def _airbus(tags: _Tags, count: int) -> VendorMetadata | None:
    """Metadata of Pléiades and SPOT in a DIMAP file: red, green, blue and near infrared in this order."""

    def value(end: str) -> str:
        return next((text for key, text in tags.items() if key.endswith(end)), "")

    if value("METADATA_FORMAT") != "DIMAP" or count not in (3, 4):
        return None
    order = [value(f"BAND_DISPLAY_ORDER.{colour}_CHANNEL") for colour in ("RED", "GREEN", "BLUE", "ALPHA")]
    order = order[:count]
    names = _AIRBUS_NAMES[:count]
    processing = value(".RADIOMETRIC_PROCESSING")
    stretched = value(".RADIOMETRIC_STRETCH").lower() == "true"
    if not all(order) or stretched or processing not in ("BASIC", "REFLECTANCE"):
        return VendorMetadata(names)
    light = _light(value(".STRIP_SOURCE.IMAGING_DATE"), _sun_elevation(tags))
    linear = []
    for band in order:
        measured = _measured(tags, "BAND_RADIANCE" if processing == "BASIC" else "BAND_REFLECTANCE", band)
        gain, bias = _number(measured.get("GAIN")), _number(measured.get("BIAS")) or 0.0
        sun = 1.0
        if processing == "BASIC":
            sun = (_number(_measured(tags, "BAND_SOLAR_IRRADIANCE", band).get("VALUE")) or 0.0) * (light or 0)
        if gain and sun:
            linear.append((1 / gain / sun, bias / sun))
    return VendorMetadata(names, tuple(linear) if len(linear) == count else ())


def _measured(tags: _Tags, kind: str, band: str) -> dict[str, str]:
    """Measurements of a kind for one band in a DIMAP file."""
    groups: dict[str, dict[str, str]] = {}
    for key, value in tags.items():
        if match := re.search(rf"\.({kind}(?:_\d+)?)\.(\w+)$", key):
            groups.setdefault(match[1], {})[match[2]] = value
    return next((group for group in groups.values() if group.get("BAND_ID") == band), {})


def _sun_elevation(tags: _Tags) -> str:
    """Elevation of the sun at the centre of a DIMAP file."""
    found = [(key, value) for key, value in tags.items() if key.endswith("SOLAR_INCIDENCES.SUN_ELEVATION")]
    for key, value in found:
        place = key.replace("SOLAR_INCIDENCES.SUN_ELEVATION", "LOCATION_TYPE")
        if tags.get(place) == "Center":
            return value
    return found[0][1] if found else ""


def _light(day: str, elevation: str) -> float | None:
    """Share of the sun's irradiance at one astronomical unit on level ground, over pi; None if unknown.

    >>> round(_light("2021-07-04T10:00:00Z", "30.0") * math.pi, 3)
    0.484
    """
    degrees = _number(elevation)
    try:
        taken = date.fromisoformat(day[:10])
    except ValueError:
        return None
    if degrees is None or degrees <= 0:
        return None
    distance = 1 - 0.01672 * math.cos(math.radians(0.9856 * (taken.timetuple().tm_yday - 4)))
    return math.sin(math.radians(degrees)) / (math.pi * distance**2)


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if math.isfinite(found) else None
