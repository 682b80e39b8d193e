"""PCA and k-means: which of two kinds of difference the surroundings of a pixel show.

Celik (2009), "Unsupervised change detection in satellite images using principal component analysis and
k-means clustering", IEEE Geoscience and Remote Sensing Letters 6(4):772-776. The differences in 5 x 5 pixels
around each are projected on the components that hold nine tenths of their variance and belong to the nearer
of two clusters. The distance is that from the cluster without change over that from the other one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsdetect.arraytypes import Float32Array, Float64Array
from rsdetect.checks.scan import Scan
from rsdetect.detectors.base import Detector
from rsdetect.detectors.ratio import RatioScorer, Standard, require_pixels, standards
from rsdetect.detectors.row_filters import Held, surrounded
from rsdetect.tiles import Tile

_REACH = 2
_SIZE = 2 * _REACH + 1
_HELD_SHARE = 0.9  # of the variance that the components hold
_SAMPLED = 100_000  # patches that components and clusters are computed from, about
_ROUNDS = 100
# In standard deviations: clusters that are nearer are one kind of difference.
_LEAST_APART = 0.25
_LEAST = np.float32(1e-12)


@dataclass(frozen=True)
class PcaKmeansScorer(RatioScorer):
    """Fitted components and clusters."""

    before: Standard
    after: Standard
    components: tuple[tuple[float, ...], ...]  # (components, 25), over the patch in reading order
    unchanged: tuple[float, ...]  # centre of the cluster without change, one a component
    changed: tuple[float, ...]
    level: float = 1.0
    slope: float = 2.0

    name = "pca-kmeans"
    halo = _REACH

    def rows(self) -> PcaKmeansRows:
        """The filters at the top of a strip."""
        return PcaKmeansRows(self)


class PcaKmeansRows:
    """Rows of both dates to ratios of the distances from both clusters."""

    reach = late = _REACH
    stride = 1

    def __init__(self, scorer: PcaKmeansScorer) -> None:
        self._scorer = scorer
        self._components = np.asarray(scorer.components, np.float32).reshape(-1, _SIZE, _SIZE)
        self._held = Held(2 * _REACH)

    def push(self, rows: Tile) -> Float32Array:
        """(height, width) float32, of the rows `late` higher up."""
        joined = self._held.push(_differences(rows, self._scorer.before, self._scorer.after)[None])[0]
        height, width = rows.valid.shape
        wide = np.pad(joined, ((0, 0), (_REACH, _REACH)))
        features = np.zeros((len(self._components), height, width), np.float32)
        for row in range(_SIZE):
            for col in range(_SIZE):
                part = wide[row : row + height, col : col + width]
                for number, component in enumerate(self._components):
                    features[number] += part * component[row, col]
        squares = []
        for centre in (self._scorer.unchanged, self._scorer.changed):
            away = features - np.asarray(centre, np.float32)[:, None, None]
            squares.append(np.einsum("ijk,ijk->jk", away, away))
        return np.asarray(np.sqrt(squares[0] / np.maximum(squares[1], _LEAST)))


@dataclass(frozen=True)
class PcaKmeansDetector(Detector):
    """PCA and k-means; any number of any bands."""

    name = "pca-kmeans"
    description = "Two clusters of the differences around each pixel; a baseline of many papers."
    passes = 2
    seconds_per_mpx = 0.24

    def fit(self, scan: Scan) -> PcaKmeansScorer:
        """Two passes: the scale of each date, and a sample of patches."""
        sample = require_pixels(scan)
        before, after = standards(scan, sample, Standard.of_moments)
        seen = sum(block.height * block.width for block in scan.blocks)
        every = max(1, seen // _SAMPLED) | 1

        def measure(tile: Tile) -> Float32Array:
            return _patches(tile, before, after, every)

        patches = scan.reduce(measure, lambda first, second: np.concatenate([first, second]))
        components, unchanged, changed = two_clusters(patches.astype(np.float64))
        return PcaKmeansScorer(
            before,
            after,
            tuple(tuple(map(float, component)) for component in components),
            tuple(map(float, unchanged)),
            tuple(map(float, changed)),
        )


def two_clusters(patches: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Components of patches, (n, 25), and the centres of the lower and the higher of two clusters.

    Returns
    -------
    components, lower, higher
        (components, 25), (components,) and (components,).
    """
    variance, axes = np.linalg.eigh(np.cov(patches, rowvar=False, bias=True))
    share = variance[::-1].cumsum() / max(variance.sum(), 1e-30)
    components = axes[:, ::-1][:, : int(np.searchsorted(share, _HELD_SHARE)) + 1].T
    features = patches @ components.T
    level = patches.mean(axis=1)
    higher = level > (level.min() + level.max()) / 2
    for _ in range(_ROUNDS):
        if higher.all() or not higher.any():
            break
        centres = [features[side].mean(axis=0) for side in (~higher, higher)]
        squares = [((features - centre) ** 2).sum(axis=1) for centre in centres]
        nearer = squares[1] < squares[0]
        if (nearer == higher).all():
            break
        higher = nearer
    means = [patches[side].mean(axis=0) if side.any() else None for side in (~higher, higher)]
    if means[0] is None or means[1] is None or means[1].mean() - means[0].mean() < _LEAST_APART:
        # One kind of difference: change is what moved by half a standard deviation more.
        flat = np.full((1, patches.shape[1]), patches.shape[1] ** -0.5)
        middle = flat @ patches.mean(axis=0)
        return flat, middle, middle + 2 * _LEAST_APART * patches.shape[1] ** 0.5
    return components, components @ means[0], components @ means[1]


def _differences(rows: Tile, before: Standard, after: Standard) -> Float32Array:
    """Root mean square over the bands, (height, width) float32; 0 where not valid."""
    total = np.zeros(rows.valid.shape, np.float32)
    for band in range(len(rows.before)):
        moved = after.apply(rows.after, band) - before.apply(rows.before, band)
        total += moved * moved
    total *= np.float32(1 / len(rows.before))
    return np.asarray(np.sqrt(total) * rows.valid)


def _patches(tile: Tile, before: Standard, after: Standard, every: int) -> Float32Array:
    """The differences around each `every`-th valid pixel, (n, 25)."""
    grown = surrounded(tile, _REACH, 1)
    views = np.lib.stride_tricks.sliding_window_view(_differences(grown, before, after), (_SIZE, _SIZE))
    rows, cols = (places[::every] for places in np.nonzero(tile.valid))
    return views[rows, cols].reshape(-1, _SIZE * _SIZE)
