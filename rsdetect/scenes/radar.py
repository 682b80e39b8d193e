"""Radar scenes, recognised by their names and tags."""

from __future__ import annotations

import re

from rsdetect.scenes.header import Header

_POLARISATIONS = frozenset(("vv", "vh", "hh", "hv"))


def is_radar(header: Header) -> bool:
    """Whether names or tags of a scene are those of radar; one band of float32 is not enough.

    Polarisations as band names, STAC's `sar:` fields, or Sentinel-1 in a tag or in the file name.
    """
    if any(name.lower() in _POLARISATIONS for name in header.names):
        return True
    stem = re.split(r"[\\/]", header.path)[-1].lower()
    if re.match(r"s1[abcd]?[_-]", stem) or re.search(r"(^|[_-])(vv|vh|hh|hv)([_.-]|$)", stem):
        return True
    tags = " ".join(f"{key}={value}" for key, value in header.tags.items()).lower()
    # GDAL stores the tag sar:product_type=GRD under the name sar.
    return re.search(r"\bsar[:=]|sentinel-?1(?!\d)", tags) is not None
