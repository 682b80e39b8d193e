"""Log-ratio: how many times stronger or weaker a radar echo became.

Bazi, Bruzzone and Melgani (2005), "An unsupervised approach based on the generalized Gaussian model to
automatic change detection in multitemporal SAR images", IEEE Transactions on Geoscience and Remote Sensing
43(4):874-887. Speckle multiplies, so that powers are averaged and their logarithms compared; the threshold
is Otsu's, or that of least error between two generalised Gaussians where `level` asks for it. Several
polarisations count by the root of their mean square.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.checks.scan import Scan
from rsdetect.detectors.base import Detector
from rsdetect.detectors.ratio import RatioScorer, distances, require_pixels
from rsdetect.detectors.row_filters import UNIFORM, Smooth, quotients
from rsdetect.detectors.thresholds import find_level, require_level
from rsdetect.errors import InputError
from rsdetect.tiles import Tile

_SCALES = ("auto", "linear", "db")
_IN_DECIBELS = 0.01  # share of values below 0, from which on they are decibels: a power is never negative
_MOST_DECIBELS = np.float32(100)
_FLOOR = 1e-3  # of a band's mean power, below which echoes count as equal; of 0 there is no logarithm
_MOST_POWER = np.float32(1e12)
_MOST_SMOOTHING = 8
# Below a quarter of a decibel's natural logarithm nothing changed, whatever parts the distances.
_LEAST_LEVEL = 0.06


@dataclass(frozen=True)
class LogRatioScorer(RatioScorer):
    """A fitted log-ratio."""

    decibels: bool  # whether pixel values are 10 log10 of the power
    floors: tuple[tuple[float, ...], tuple[float, ...]]  # least power that counts, of each date and band
    offset: tuple[float, ...]  # median of each band's log-ratio: another calibration is no change
    smoothing: int  # boxcars of 3 x 3 pixels in cascade
    level: float = 1.0
    slope: float = 2.0

    name = "log-ratio"

    @property
    def halo(self) -> int:  # type: ignore[override]
        """Pixels that the boxcars see."""
        return self.smoothing

    @property
    def bytes_per_pixel(self) -> int:  # type: ignore[override]
        """Of rows that are pushed: those of both dates, and the probability."""
        return 8 * len(self.offset) + 40

    def rows(self) -> LogRatioRows:
        """The filters at the top of a strip."""
        return LogRatioRows(self)

    def power(self, pixels: Float32Array) -> Float32Array:
        """Power of raw pixel values, any shape."""
        if self.decibels:
            pixels = np.exp(np.clip(pixels, -_MOST_DECIBELS, _MOST_DECIBELS) * np.float32(np.log(10) / 10))
        return np.clip(pixels, np.float32(0), _MOST_POWER)

    def log_ratios(self, powers: Float32Array) -> Float32Array:
        """Logarithm of after over before, (bands, ...), of powers before and after, (2 bands, ...)."""
        shape = (-1, *(1,) * (powers.ndim - 1))
        logs = np.log(np.maximum(powers, np.asarray(self.floors, np.float32).reshape(shape)))
        bands = len(self.offset)
        return np.asarray(logs[bands:] - logs[:bands] - np.asarray(self.offset, np.float32).reshape(shape))


class LogRatioRows:
    """Rows of both dates to distances."""

    stride = 1

    def __init__(self, scorer: LogRatioScorer) -> None:
        self.reach = self.late = scorer.halo
        self._scorer = scorer
        self._smooth = Smooth(*(UNIFORM,) * scorer.smoothing) if scorer.smoothing else None

    def push(self, rows: Tile) -> Float32Array:
        """(height, width) float32, of the rows `late` higher up."""
        powers = self._scorer.power(np.concatenate([rows.before, rows.after]))
        if self._smooth is not None:
            valid = rows.valid.astype(np.float32)[None]
            powers = quotients(self._smooth.push(np.concatenate([powers * valid, valid])))
        ratios = self._scorer.log_ratios(powers)
        return np.asarray(np.sqrt(np.einsum("ijk,ijk->jk", ratios, ratios) / len(ratios)))


@dataclass(frozen=True)
class LogRatioDetector(Detector):
    """Log-ratio of radar images, of one polarisation or several.

    Parameters
    ----------
    scale
        What pixel values are: "linear" (power or amplitude), "db" (decibels), or "auto": decibels where
        values below 0 are common.
    smoothing
        Boxcars of 3 x 3 pixels in cascade that speckle is averaged by; 0 = none.
    level
        Rule for the distance from which on something changed, as `thresholds.require_level` takes it; a
        number is a natural logarithm: 0.69 is twice the power.
    """

    scale: str = "auto"
    smoothing: int = 2
    level: str = "otsu"

    name = "log-ratio"
    description = "Radar: how many times stronger or weaker the echo became, in linear power or decibels."
    passes = 2
    seconds_per_mpx = 0.08

    def __post_init__(self) -> None:
        if self.scale not in _SCALES:
            raise InputError(f"scale={self.scale!r} is unknown; choose one of {', '.join(_SCALES)}.")
        if not 0 <= self.smoothing <= _MOST_SMOOTHING:
            raise InputError(f"smoothing={self.smoothing} is out of range; choose 0 to {_MOST_SMOOTHING}.")
        require_level(self.level)

    def fit(self, scan: Scan) -> LogRatioScorer:
        """Two passes: scale, floors and calibration from a sample, and the level."""
        sample = require_pixels(scan)
        dates = sample.before, sample.after
        negative = max(float((date < 0).mean()) for date in dates)
        decibels = self.scale == "db" or (self.scale == "auto" and negative > _IN_DECIBELS)
        bands = len(sample.before)
        plain = LogRatioScorer(decibels, ((0.0,) * bands,) * 2, (0.0,) * bands, self.smoothing)
        before, after = (plain.power(date) for date in dates)
        floors = tuple(
            tuple(max(float(_FLOOR * band.mean(dtype=np.float64)), 1e-30) for band in date)
            for date in (before, after)
        )
        floored = replace(plain, floors=(floors[0], floors[1]))
        ratios = floored.log_ratios(np.concatenate([before, after]))
        unfitted = replace(floored, offset=tuple(map(float, np.median(ratios, axis=1))))
        found = find_level(self.level, *distances(scan, unfitted))
        fixed = require_level(self.level)[0] == "fixed"
        return replace(unfitted, level=found if fixed else max(found, _LEAST_LEVEL))
