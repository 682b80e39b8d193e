"""Log-ratio of radar images: how many times stronger or weaker an echo became.

Bazi, Bruzzone and Melgani (2005), "An unsupervised approach based on the generalized Gaussian model to
automatic change detection in multitemporal SAR images", IEEE Transactions on Geoscience and Remote Sensing
43(4):874-887. Speckle multiplies, so that powers are filtered and their logarithms compared; the threshold
is Otsu's, or that of least error between two generalised Gaussians where `level` asks for it. Several
polarisations count by the root of their mean square. docs/notes/methods.md has what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.checks.scan import Scan
from rsdetect.detectors.base import Detector
from rsdetect.detectors.ratio import RatioScorer, distances, require_pixels
from rsdetect.detectors.refined_lee import RefinedLee
from rsdetect.detectors.row_filters import UNIFORM, Smooth, quotients, surrounded
from rsdetect.detectors.thresholds import find_level, quantile, require_level
from rsdetect.errors import InputError
from rsdetect.stats import Histogram
from rsdetect.tiles import Tile

_SCALES = ("auto", "linear", "db")
_FILTERS = ("boxcar", "refined-lee")
_IN_DECIBELS = 0.01  # share of values below 0, from which on they are decibels: a power is never negative
_MOST_DECIBELS = np.float32(100)
_FLOOR = 1e-3  # of a band's mean power, below which echoes count as equal; of 0 there is no logarithm
_MOST_POWER = np.float32(1e12)
_MOST_SMOOTHING = 8
_LOGARITHMS = (-16.0, 4.0, 2000)  # bins of squared coefficients of variation
_SMOOTHINGS = (1, 2, 4, 8)  # boxcars that "auto" tries in order
_PIXELS_A_BOXCAR = 8.4  # of a Gaussian of the variance 2/3, whose mean varies as little: 4 pi times 2/3
# Deviations of the speckle in the log-ratio of unchanged ground, below which a threshold divides speckle.
_LEAST_DEVIATIONS = 3.0
# Below a quarter of a decibel's natural logarithm nothing changed, whatever parts the distances.
_LEAST_LEVEL = 0.06


@dataclass(frozen=True)
class LogRatioScorer(RatioScorer):
    """A fitted log-ratio."""

    decibels: bool  # whether pixel values are 10 log10 of the power
    floors: tuple[tuple[float, ...], tuple[float, ...]]  # least power that counts, of each date and band
    offset: tuple[float, ...]  # median of each band's log-ratio: another calibration is no change
    smoothing: int  # boxcars of 3 x 3 pixels in cascade
    # Squared coefficient of variation of each date's and band's speckle; None = no refined Lee filter.
    speckle: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    level: float = 1.0
    slope: float = 2.0

    name = "log-ratio"

    @property
    def halo(self) -> int:  # type: ignore[override]
        """Pixels that the filters see."""
        return self.smoothing + (0 if self.speckle is None else RefinedLee.reach)

    @property
    def bytes_per_pixel(self) -> int:  # type: ignore[override]
        """Of rows that are pushed: those of both dates, and the probability."""
        return 8 * len(self.offset) + 40

    def weighted(self, rows: Tile) -> Float32Array:
        """Power of both dates where valid, 0 elsewhere, and 1 where valid, (2 bands + 1, height, width)."""
        valid = rows.valid.astype(np.float32)[None]
        return np.concatenate([self.power(np.concatenate([rows.before, rows.after])) * valid, valid])

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
        self._lee = (
            None if scorer.speckle is None else RefinedLee(np.asarray(scorer.speckle, np.float32).ravel())
        )
        self._smooth = Smooth(*(UNIFORM,) * scorer.smoothing) if scorer.smoothing else None

    def push(self, rows: Tile) -> Float32Array:
        """(height, width) float32, of the rows `late` higher up."""
        weighted = self._scorer.weighted(rows)
        if self._lee is not None:
            weighted = self._lee.push(weighted)
        if self._smooth is not None:
            weighted = self._smooth.push(weighted)
        ratios = self._scorer.log_ratios(quotients(weighted))
        return np.asarray(np.sqrt(np.einsum("ijk,ijk->jk", ratios, ratios) / len(ratios)))


@dataclass(frozen=True)
class LogRatioDetector(Detector):
    """Log-ratio of radar images, of one polarisation or several.

    Parameters
    ----------
    scale
        What pixel values are: "linear" (power or amplitude), "db" (decibels), or "auto": decibels where
        values below 0 are common.
    filter
        "refined-lee", a refined Lee filter before the boxcars, or "boxcar": none.
    smoothing
        Boxcars of 3 x 3 pixels in cascade that speckle is averaged by, 0 to 8; "auto": as few as keep the
        level above three deviations of the speckle.
    level
        Rule for the distance from which on something changed, as `thresholds.require_level` takes it; a
        number is a natural logarithm: 0.69 is twice the power. Rules give no less than three deviations of
        the speckle.
    """

    scale: str = "auto"
    filter: str = "refined-lee"
    smoothing: int | str = "auto"
    level: str = "otsu"

    name = "log-ratio"
    description = "Radar: how many times stronger or weaker the echo became, in linear power or decibels."
    passes = 3
    seconds_per_mpx = 1.2  # of four bands, 0.3 of one

    def __post_init__(self) -> None:
        if self.scale not in _SCALES:
            raise InputError(f"scale={self.scale!r} is unknown; choose one of {', '.join(_SCALES)}.")
        if self.filter not in _FILTERS:
            raise InputError(f"filter={self.filter!r} is unknown; choose one of {', '.join(_FILTERS)}.")
        if self.smoothing != "auto" and self.smoothing not in range(_MOST_SMOOTHING + 1):
            raise InputError(
                f"smoothing={self.smoothing!r} is unknown; choose auto, or 0 to {_MOST_SMOOTHING} boxcars."
            )
        require_level(self.level)

    def fit(self, scan: Scan) -> LogRatioScorer:
        """Three passes: scale, floors and calibration from a sample, speckle, level; more by "auto"."""
        sample = require_pixels(scan)
        dates = sample.before, sample.after
        negative = max(float((date < 0).mean()) for date in dates)
        decibels = self.scale == "db" or (self.scale == "auto" and negative > _IN_DECIBELS)
        bands = len(sample.before)
        plain = LogRatioScorer(decibels, ((0.0,) * bands,) * 2, (0.0,) * bands, smoothing=0)
        before, after = (plain.power(date) for date in dates)
        floors = tuple(
            tuple(max(float(_FLOOR * band.mean(dtype=np.float64)), 1e-30) for band in date)
            for date in (before, after)
        )
        floored = replace(plain, floors=(floors[0], floors[1]))
        if scan.pair.normalisation.is_shared:
            return self._smoothed(scan, floored)
        ratios = floored.log_ratios(np.concatenate([before, after]))
        unfitted = replace(floored, offset=tuple(map(float, np.median(ratios, axis=1))))
        return self._smoothed(scan, unfitted)

    def _smoothed(self, scan: Scan, scorer: LogRatioScorer) -> LogRatioScorer:
        """The log-ratio with its filters and its level."""
        speckle = _speckle(scan, scorer)
        variation = sum(map(sum, speckle)) / len(scorer.offset)
        if self.filter == "refined-lee":
            scorer = replace(scorer, speckle=speckle)
        tried = (self.smoothing,) if isinstance(self.smoothing, int) else _SMOOTHINGS
        for smoothing in tried:
            scorer = replace(scorer, smoothing=smoothing)
            level = find_level(self.level, *distances(scan, scorer))
            # Without boxcars the rest of the speckle is unknown.
            deviation = (variation / (_PIXELS_A_BOXCAR * smoothing)) ** 0.5 if smoothing else 0.0
            if level >= _LEAST_DEVIATIONS * deviation:
                break
        if require_level(self.level)[0] != "fixed":
            level = max(level, _LEAST_DEVIATIONS * deviation, _LEAST_LEVEL)
        return replace(scorer, level=level)


def _speckle(scan: Scan, scorer: LogRatioScorer) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Speckle of each date's bands for the log-ratio: the median of local squared variation coefficients."""
    bands = len(scorer.offset)

    def measure(tile: Tile) -> list[Histogram]:
        weighted = scorer.weighted(surrounded(tile, RefinedLee.reach, 1))
        around = RefinedLee.reach
        variation = RefinedLee(np.zeros(2 * bands, np.float32)).variation(weighted)
        seen = variation[:, 2 * around :, around:-around][:, tile.valid]
        return [Histogram.of(np.log(each[each > 0]), *_LOGARITHMS) for each in seen]

    def merge(first: list[Histogram], second: list[Histogram]) -> list[Histogram]:
        return [Histogram.merge(*both) for both in zip(first, second, strict=True)]

    found = [
        float(np.exp(quantile(each.counts, each.centres, 0.5))) if each.counts.any() else 0.0
        for each in scan.reduce(measure, merge)
    ]
    return tuple(found[:bands]), tuple(found[bands:])
