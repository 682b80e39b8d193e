"""Settling a pair by its pixels (fill, empty bands) before anything is measured on it."""

from __future__ import annotations

from rsdetect.checks.empty_bands import leave_out_empty_bands
from rsdetect.checks.fill import settle_fill
from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.handles import with_gdal_environment
from rsdetect.scenes.pair import Pair, PairOptions, open_pair
from rsdetect.scenes.source import SceneLike


@with_gdal_environment
def open_settled(
    before: SceneLike, after: SceneLike, options: PairOptions, *, wanted: WantedBands | None = None
) -> Pair:
    """Open a pair like `open_pair` and settle it: without undeclared fill and without empty bands.

    Raises
    ------
    NothingToCompare
        A required band has only nodata; and the errors of `open_pair`.
    """
    pair = open_pair(before, after, options, wanted=wanted)
    required = len(pair.bands) if options.bands is not None else wanted.required if wanted else 0
    return settle(pair, required)


def settle(pair: Pair, required: int) -> Pair:
    """Settle an opened pair, of whose bands the first `required` must not be empty."""
    return settle_fill(leave_out_empty_bands(pair, required))
