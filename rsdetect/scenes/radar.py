"""Radar scenes, recognised by their names and tags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rsdetect.scenes.header import Header

_POLARISATIONS = frozenset(("vv", "vh", "hh", "hv"))


def is_radar(header: Header) -> bool:
    """Whether names or tags of a scene are those of radar; one band of float32 is not enough.

    Polarisations as band names, STAC's `sar:` fields, or Sentinel-1 in a tag or in the file name.
    """
    return is_radar_by(header.names, header.path, header.tags)


def is_radar_by(names: Iterable[str], path: str, tags: Mapping[str, str] | None = None) -> bool:
    """Whether band names, a path or tags are those of radar, as `is_radar`."""
    if any(_POLARISATIONS & set(re.split(r"[^a-z0-9]+", name.lower())) for name in names):
        return True
    stem = re.split(r"[\\/]", path)[-1].lower()
    if re.match(r"s1[abcd]?[_-]", stem) or re.search(r"(^|[_-])(vv|vh|hh|hv)([_.-]|$)", stem):
        return True
    told = " ".join(f"{key}={value}" for key, value in (tags or {}).items()).lower()
    # GDAL stores the tag sar:product_type=GRD under the name sar.
    return re.search(r"\bsar[:=]|sentinel-?1(?!\d)", told) is not None
