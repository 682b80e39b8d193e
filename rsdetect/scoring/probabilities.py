"""Probabilities of a detector: scores are checked, and refused in one sentence."""

from __future__ import annotations

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.detectors.base import Scorer
from rsdetect.detectors.blame import REMEDY
from rsdetect.errors import DetectorError
from rsdetect.tiles import Tile


def as_scores(scorer: Scorer, given: object, pixels: Tile) -> Float32Array:
    """Probabilities that a scorer returned for `pixels`, as float32 of their shape."""
    scored = np.asarray(given)
    if scored.shape != pixels.valid.shape or scored.dtype.kind != "f":
        raise DetectorError(
            f"the detector {scorer.name} gave scores of shape {scored.shape} and type {scored.dtype} for a "
            f"tile of shape {pixels.valid.shape}, where floats are needed, one a pixel; {REMEDY}"
        )
    return scored.astype(np.float32, copy=False)


def require_probabilities(scorer: Scorer, scores: Float32Array) -> None:
    """Raise for probabilities of valid pixels, of any shape, that are NaN or outside [0, 1]."""
    if not scores.size:
        return
    least, most = scores.min(), scores.max()  # NaN if any is
    if not (least >= 0 and most <= 1):
        wrong = "NaN at valid pixels" if np.isnan(least) else f"values from {least:.4g} to {most:.4g}"
        raise DetectorError(
            f"the detector {scorer.name} gave {wrong} where a probability of 0 to 1 is needed; {REMEDY}"
        )
