"""Charts of the report page: histograms of the changes, and the measured displacements as arrows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rsdetect.geopackage.stored_changes import StoredChanges
from rsdetect.jobs.report.space import PageSpace
from rsdetect.pages.templates import area

_WIDTH, _HEIGHT = 320.0, 120.0  # of a chart, in its own units
_BINS = 10
_LONGEST = 0.14  # share of the map's width that the longest arrow takes


@dataclass(frozen=True)
class Bar:
    """Bar of a histogram."""

    x: float
    y: float
    width: float
    height: float
    tooltip: str


@dataclass(frozen=True)
class Histogram:
    """Histogram of the changes, with its text for readers who do not see it."""

    title: str
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]  # place along the axis, text
    text: str
    width: float = _WIDTH
    height: float = _HEIGHT


def histograms(changes: StoredChanges) -> list[Histogram]:
    """Histograms of the mean probability and of the area of all changes; none without a change."""
    if not len(changes):
        return []
    share = np.linspace(0, 1, _BINS + 1)
    percents = [f"{edge:.0%}" for edge in share]
    found = [_histogram("Mean probability", changes.probability_mean, share, percents)]
    placed = not np.isnan(changes.area_m2).any()
    sizes = changes.area_m2 if placed else changes.pixels.astype(np.float64)
    low, high = np.floor(np.log10(max(sizes.min(), 1e-3))), np.ceil(np.log10(max(sizes.max(), 1e-3)))
    edges = 10.0 ** np.arange(low, max(high, low + 1) + 0.5, 0.5)
    texts = [area(edge) if placed else f"{edge:,.0f} px" for edge in edges]
    return [*found, _histogram("Area" if placed else "Pixels", sizes, edges, texts)]


def _histogram(title: str, values: np.ndarray, edges: np.ndarray, texts: Sequence[str]) -> Histogram:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    width = _WIDTH / len(counts)
    scale = _HEIGHT / max(counts.max(), 1)
    spans = [f"{low} to {high}" for low, high in pairwise(texts)]
    bars = tuple(
        Bar(i * width, _HEIGHT - count * scale, width - 2, count * scale, f"{span}: {count:,}")
        for i, (count, span) in enumerate(zip(counts, spans, strict=True))
    )
    every = -(-len(texts) // 6)
    ticks = tuple((i * width, text) for i, text in enumerate(texts) if i % every == 0)
    text = "; ".join(f"{span}: {count:,}" for span, count in zip(spans, counts, strict=True) if count)
    return Histogram(title, bars, ticks, text)


@dataclass(frozen=True)
class ArrowMap:
    """Map of arrows over the outline of a scene, in units in which it is 320 wide at most."""

    width: float
    height: float
    arrows: tuple[tuple[float, float, float, float], ...]  # from x, y to x, y
    factor: float  # by which displacements are drawn larger


def arrow_map(space: PageSpace, vectors: Sequence[tuple[float, float, float, float]]) -> ArrowMap | None:
    """Map of displacements (row, column, rows, columns), drawn larger so that they are seen; None of none."""
    if not vectors:
        return None
    edge = max(space.grid.shape)
    scale = _WIDTH / edge
    places, moved = np.hsplit(np.array(vectors)[:, [1, 0, 3, 2]], 2)
    longest = float(np.hypot(*moved.T).max())
    factor = 10 ** np.floor(np.log10(_LONGEST * edge / longest)) if longest > 0 else 1.0
    ends = space.from_grid(places + factor * moved) * scale
    arrows = np.hstack([space.from_grid(places) * scale, ends])
    height, width = space.grid.shape
    return ArrowMap(width * scale, height * scale, tuple(map(tuple, arrows.tolist())), float(factor))
