"""Check that a third-party detector is repeatable: the same scores for the same tile."""

from __future__ import annotations

import numpy as np

from rsdetect.detectors.base import Scorer
from rsdetect.errors import DetectorError
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.core import score_core
from rsdetect.tiles import plan_tiles

_EDGE = 256  # pixels of the tile that is scored twice
_TOLERANCE = 0.005  # half a step of the raster


def require_repeatable(pair: Pair, scorer: Scorer) -> None:
    """Raise unless two scorings of the tile in the middle of a pair agree; scorers of rsdetect are trusted.

    Raises
    ------
    DetectorError
        The scores differ.
    """
    if type(scorer).__module__.partition(".")[0] == "rsdetect":
        return
    plan = plan_tiles(pair.grid, _EDGE, scorer.halo, scorer.stride)
    tile = plan.tile(plan.shape[0] // 2, plan.shape[1] // 2)
    first, second = (np.nan_to_num(score_core(pair, scorer, tile)) for _ in range(2))
    apart = float(np.abs(first - second).max())
    if apart > _TOLERANCE:
        raise DetectorError(
            f"the detector {scorer.name} gave other scores for the same tile the second time, up to "
            f"{apart:.2g} apart; remove what is random, or seed it in the fit, and try it with "
            "rsdetect check-detector."
        )
