"""Normalising of a pair: a map from AFTER's values to BEFORE's, fitted to pixels that did not change.

`robust`: a line for each band, by iterated reweighting (Tukey's biweight) of the distances over all bands.
`irmad`: the same lines on the pixels that IR-MAD finds unchanged, after Canty and Nielsen (2008), "Automatic
radiometric normalization of multitemporal satellite imagery with the iteratively re-weighted MAD
transformation", Remote Sensing of Environment 112(3):1025-1036. `histogram`: equal quantiles of both dates.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rsdetect.arraytypes import Float32Array, Float64Array
from rsdetect.checks.scan import Scan
from rsdetect.detectors.irmad import canonical_variates
from rsdetect.errors import InputError
from rsdetect.scenes.normalisation import PairNormalisation
from rsdetect.stats import PixelSample, measure_dates, robust_scale

_SAMPLED_VALUES = 150_000  # of each date
_LEAST_PIXELS = 100
_FARTHEST = 1e3  # standard deviations, to which values are clipped
_MOST_GAIN = 1e9
_ROUNDS = 30
_STEADY = 1e-4  # change of the weights at which the iteration ends
_CORE = 0.3  # share of the pixels that surely did not change; the scale of noise is theirs
_CUT = 4.685  # deviations beyond which a pixel has no weight
_UNCHANGED = 0.9  # probability of no change from which a pixel counts for `irmad`
_LEAST_SHARE = 0.05  # of the pixels, the nearest, that count whatever their probability
_QUANTILES = 257
_Line = tuple[Float64Array, Float64Array]  # gain and offset of each band


def normalise(scan: Scan, method: str) -> Scan:
    """Scan of the pair of `scan` with its values normalised; `scan` itself for `percentile`.

    Raises
    ------
    InputError
        Too few pixels are valid on both dates.
    """
    if method == "percentile":
        return scan
    return scan.normalised(fit_normalisation(scan.sample_pixels(), method))


def fit_normalisation(sample: PixelSample, method: str) -> PairNormalisation:
    """Fit the map of a normalisation `method` to a sample of the pair."""
    if method in ("percentile", "none") or np.array_equal(sample.before, sample.after):
        return PairNormalisation(method)
    if sample.count < _LEAST_PIXELS:
        raise InputError(
            f"`normalise={method!r}` requires at least {_LEAST_PIXELS} pixels that are valid on both dates, "
            f"and the pair has {sample.count}; take `normalise='percentile'`."
        )
    if method == "histogram":
        return PairNormalisation(method, curves=tuple(_curves(sample)))
    thinned = sample.thinned(_SAMPLED_VALUES)
    (centres, scales), (after_centres, after_scales) = (
        tuple(map(np.asarray, each)) for each in measure_dates(thinned, robust_scale, shared=False)
    )
    before = _standard(thinned.before, centres, scales)
    after = _standard(thinned.after, after_centres, after_scales)
    if method == "robust":
        gains, offsets = _robust_lines(before, after)
    else:
        gains, offsets = _weighted_line(before, after, _unchanged(before, after))
    gains = np.clip(gains * scales / after_scales, 1 / _MOST_GAIN, _MOST_GAIN)
    offsets = centres + offsets * scales - gains * after_centres
    return PairNormalisation(method, tuple(map(float, gains)), tuple(map(float, offsets)))


def _standard(values: Float32Array, centres: Float64Array, scales: Float64Array) -> Float64Array:
    standard = (values.astype(np.float64) - centres[:, None]) / scales[:, None]
    return np.asarray(np.clip(standard, -_FARTHEST, _FARTHEST))


def _curves(sample: PixelSample) -> Iterator[tuple[tuple[float, float], ...]]:
    """Points (after, before) of each band at equal quantiles; beyond the ends, by the last difference."""
    shares = np.linspace(0, 1, _QUANTILES)
    for before, after in zip(sample.before, sample.after, strict=True):
        sources, first = np.unique(np.quantile(after.astype(np.float64), shares), return_index=True)
        targets = np.quantile(before.astype(np.float64), shares)
        # Of a value that spans several quantiles, as in bytes, their mean.
        ends = np.append(first[1:], _QUANTILES)
        means = [float(targets[i:j].mean()) for i, j in zip(first, ends, strict=True)]
        far = 1e3 * max(1.0, float(np.ptp(sources)))
        sources = np.concatenate([[sources[0] - far], sources, [sources[-1] + far]])
        yield tuple(zip(map(float, sources), [means[0] - far, *means, means[-1] + far], strict=True))


def _robust_lines(before: Float64Array, after: Float64Array) -> _Line:
    """Lines by iterated reweighting from several starts, of which that of the most unchanged pixels wins."""
    found = [_reweighted(before, after, start) for start in _starts(before, after)]
    noise = min(scale for _, scale in found)
    return max(
        (line for line, _ in found),
        key=lambda line: float(_weights(_distances(before, after, line), noise).sum()),
    )


def _starts(before: Float64Array, after: Float64Array) -> Iterator[_Line]:
    bands = len(before)
    for low, high in ((2, 98), (25, 75), (1, 60), (40, 99)):
        ends = [np.percentile(date, [low, high], axis=1) for date in (before, after)]
        gain = _ratio(*(end[1] - end[0] for end in ends))
        yield gain, ends[0][0] - gain * ends[1][0]
    yield np.ones(bands), np.zeros(bands)
    # Where half of the pixels changed, all of these start too far off.
    yield _weighted_line(before, after, _unchanged(before, after))


def _ratio(top: Float64Array, bottom: Float64Array) -> Float64Array:
    """Ratios of spreads; 1 where one of them is 0."""
    usable = (top > 0) & (bottom > 0)
    return np.asarray(np.where(usable, top / np.where(usable, bottom, 1), 1.0))


def _reweighted(before: Float64Array, after: Float64Array, line: _Line) -> tuple[_Line, float]:
    """Line and scale of noise when the weights stand."""
    last = np.zeros(before.shape[1])
    noise = 0.0
    for _ in range(_ROUNDS):
        squares = _distances(before, after, line)
        noise = _noise(squares, len(before))
        weights = _weights(squares, noise)
        if np.abs(weights - last).mean() < _STEADY:
            break
        line, last = _weighted_line(before, after, weights), weights
    return line, noise


def _distances(before: Float64Array, after: Float64Array, line: _Line) -> Float64Array:
    gain, offset = line
    moved = after * gain[:, None] + offset[:, None] - before
    return np.asarray((moved**2).sum(axis=0))


def _noise(squares: Float64Array, bands: int) -> float:
    """Variance of unchanged pixels, from the smallest distances alone."""
    from scipy.special import chdtri

    return float(np.quantile(squares, _CORE) / chdtri(bands, 1 - _CORE)) + 1e-12


def _weights(squares: Float64Array, noise: float) -> Float64Array:
    return np.asarray(np.maximum(1 - squares / (noise * _CUT**2), 0) ** 2)


def _weighted_line(before: Float64Array, after: Float64Array, weights: Float64Array) -> _Line:
    """Reduced major axis of each band: symmetric in the dates, and not flattened by noise."""
    centres = [np.average(date, axis=1, weights=weights) for date in (before, after)]
    spreads = [
        np.sqrt(np.average((date - centre[:, None]) ** 2, axis=1, weights=weights))
        for date, centre in zip((before, after), centres, strict=True)
    ]
    gain = _ratio(*spreads)
    return gain, centres[0] - gain * centres[1]


def _unchanged(before: Float64Array, after: Float64Array) -> Float64Array:
    """1 where IR-MAD finds no change, else 0, (n,); the iteration may end with hardly any pixel above 0."""
    from scipy.special import chdtri

    variates = canonical_variates(before, after)
    squares = ((variates[:, :1] + variates[:, 1:] @ np.concatenate([before, after])) ** 2).sum(axis=0)
    level = max(float(chdtri(max(1, len(variates)), _UNCHANGED)), float(np.quantile(squares, _LEAST_SHARE)))
    return np.asarray(squares <= level, np.float64)
