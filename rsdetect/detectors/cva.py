"""Change vector analysis: displacement of each pixel in the space of its bands.

Malila (1980), "Change vector analysis: an approach for detecting forest changes with Landsat": the length
of the difference of the two dates' band vectors, and its direction as the sector of polygons. Here each
date's bands are first normalised to one radiometric scale, and the automatic threshold is the one of Otsu
(1979), "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9(1):62-66.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.checks.scan import Scan
from rsdetect.detectors.base import Detector, Scorer
from rsdetect.detectors.direction import Direction
from rsdetect.errors import NothingToCompare
from rsdetect.jsontypes import JsonObject
from rsdetect.stats import Histogram, measure_dates, robust_scale
from rsdetect.tiles import Tile

# Lengths beyond this many standard deviations are change at any threshold.
_LONGEST = 32.0
_BINS = 4096
# Limits of the slope of the probability over the logarithm of the length, from nearly constant to a step.
_SLOPES = (1.0, 20.0)
# Otsu always parts something, also the noise of two nearly identical dates. What moved by less than half of
# the spread of a band over the whole scene is no change that anybody looks for.
_LEAST_MIDPOINT = 0.5
_SHORTEST = 1e-3  # keeps the logarithm of an unchanged pixel finite


@dataclass(frozen=True)
class CvaScorer(Scorer):
    """Scorer of a fitted change vector analysis."""

    direction: Direction = field()  # without the default of the base class
    midpoint: float  # length of the change vector with probability 0.5, in standard deviations
    slope: float  # of the logit over the natural logarithm of the length

    name = "cva"
    import_bytes = 0

    def length(self, tile: Tile) -> Float32Array:
        """Length of the change vector, root of the sum over bands, (height, width) float32."""
        total = np.zeros(tile.valid.shape, dtype=np.float32)
        for band in range(len(tile.before)):
            moved = self.direction.component(tile.before[band], tile.after[band], band)
            total += moved * moved
        return np.sqrt(total, out=total)

    def score(self, tile: Tile) -> Float32Array:
        """Change probability 1 / (1 + (midpoint / length) ** slope), (height, width) float32."""
        ratio = np.float32(self.midpoint) / np.maximum(self.length(tile), np.float32(_SHORTEST))
        with np.errstate(over="ignore"):  # far below the midpoint the power is infinite, the probability 0
            return np.asarray(1 / (1 + ratio ** np.float32(self.slope)), dtype=np.float32)

    def provenance(self) -> JsonObject:
        """Provenance: name, threshold and fitted values."""
        moved = self.direction
        return {
            "name": "cva",
            "threshold": 0.5,
            "normalisation": {
                "before": {"centre": moved.before_centre, "scale": moved.before_scale},
                "after": {"centre": moved.after_centre, "scale": moved.after_scale},
            },
            "direction": moved.as_record(),
            "midpoint": self.midpoint,
            "slope": self.slope,
        }


@dataclass(frozen=True)
class CvaDetector(Detector):
    """Change vector analysis with an automatic threshold, for any number of any bands, without training."""

    name = "cva"
    description = "Change vector analysis: the length of the difference of the bands, threshold by Otsu."
    passes = 2
    seconds_per_mpx = 0.02  # docs/detectors.md has the conditions

    def fit(self, scan: Scan) -> CvaScorer:
        """Fit in two passes over the pair: radiometric scale of each date, then lengths of the vectors."""
        sample = scan.sample_pixels()
        if sample.count == 0:
            raise NothingToCompare(
                f"no pixel of {scan.pair.before.path} and {scan.pair.after.path} is valid on both dates."
            )
        before, after = measure_dates(sample, robust_scale, shared=scan.pair.normalisation.is_shared)
        direction = Direction(*before, *after)
        unfitted = CvaScorer(direction, 1.0, 1.0)

        def measure(tile: Tile) -> Histogram:
            return Histogram.of(unfitted.length(tile)[tile.valid], 0.0, _LONGEST, _BINS)

        midpoint, slope = _fit_probability(scan.reduce(measure, Histogram.merge))
        return CvaScorer(direction, midpoint, slope)


def _fit_probability(lengths: Histogram) -> tuple[float, float]:
    """Fit the probability of CVA lengths: midpoint by Otsu, slope by the linear discriminant.

    With two normal classes of equal variance in the logarithm of the length, the posterior is a logistic
    function with slope (difference of means) / (variance): Fisher (1936), "The use of multiple measurements
    in taxonomic problems".
    """
    from skimage.filters import threshold_otsu

    occupied = np.flatnonzero(lengths.counts)
    if occupied.size < 2:  # two identical dates: there is no threshold
        return _LONGEST, _SLOPES[1]
    threshold = float(threshold_otsu(hist=(lengths.counts, lengths.centres)))
    logs, counts = np.log(lengths.centres), lengths.counts.astype(np.float64)
    lower = lengths.centres <= threshold
    means, variance = [], 0.0
    for side in (lower, ~lower):
        mean = float(np.average(logs[side], weights=counts[side]))
        variance += float((counts[side] * (logs[side] - mean) ** 2).sum()) / counts.sum()
        means.append(mean)
    slope = (means[1] - means[0]) / max(variance, 1e-6)
    return max(threshold, _LEAST_MIDPOINT), float(np.clip(slope, *_SLOPES))
