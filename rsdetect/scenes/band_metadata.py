"""Band metadata of an open dataset: scale, offset, wavelength, and which bands are bad."""

from __future__ import annotations

import math
import re
from typing import Any, TypedDict

from rsdetect.scenes.known_bands import wavelength_in

_DIVISOR = 100


class BandMetadata(TypedDict):
    """Band metadata for a header; one entry per band, or empty if the file has none."""

    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    wavelengths: tuple[float | None, ...]  # nm
    bad_bands: tuple[int, ...]  # numbers, 1 = first


def dataset_tags(dataset: Any) -> dict[str, str]:
    """Tags of a file for its metadata, from all domains on the time and mode of acquisition."""
    domains = [space for space in ("IMAGERY", "EXIF", "ENVI") if space in dataset.tag_namespaces()]
    found: dict[str, str] = {}
    for tags in (*(dataset.tags(ns=domain) for domain in domains), dataset.tags()):
        found |= tags
    return found


def band_metadata(dataset: Any) -> BandMetadata:
    """Metadata of the bands of an open dataset."""
    tags = dataset_tags(dataset)
    scales, offsets = _linear(dataset, tags)
    listed = _numbers(tags.get("bbl", ""))
    bad = tuple(i for i, good in enumerate(listed, 1) if good == 0) if len(listed) == dataset.count else ()
    lengths = tuple(_wavelength(dataset, band) for band in range(1, dataset.count + 1))
    return {
        "scales": scales,
        "offsets": offsets,
        "wavelengths": lengths if any(length is not None for length in lengths) else (),
        "bad_bands": bad if len(bad) < dataset.count else (),
    }


def _linear(dataset: Any, tags: dict[str, str]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Metadata on scales and offsets of the bands, by GDAL; else by tags common to all bands."""
    scales, offsets = tuple(map(float, dataset.scales)), tuple(map(float, dataset.offsets))
    if dataset.dtypes[0].startswith(("int", "uint")):
        # MODIS and VIIRS name what their numbers are divided by.
        scales = tuple(1 / scale if scale >= _DIVISOR else scale for scale in scales)
    if not _says_something(scales, offsets):
        scale, offset = _number(tags.get("scale_factor")), _number(tags.get("add_offset"))
        factor = _number(tags.get("reflectance_scale_factor"))  # of ENVI's header: what is divided by
        if scale is None and factor:
            scale = 1 / factor
        scales = (1.0 if scale is None else scale,) * dataset.count
        offsets = (0.0 if offset is None else offset,) * dataset.count
    return (scales, offsets) if _says_something(scales, offsets) else ((), ())


def _says_something(scales: tuple[float, ...], offsets: tuple[float, ...]) -> bool:
    """False for scale and offset metadata that are the identity or impossible: zero or not finite."""
    possible = all(math.isfinite(number) for number in (*scales, *offsets)) and all(scales)
    return possible and (any(scale != 1 for scale in scales) or any(offsets))


def _wavelength(dataset: Any, band: int) -> float | None:
    tags = dataset.tags(band)
    micrometres = dataset.tags(band, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM")
    if (length := _number(micrometres)) is not None:
        return length * 1000
    if (length := _number(tags.get("wavelength"))) is not None:
        unit = tags.get("wavelength_units") or tags.get("wavelength_unit") or ""
        # Without a unit: no band of an imaging spectrometer lies below 100 nm or above 100 um.
        return wavelength_in(f"{length} {unit}") or (length * 1000 if length < 100 else length)
    return wavelength_in(dataset.descriptions[band - 1] or "")


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _numbers(text: str) -> list[float]:
    """Numbers in a list of ENVI metadata: {1, 0, 1}."""
    return [float(number) for number in re.findall(r"[-+]?\d+(?:\.\d+)?", text)]
