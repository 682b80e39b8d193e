"""Check of a pair without scoring it."""

from __future__ import annotations

import logging
from typing import Unpack

import rasterio

from rsdetect.checks.report import CheckReport, check_pair
from rsdetect.checks.settle import open_settled
from rsdetect.devices import usable_cores
from rsdetect.jobs.options import DetectOptions
from rsdetect.jobs.prepare import register
from rsdetect.memory import GDAL_CACHE_BYTES
from rsdetect.scenes.pair import Pair, PairKeywords, PairOptions
from rsdetect.scenes.source import SceneLike
from rsdetect.scenes.verify import verify_scenes
from rsdetect.validation import refuse_unknown

_log = logging.getLogger(__name__)


def check(
    before: SceneLike, after: SceneLike, *, deep: bool = False, **options: Unpack[PairKeywords]
) -> CheckReport:
    """Check a pair without scoring it: grids, overlap, valid share, band statistics, shift.

    Parameters
    ----------
    deep
        Verify the checksums or lengths of all blocks of the scenes first.
    """
    refuse_unknown(options, PairKeywords)
    return run_check(before, after, DetectOptions.from_keywords(**options).pair, deep=deep)


def run_check(
    before: SceneLike, after: SceneLike, options: PairOptions, *, deep: bool = False
) -> CheckReport:
    """Run `check` with its options in groups."""
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        pair = open_settled(before, after, options)
        if deep:
            verify_blocks(pair)
        pair, _ = register(pair, wanted=options.register)
        return check_pair(pair, usable_cores())


def verify_blocks(pair: Pair) -> None:
    """Verify the blocks of a pair's files; warn where the codec has no checksum."""
    for found in verify_scenes((pair.before, pair.after), usable_cores()):
        if found.doubt:
            _log.warning(found.doubt)
