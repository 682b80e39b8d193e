"""Radiometry of products, scale and offset: a physical value is number * scale + offset.

They come from metadata files, from the item of a catalogue, or from the specification of the product that
the file's name identifies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from rsdetect.scenes.band_files import without_query

Linear = tuple[float, float]  # scale, offset

# In the order of band_id in the metadata of Sentinel-2.
_S2_ORDER = ("01", "02", "03", "04", "05", "06", "07", "08", "8A", "09", "10", "11", "12")
_S2_DIVISOR = re.compile(r"<(?:L[12][AC]_)?(?:BOA_)?QUANTIFICATION_VALUE\b[^>]*>\s*([\d.]+)")
_S2_OFFSET = re.compile(r"<(?:BOA|RADIO)_ADD_OFFSET\s+band_id=\"(\d+)\"[^>]*>\s*(-?[\d.]+)")
_SHIFTED_BASELINE = 4.0  # since which Sentinel-2's numbers carry 1000 more
_S2_LINEAR, _S2_SHIFTED = (1e-4, 0.0), (1e-4, -0.1)
_FACTOR = re.compile(r"REFLECTANCE_(MULT|ADD)_BAND_(\d+)\"?\s*[=:>]\s*\"?([-+.\deE]+)")
_SUN = re.compile(r"SUN_ELEVATION\"?\s*[=:>]\s*\"?([-+.\deE]+)")
_LEVEL_2 = "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"
# What the specifications of these products say, by the names of their files.
_BY_NAME: tuple[tuple[re.Pattern[str], Linear], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), linear)
    for pattern, linear in (
        (r"^L[COTE]0\d_L2S[PR]_\d{6}_\d{8}_\d{8}_02_\w\w_SR_B\d", (2.75e-5, -0.2)),
        (r"^L[COT]0\d_L2SP_\d{6}_\d{8}_\d{8}_02_\w\w_ST_B\d+", (0.00341802, 149.0)),
        (r"^L[COTE]0\d_\w{4}_\d{6}_\d{8}_\d{8}_01_\w\w_(?:sr|toa)_band\d", (1e-4, 0.0)),
        (r"^HLS\.[LS]30\.T\w{5}\.\d{7}T\d{6}\.v\d\.\d\.B(?:0\d|8A)\b", (1e-4, 0.0)),
        (r"^HLS\.S30\.T\w{5}\.\d{7}T\d{6}\.v\d\.\d\.B1[0-2]\b", (1e-4, 0.0)),
        (r"^M[OCY]D09\w*\..*sur_refl_b\d\d", (1e-4, 0.0)),
        (r"^\d{8}_\d{6}_.*_AnalyticMS(?:_8b)?_SR", (1e-4, 0.0)),
        (r"^\d{8}_\d{6}_ssc.*_analytic_SR", (1e-4, 0.0)),
        (r"^SENTINEL2[A-D]_\d{8}-\d{6}-\d{3}_L2A_T\w{5}_.*_[FS]RE_B", (1e-4, 0.0)),  # Theia
        (r"^ga_(?:ls|s2)\w+_nbart?_.*_band\w\w\.", (1e-4, 0.0)),  # Digital Earth Australia
        (r"^\d{8}_LEVEL2_(?:SEN|LND)\w+_BOA", (1e-4, 0.0)),  # FORCE
        (r"^ENMAP\d\d-____L2A-.*-SPECTRAL_IMAGE", (1e-4, 0.0)),
    )
)
_S2_FOLDER = re.compile(r"S2[A-D]_MSIL[12][AC]_\d{8}T\d{6}_N(\d{4})_.*\.jp2$", re.IGNORECASE)


def sentinel2_linear(metadata: str) -> dict[str, Linear]:
    """Radiometry of each Sentinel-2 band (01 ... 12, 8A), from a product's MTD file; empty if it has none.

    >>> text = '<QUANTIFICATION_VALUE unit="none">10000<RADIO_ADD_OFFSET band_id="3">-1000<'
    >>> sentinel2_linear(text)["04"], sentinel2_linear(text)["02"], sentinel2_linear("")
    ((0.0001, -0.1), (0.0001, 0.0), {})
    """
    found = _S2_DIVISOR.search(metadata)
    if found is None:
        return {}
    scale = 1 / float(found[1])
    offsets = {int(band): float(offset) for band, offset in _S2_OFFSET.findall(metadata)}
    return {name: (scale, offsets.get(i, 0.0) * scale) for i, name in enumerate(_S2_ORDER)}


def landsat_linear(metadata: str, *, level_2: bool) -> dict[int, Linear]:
    """Radiometry of each Landsat band, from an MTL file as text, XML or JSON.

    At level 1 this is the top-of-atmosphere reflectance for the elevation of the sun.

    >>> landsat_linear("REFLECTANCE_MULT_BAND_4 = 2.0E-05 REFLECTANCE_ADD_BAND_4 = -0.1", level_2=False)
    {4: (2e-05, -0.1)}
    """
    start = metadata.find(_LEVEL_2)
    end = metadata.find(_LEVEL_2, start + 1) if start >= 0 else -1
    if start < 0:
        part = metadata
    elif level_2:
        # JSON has the group's name once; what follows it comes before the values of level 1.
        part = metadata[start : end if end > 0 else metadata.find("}", start)]
    else:
        part = metadata[:start] + (metadata[end:] if end > 0 else metadata[metadata.find("}", start) :])
    sun = _SUN.search(metadata)
    light = 1.0 if level_2 or sun is None else math.sin(math.radians(float(sun[1])))
    found: dict[str, dict[int, float]] = {"MULT": {}, "ADD": {}}
    for kind, band, number in _FACTOR.findall(part):
        found[kind][int(band)] = float(number) / light
    return {band: (scale, found["ADD"].get(band, 0.0)) for band, scale in found["MULT"].items()}


def linear_of_name(path: str) -> Linear | None:
    """Radiometry by the specification of the product that a file's name identifies.

    >>> linear_of_name("/d/LC09_L2SP_195028_20220507_20220509_02_T1_SR_B4.TIF"), linear_of_name("B4.tif")
    ((2.75e-05, -0.2), None)
    """
    path = without_query(path)
    name = re.split(r"[\\/]", path)[-1]
    for pattern, linear in _BY_NAME:
        if pattern.match(name):
            return linear
    if as_delivered := _S2_FOLDER.search(path):
        return _S2_SHIFTED if int(as_delivered[1]) / 100 >= _SHIFTED_BASELINE else _S2_LINEAR
    return None


def linear_of_asset(properties: Mapping[str, Any], item_id: str, asset: Any) -> Linear | None:
    """Radiometry of the first band of a STAC asset: scale and offset; None if unknown.

    By `raster:bands`, `bands` or the asset itself. For Sentinel-2, what the item declares of its baseline and
    of offsets that were applied already has priority over `raster:bands`, which contradicts both in some
    catalogues.

    Parameters
    ----------
    properties
        Those of the item.
    asset
        A `pystac.Asset`.
    """
    fields = band_fields(asset)
    scale, offset = (_first(fields, f"raster:{key}", key) for key in ("scale", "offset"))
    declared = None if scale is None and offset is None else (float(scale or 1), float(offset or 0))
    if not _is_sentinel2(properties, item_id):
        return declared
    if declared is None and not _is_reflectance(fields, asset):
        return None
    scale = declared[0] if declared else _S2_LINEAR[0]
    if any(properties.get(f"{who}:boa_offset_applied") for who in ("earthsearch", "sentinel")):
        return scale, 0.0
    baseline = _baseline(properties, item_id)
    if baseline is not None and baseline < _SHIFTED_BASELINE:
        return scale, 0.0
    if declared is not None and (offset is not None or baseline is None):
        return declared
    return None if baseline is None else (scale, _S2_SHIFTED[1])


def band_fields(asset: Any) -> dict[str, Any]:
    """Radiometry fields of an asset's first band, from `raster:bands`, `bands`, `eo:bands` and the asset."""
    fields = dict(asset.extra_fields)
    for key in ("eo:bands", "bands", "raster:bands"):
        listed = asset.extra_fields.get(key)
        if isinstance(listed, list) and listed and isinstance(listed[0], Mapping):
            fields |= listed[0]
    return fields


def _first(fields: Mapping[str, Any], *keys: str) -> Any:
    return next((fields[key] for key in keys if fields.get(key) is not None), None)


def _is_sentinel2(properties: Mapping[str, Any], item_id: str) -> bool:
    named = (str(properties.get(key, "")) for key in ("platform", "constellation", "eo:platform"))
    return any(name.lower().startswith("sentinel-2") for name in named) or bool(
        re.match(r"S2[A-D]_", item_id)
    )


def _is_reflectance(fields: Mapping[str, Any], asset: Any) -> bool:
    """True if an asset has reflectance: one band with a wavelength or common name, no picture or classes."""
    listed = asset.extra_fields.get("eo:bands") or asset.extra_fields.get("bands") or ()
    named = any(fields.get(key) for key in ("common_name", "eo:common_name", "center_wavelength"))
    return len(listed) <= 1 and (named or bool(fields.get("eo:center_wavelength")))


def _baseline(properties: Mapping[str, Any], item_id: str) -> float | None:
    text = _first(properties, "s2:processing_baseline", "sentinel:processing_baseline", "processing:version")
    found = re.match(r"\d\d\.\d\d$", str(text or ""))
    if found:
        return float(found[0])
    named = re.search(r"_N(\d{4})_", item_id)
    return int(named[1]) / 100 if named else None
