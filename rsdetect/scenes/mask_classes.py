"""Quality masks without a known name: their kind by classes of a catalogue, or by their values and bands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from rsdetect.scenes.failing_servers import GoneAway
from rsdetect.scenes.handles import GDAL_ERRORS, gone_away, open_raster, with_gdal_environment
from rsdetect.scenes.quality import MaskMeaning
from rsdetect.scenes.remote import patiently

_HIDES = re.compile(
    r"cloud|cirrus|shadow|snow|\bice\b|haze|no.?data|\bfill\b|saturat|defect|invalid|unusable|missing|dilated"
)
_KEEPS = re.compile(r"\b(?:not?|non|free|clear|low|topographic|terrain|cast|casted)\b|no.?data_?free")
_NODATA = re.compile(r"\bno.?data\b")
_SAMPLE = 512  # edge of the sample of a mask, in pixels
_LANDSAT_CLEAR = {21824, 21952}  # QA_PIXEL of clear land and clear water
_LEAST_PERCENTAGES = 20  # different values of a mask of probabilities


def classified_meaning(fields: Mapping[str, Any]) -> MaskMeaning | None:
    """Meaning of a mask by the classification extension of STAC; None where no class hides the ground.

    Parameters
    ----------
    fields
        Of an asset, or of its only band: `classification:classes` or `classification:bitfields`.

    >>> listed = [{"value": 0, "name": "no_data"}, {"value": 4, "name": "clear"}]
    >>> classified_meaning({"classification:classes": listed}).values
    (0,)
    """
    for each in (fields, *_bands(fields)):
        classes = each.get("classification:classes")
        if values := tuple(_hiding(classes or ())):
            return MaskMeaning(values=values)
        found = []
        for part in each.get("classification:bitfields") or ():
            if values := tuple(_hiding(part.get("classes") or (), str(part.get("name", "")))):
                found.append((int(part["offset"]), int(part["length"]), values))
        if found:
            return MaskMeaning(fields=tuple(found))
    return None


def _bands(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The only band of a mask's asset; none where it has several."""
    listed = fields.get("raster:bands") or fields.get("bands") or []
    return list(listed) if len(listed) == 1 else []


def _hiding(classes: Iterable[Mapping[str, Any]], field: str = "") -> Iterable[int]:
    """Values of a mask's classes that hide the ground; a class named yes or high counts by its `field`."""
    for each in classes:
        name = _words(str(each.get("name") or each.get("description") or ""))
        if name in ("yes", "true", "high", "set"):
            name = f"{_words(field)} {name}"
        hides = bool(_HIDES.search(name)) and (not _KEEPS.search(name) or bool(_NODATA.search(name)))
        if hides or each.get("nodata") is True:
            yield int(each["value"])


def _words(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.lower()).strip()


@with_gdal_environment
def kind_by_content(path: str) -> str | None:
    """Kind of a mask by its bands and values, of which a sample is read; None for one that may be several, or
    is damaged.

    - eight bands, of which the first is 0 or 1 and named clear or not at all: UDM2;
    - 21824 or 21952, clear land and water of Landsat's QA_PIXEL;
    - at least three values up to 11, some above 5, without 255: Sentinel-2's scene classification;
    - up to 100, some above 11, with many different values: a probability of cloud;
    - up to 5 with 1 and 5, without 255: Open Data Cube's Fmask;
    - up to 4, some above 1, with 255: Fmask.

    Raises
    ------
    SourceUnavailable
        It lies on another machine, which does not answer.
    """

    def sample() -> tuple[int, str, set[int]]:
        with open_raster(path) as dataset:
            shape = tuple(min(edge, _SAMPLE) for edge in dataset.shape)
            values = np.unique(dataset.read(1, out_shape=shape))
            return dataset.count, (dataset.descriptions[0] or "").lower(), set(values.tolist())

    try:
        count, first, values = patiently(path, sample, GDAL_ERRORS)
    except GoneAway as error:
        raise gone_away(f"the mask {path} cannot be read", error) from error
    except GDAL_ERRORS:
        return None  # the job, which reads all of it, names the damaged place
    if count == 8 and values <= {0, 1} and first in ("", "clear"):
        return "udm2"
    if values & _LANDSAT_CLEAR:
        return "landsat-qa"
    data = values - {255}
    if not data or min(data) < 0:
        return None
    highest = max(data)
    if 5 < highest <= 11 and 255 not in values and len(data) > 2:
        return "sentinel2-scl"
    if 11 < highest <= 100 and len(data) >= _LEAST_PERCENTAGES:
        return "cloud-probability"
    if highest == 5 and 255 not in values and 1 in data:
        return "oa-fmask"
    return "fmask" if values == data | {255} and 1 < highest <= 4 else None
