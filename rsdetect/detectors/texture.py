"""Texture: change of the structure of the ground, independent of brightness.

At three scales the structure tensor of the smoothed grey image (Foerstner and Guelch 1987, "A fast operator
for detection and precise location of distinct points, corners and centres of circular features") gives the
energy and the direction of gradients, and the local deviation. Its features are compared between the
dates as structural similarity compares contrast and structure (Wang, Bovik, Sheikh and Simoncelli 2004,
"Image quality assessment: from error visibility to structural similarity"): by differences of logarithms,
and of normalised gradients. Each difference is normalised by its 75 % quantile over the scene. The mean of
the scales is the distance, Otsu's threshold its level.

The scales are Gaussians of about 1, 2 and 4 pixels (1.0, 1.8 and 3.5), the neighbourhoods 2.9 times as wide,
each on a grid of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.checks.scan import Scan
from rsdetect.detectors.base import Detector
from rsdetect.detectors.ratio import RatioScorer, Standard, distances, require_pixels, standards
from rsdetect.detectors.row_filters import (
    BINOMIAL,
    UNIFORM,
    Delay,
    Double,
    Held,
    Smooth,
    halve,
    quotients,
    surrounded,
)
from rsdetect.detectors.thresholds import find_level
from rsdetect.tiles import Tile

# Of each scale on its own grid, of 1, 2 and 4 pixels.
_GAUSSIANS = ((BINOMIAL, BINOMIAL), (BINOMIAL,), (BINOMIAL,))
_NEIGHBOURHOOD = (UNIFORM, UNIFORM, UNIFORM)  # on the next coarser grid
_SCALES = len(_GAUSSIANS)
_FEATURES = 4  # logarithms of energy and deviation, and the gradients' direction, twice
_FLOOR = 0.1  # share of a median, below which energy and deviation are equal
_SAMPLED = 250_000  # approximate number of places per scale for medians and quantiles
_LEAST_ENERGY = 1e-6  # of grey in standard deviations; keeps logarithms finite in flat areas
_LEAST_LEVEL = 0.5  # of the distance; lower than Otsu's with any change
_LEAST_SPREAD = 0.05  # of a feature: smaller differences are no change in any scene


@dataclass(frozen=True)
class Scale:
    """Fitted texture scale; pairs of numbers are one per date."""

    energy: tuple[float, float]  # medians
    deviation: tuple[float, float]
    middle: tuple[float, ...] = (0.0,) * _FEATURES  # median of the difference of each feature
    spread: tuple[float, ...] = (1.0,) * _FEATURES  # 75 % quantile of the distance from the median

    def features(self, means: Float32Array) -> Float32Array:
        """Differences of the texture features between the dates, (4, height, width).

        Parameters
        ----------
        means
            (10, height, width), of each date the means of gx², gy², gx gy, g and g² over the neighbourhood.
        """
        dates = []
        for date, (energy, deviation) in enumerate(zip(self.energy, self.deviation, strict=True)):
            gx2, gy2, gxy, grey, grey2 = means[5 * date : 5 * date + 5]
            total = gx2 + gy2
            features = np.empty((_FEATURES, *total.shape), np.float32)
            np.log(total + np.float32(_FLOOR * energy), out=features[0])
            np.log(_deviation(grey, grey2) + np.float32(_FLOOR * deviation), out=features[1])
            total += np.float32(energy)
            np.divide(gx2 - gy2, total, out=features[2])
            np.divide(2 * gxy, total, out=features[3])
            dates.append(features)
        dates[0] -= dates[1]
        return dates[0]

    def distance(self, means: Float32Array) -> Float32Array:
        """Texture distance: root mean square of the features in units of their spread, (1, height, width)."""
        away = self.features(means)
        away -= np.asarray(self.middle, np.float32)[:, None, None]
        away *= np.asarray(1 / np.asarray(self.spread), np.float32)[:, None, None]
        return np.asarray(np.sqrt(np.einsum("ijk,ijk->jk", away, away) / _FEATURES)[None])


@dataclass(frozen=True)
class TextureScorer(RatioScorer):
    """Scorer of a fitted comparison of textures."""

    before: Standard
    after: Standard
    scales: tuple[Scale, ...]
    level: float = 1.0
    slope: float = 2.0

    name = "texture"
    halo = 64
    stride = 2**_SCALES

    def rows(self) -> TextureRows:
        """Start the texture filters at the top of a strip."""
        return TextureRows(self)


class NeighbourhoodRows:
    """Texture filters: rows of both dates to neighbourhood means of each scale, on its coarser grid."""

    late = 5  # rows of the coarser grid, at every scale

    def __init__(self, before: Standard, after: Standard) -> None:
        self._dates = before, after
        self._scales = [_ScaleRows(*stencils) for stencils in _GAUSSIANS]

    def push(self, rows: Tile) -> list[Float32Array]:
        """Push rows; returns the texture means of each scale, (10, height, width), for `Scale.features`."""
        valid = rows.valid.astype(np.float32)[None]
        grey = [self._grey(rows, date) for date in (0, 1)]
        image = np.concatenate([grey * valid, valid])
        means = []
        for scale in self._scales:
            smooth, mean = scale.push(image, valid)
            means.append(mean)
            image, valid = halve(smooth), halve(valid)
        return means

    def _grey(self, rows: Tile, date: int) -> Float32Array:
        pixels = (rows.before, rows.after)[date]
        total = self._dates[date].apply(pixels, 0)
        for band in range(1, pixels.shape[0]):
            total += self._dates[date].apply(pixels, band)
        total *= np.float32(1 / pixels.shape[0])
        return total


class _ScaleRows:
    """Texture filters of one scale, on its grid.

    Smoothed rows have a delay of 2 at every scale, an even number, so that the grid can be halved; gradients
    have 4.
    """

    def __init__(self, *stencils: tuple[int, int, int]) -> None:
        self._smooth = Smooth(*stencils)
        self._grey = Held(3)
        self._valid = Delay(4)
        self._around = Smooth(*_NEIGHBOURHOOD)

    def push(self, image: Float32Array, valid: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Push rows: the smoothed image with its weights, (3, height, width), and its texture means.

        Parameters
        ----------
        image
            (3, height, width), grey of both dates and their weight.
        valid
            (1, height, width), the share of each pixel that is valid.
        """
        smooth = self._smooth.push(image)
        products = _products(self._grey.push(quotients(smooth)), self._valid.push(valid))
        return smooth, quotients(self._around.push(halve(products)))


def _products(grey: Float32Array, valid: Float32Array) -> Float32Array:
    """Texture products of each date: gx², gy², gx gy, g, g² and weight, (11, height, width), 2 rows late.

    The gradients are of two pixels, which medians and quantiles drop.

    Parameters
    ----------
    grey
        (2, height + 3, width) of both dates, three rows before.
    valid
        (1, height, width).
    """
    _, height, width = valid.shape
    centre = grey[:, 1 : height + 1]
    down = grey[:, 2 : height + 2] - grey[:, :height]
    across = np.zeros((2, height, width), np.float32)
    np.subtract(centre[..., 2:], centre[..., :-2], out=across[..., 1:-1])
    products = np.empty((11, height, width), np.float32)
    for date in (0, 1):
        gx2, gy2, gxy, plain, square = products[5 * date : 5 * date + 5]
        np.multiply(across[date], across[date], out=gx2)
        np.multiply(down[date], down[date], out=gy2)
        np.multiply(across[date], down[date], out=gxy)
        plain[:] = centre[date]
        np.multiply(plain, plain, out=square)
    products[:-1] *= valid
    products[-1] = valid[0]
    return products


class TextureRows:
    """Texture filters: rows of both dates to distances."""

    reach = 57  # by the coarsest scale: 2 + 2 + 8 to its gradients, 24 around, 14 between, 7 in its cell
    late = 54
    stride = TextureScorer.stride

    def __init__(self, scorer: TextureScorer) -> None:
        self._neighbourhoods = NeighbourhoodRows(scorer.before, scorer.after)
        self._scales = scorer.scales
        self._between = [Double() for _ in self._scales]
        # From the coarsest scale on, every doubling doubles the delay plus one.
        late, self._waiting = NeighbourhoodRows.late, [Delay(0)]
        for _ in self._scales[1:]:
            late = 2 * (late + Double.late)
            self._waiting.append(Delay(late - NeighbourhoodRows.late))
        assert self.late == 2 * (late + Double.late)

    def push(self, rows: Tile) -> Float32Array:
        """Push rows; returns texture distances of the rows `late` higher up, (height, width) float32."""
        means = self._neighbourhoods.push(rows)
        total: Float32Array | None = None
        for double, wait, scale, mean in zip(
            self._between, self._waiting, self._scales[::-1], means[::-1], strict=True
        ):
            distance = wait.push(scale.distance(mean))
            total = double.push(distance if total is None else total + distance)
        assert total is not None
        total *= np.float32(1 / _SCALES)
        distances: Float32Array = total[0]
        return distances


@dataclass(frozen=True)
class TextureDetector(Detector):
    """Comparison of textures of the mean of any bands, without training."""

    name = "texture"
    description = "Structure of gradients at three scales, whatever the brightness, by Otsu."
    passes = 3
    seconds_per_mpx = 0.11

    def fit(self, scan: Scan) -> TextureScorer:
        """Fit textures in three passes: scale of each date, medians and quantiles of features, level."""
        fitted = fit_texture(scan)
        level = find_level("otsu", *distances(scan, fitted))
        return replace(fitted, level=max(level, _LEAST_LEVEL))


def fit_texture(scan: Scan) -> TextureScorer:
    """Fit textures in two passes, with the level 1: the spread of the scene's own differences."""
    sample = require_pixels(scan)
    before, after = standards(scan, sample)
    seen = sum(block.height * block.width for block in scan.blocks)
    every = [max(1, (seen >> 2 * scale + 2) // _SAMPLED) | 1 for scale in range(_SCALES)]
    means = scan.reduce(lambda tile: _means(tile, before, after, every), _joined)
    return TextureScorer(before, after, tuple(_fitted(each) for each in means))


def _means(tile: Tile, before: Standard, after: Standard, every: list[int]) -> list[Float32Array]:
    """Texture means over some neighbourhoods of a tile, (10, places) for each scale."""
    grown = surrounded(tile, TextureRows.reach, TextureRows.stride)
    rows, cols = tile.read.slices_in(grown.read)
    means, valid = NeighbourhoodRows(before, after).push(grown), grown.valid.astype(np.float32)[None]
    found = []
    for mean, step in zip(means, every, strict=True):
        valid = halve(valid)
        size = grown.read.width // valid.shape[2]
        top, left = rows.start // size, cols.start // size
        inside = slice(top, -(-rows.stop // size)), slice(left, -(-cols.stop // size))
        late = slice(inside[0].start + NeighbourhoodRows.late, inside[0].stop + NeighbourhoodRows.late)
        places = np.flatnonzero(valid[0][inside])[::step]
        found.append(mean[:, late, inside[1]].reshape(len(mean), -1)[:, places])
    return found


def _joined(first: list[Float32Array], second: list[Float32Array]) -> list[Float32Array]:
    return [np.concatenate(both, axis=1) for both in zip(first, second, strict=True)]


def _fitted(means: Float32Array) -> Scale:
    """Fit the medians and quantiles of a texture scale from means (10, places)."""

    def least(values: Float32Array) -> float:
        return max(float(np.median(values)), _LEAST_ENERGY)

    energy = [least(means[start] + means[start + 1]) for start in (0, 5)]
    deviation = [least(_deviation(means[start + 3], means[start + 4])) for start in (0, 5)]
    unfitted = Scale((energy[0], energy[1]), (deviation[0], deviation[1]))
    features = unfitted.features(means[:, None]).reshape(_FEATURES, -1)
    middle = np.median(features, axis=1)
    spread = np.maximum(np.quantile(np.abs(features - middle[:, None]), 0.75, axis=1), _LEAST_SPREAD)
    return replace(unfitted, middle=tuple(map(float, middle)), spread=tuple(map(float, spread)))


def _deviation(mean: Float32Array, squares: Float32Array) -> Float32Array:
    deviation: Float32Array = np.sqrt(np.maximum(squares - mean * mean, np.float32(0)))
    return deviation
