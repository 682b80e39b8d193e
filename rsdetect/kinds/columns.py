"""Columns of polygons for the kind of change: names and probabilities, from the classes of their pixels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array, Int64Array
from rsdetect.kinds.classes import KIND_NAMES, LAND_NAMES, Kind, Land, kinds_of_codes
from rsdetect.regions.code_counts import CodeCounts

KIND_COLUMNS = (
    "kind",
    "kind_probability",
    "from_class",
    "from_probability",
    "to_class",
    "to_probability",
)
_LEAST = 0.35  # share of the pixels of a region that must have its kind


@dataclass(frozen=True)
class _Votes:
    """Most frequent value of each region."""

    value: Int64Array  # (regions,)
    share: Float64Array  # (regions,) of the region's pixels


def kind_columns(
    codes: CodeCounts, pixels: Int64Array, *, least: float = _LEAST, named: Collection[Kind] = tuple(Kind)
) -> dict[str, NDArray[Any]]:
    """Columns `kind`, `from_class`, `to_class` and their probabilities for regions.

    The kind is that of most pixels of a region, if it is that of 35 % of them; the classes are those of most
    pixels of this kind. A probability is the share of the region's pixels; NaN of what is unknown. A kind
    that is not to be named is unknown, with both classes, which would name it as well.

    Parameters
    ----------
    codes
        Pairs of land classes of the changed pixels of each region.
    pixels
        (regions,) number of changed pixels.
    least
        Share of a region's pixels that must have its kind.
    named
        Kinds that are named; others are unknown.
    """
    kind = _most_frequent(codes.owner, kinds_of_codes(codes.code), codes.count, pixels)
    unsure = kind.share < least
    withheld = ~unsure & ~np.isin(kind.value, [int(each) for each in named])
    chosen = np.where(unsure, int(Kind.UNKNOWN), kind.value)
    of_kind = unsure[codes.owner] | (kinds_of_codes(codes.code) == chosen[codes.owner])
    owner, code, count = (each[of_kind] for each in (codes.owner, codes.code, codes.count))
    before, after = np.divmod(code, len(Land))
    dates = [_most_frequent(owner, land, count, pixels) for land in (before, after)]
    chosen = np.where(withheld, int(Kind.UNKNOWN), chosen)
    classes = [np.where(withheld, int(Land.UNKNOWN), date.value) for date in dates]
    return {
        **_columns("kind", "kind", KIND_NAMES, chosen, kind.share, Kind.UNKNOWN),
        **_columns("from_class", "from", LAND_NAMES, classes[0], dates[0].share, Land.UNKNOWN),
        **_columns("to_class", "to", LAND_NAMES, classes[1], dates[1].share, Land.UNKNOWN),
    }


class KindCounts(TypedDict):
    """Changes of one kind, for the record of a run."""

    regions: int
    pixels: int
    area_m2: float | None  # None = the scenes have no CRS


def kind_summary(
    columns: dict[str, NDArray[Any]], area_m2: Float64Array, pixels: Int64Array
) -> dict[str, KindCounts]:
    """Changes by kind, those with most pixels first."""
    found = {}
    for kind in {*columns["kind"].tolist()}:
        here = columns["kind"] == kind
        area = float(area_m2[here].sum())
        found[kind] = KindCounts(
            regions=int(here.sum()),
            pixels=int(pixels[here].sum()),
            area_m2=None if np.isnan(area) else area,
        )
    return dict(sorted(found.items(), key=lambda each: (-each[1]["pixels"], each[0])))


def _columns(
    name: str, prefix: str, names: tuple[str, ...], value: Int64Array, share: Float64Array, unknown: int
) -> dict[str, NDArray[Any]]:
    return {
        name: np.array(names, dtype=np.object_)[value],
        f"{prefix}_probability": np.where(value == unknown, np.nan, share),
    }


def _most_frequent(
    owner: Int64Array, value: NDArray[np.integer], count: Int64Array, pixels: Int64Array
) -> _Votes:
    """Most frequent value of each region, the lowest of several; 0 of a region without any."""
    counts = CodeCounts.of(owner, value, count)
    order = np.lexsort((-counts.code, counts.count, counts.owner))
    last = order[np.flatnonzero(np.diff(counts.owner[order], append=-1))]
    best, most = np.zeros(pixels.size, np.int64), np.zeros(pixels.size, np.int64)
    best[counts.owner[last]], most[counts.owner[last]] = counts.code[last], counts.count[last]
    return _Votes(best, most / np.maximum(pixels, 1))
