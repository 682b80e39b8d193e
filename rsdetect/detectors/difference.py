"""Difference: how far the bands, or an index of them, moved, smoothed by a Gaussian of two pixels.

Singh (1989), "Digital change detection techniques using remotely-sensed data", International Journal of
Remote Sensing 10(6):989-1003: image differencing, of bands on one radiometric scale, and vegetation index
differencing. The distance is the root mean square of the bands, or the difference of the index as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.checks.scan import Scan
from rsdetect.detectors.base import Detector
from rsdetect.detectors.ratio import RatioScorer, Standard, distances, require_pixels, standards
from rsdetect.detectors.row_filters import BINOMIAL, Smooth, quotients
from rsdetect.detectors.thresholds import find_level, require_level
from rsdetect.errors import InputError
from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.indices import INDICES
from rsdetect.tiles import Tile

_SIGNS = {"both": 0, "gain": 1, "loss": -1}
_GAUSSIAN = (BINOMIAL,) * 8  # of sigma 2 pixels
# What moved less is no change whatever parts the distances: of bands in standard deviations, of an index.
_LEAST_LEVEL, _LEAST_INDEX_LEVEL = 0.25, 0.05


@dataclass(frozen=True)
class DifferenceScorer(RatioScorer):
    """A fitted difference."""

    index: str | None
    sign: int  # 1: only what rose; -1: only what fell; 0: both
    before: Standard
    after: Standard
    level: float = 1.0
    slope: float = 2.0

    name = "difference"
    halo = len(_GAUSSIAN)

    def rows(self) -> DifferenceRows:
        """The filters at the top of a strip."""
        return DifferenceRows(self)

    def moved(self, rows: Tile) -> Float32Array:
        """How far each band, or the index, moved, (bands or 1, height, width)."""
        if self.index is not None:
            return (_index(self.index, rows.after) - _index(self.index, rows.before))[None]
        return np.stack(
            [
                self.after.apply(rows.after, band) - self.before.apply(rows.before, band)
                for band in range(rows.before.shape[0])
            ]
        )


class DifferenceRows:
    """Rows of both dates to distances."""

    reach = late = DifferenceScorer.halo
    stride = 1

    def __init__(self, scorer: DifferenceScorer) -> None:
        self._scorer = scorer
        self._smooth = Smooth(*_GAUSSIAN)

    def push(self, rows: Tile) -> Float32Array:
        """(height, width) float32, of the rows `late` higher up."""
        valid = rows.valid.astype(np.float32)[None]
        moved = quotients(self._smooth.push(np.concatenate([self._scorer.moved(rows) * valid, valid])))
        if self._scorer.sign:
            return np.asarray(np.maximum(moved[0] * np.float32(self._scorer.sign), np.float32(0)))
        squares = np.einsum("ijk,ijk->jk", moved, moved)
        squares *= np.float32(1 / len(moved))
        return np.asarray(np.sqrt(squares))


@dataclass(frozen=True)
class DifferenceDetector(Detector):
    """Difference of bands, or of an index.

    Parameters
    ----------
    index
        ndvi, ndwi, mndwi, ndbi, nbr, bsi or ndsi, of bands by their names; None = all bands.
    sign
        "both", "gain" (only what rose from before to after) or "loss"; the latter of an index or one band.
    level
        Rule for the distance from which on something changed, as `thresholds.require_level` takes it; a
        number is in units of the index, or in standard deviations.
    """

    index: str | None = None
    sign: str = "both"
    level: str = "otsu"

    name = "difference"
    description = "Difference of the bands or of an index (NDVI, ...), also of one sign; any threshold."
    passes = 2
    seconds_per_mpx = 0.1

    def __post_init__(self) -> None:
        if self.index is not None and self.index not in INDICES:
            raise InputError(f"index={self.index!r} is unknown; choose one of {', '.join(INDICES)}.")
        if self.sign not in _SIGNS:
            raise InputError(f"sign={self.sign!r} is unknown; choose one of {', '.join(_SIGNS)}.")
        require_level(self.level)

    @property
    def bands(self) -> WantedBands | None:  # type: ignore[override]
        """Those of the index, by their names."""
        if self.index is None:
            return None
        first, second = INDICES[self.index]
        return WantedBands((*first, *second), len(first) + len(second), by_name=True)

    def fit(self, scan: Scan) -> DifferenceScorer:
        """Two passes: the scale of each date, and the level."""
        sample = require_pixels(scan)
        if self.sign != "both" and self.index is None and len(sample.before) != 1:
            raise InputError(
                f"sign={self.sign!r} needs an index or one band, and the pair has {len(sample.before)}; "
                "choose one with `bands`."
            )
        before, after = standards(scan, sample, Standard.of_moments)
        unfitted = DifferenceScorer(self.index, _SIGNS[self.sign], before, after)
        found = find_level(self.level, *distances(scan, unfitted))
        least = _LEAST_LEVEL if self.index is None else _LEAST_INDEX_LEVEL
        fixed = require_level(self.level)[0] == "fixed"
        return replace(unfitted, level=found if fixed else max(found, least))


def _index(name: str, pixels: Float32Array) -> Float32Array:
    """(height, width) float32 in [-1, 1], of the bands in the order of `DifferenceDetector.bands`; 0 of 0."""
    split = len(INDICES[name][0])
    first, second = pixels[:split].sum(axis=0), pixels[split:].sum(axis=0)
    total = first + second
    index: Float32Array = np.zeros_like(total)
    np.divide(first - second, total, out=index, where=total != 0)
    np.clip(index, -1, 1, out=index)
    return index
