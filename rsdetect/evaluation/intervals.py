"""Intervals by bootstrap over places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsdetect.evaluation.figures import figures_of
from rsdetect.evaluation.results import Interval
from rsdetect.evaluation.tally import Tally

DRAWS = 1000
_ENDS = (5.0, 95.0)  # percentiles: nine draws of ten lie between

Draws = dict[str, NDArray[np.float64]]


def draw_places(
    tallies: Sequence[Tally],
    places: Sequence[str],
    threshold: float,
    shifts_px: Sequence[float],
    seed: Sequence[int],
) -> Draws:
    """Every figure for 1000 draws of as many places as there are, with replacement (Efron 1979).

    Pairs of one place are drawn together: what is near is alike, and says little more than one of them.

    Returns
    -------
    Figure -> (draws,), all NaN where there is one place and nothing to draw from.
    """
    together: dict[str, list[Tally]] = defaultdict(list)
    for tally, place in zip(tallies, places, strict=True):
        together[place].append(tally)
    parts = [Tally.total(group) for group in together.values()]
    count = len(parts)
    times = np.random.default_rng(seed).multinomial(count, [1 / count] * count, DRAWS)
    drawn = figures_of(Tally.drawn(parts, times), threshold, shifts_px)
    blank = np.nan if count == 1 else 0.0
    return {name: np.broadcast_to(figure, DRAWS) + blank for name, figure in drawn.items()}


def with_ends(value: float, draws: NDArray[np.float64]) -> Interval:
    """A figure between the 5th and 95th percentile of those of its draws in which it is defined."""
    defined = draws[~np.isnan(draws)]
    if not defined.size or np.isnan(value):
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.percentile(defined, _ENDS)
    return Interval(float(value), float(low), float(high))


def macro(figures: Sequence[dict[str, Interval]], draws: Sequence[Draws]) -> dict[str, Interval]:
    """The mean over sources, each counting the same; a figure that a source has not is of the others' mean.

    A source of one place counts in the draws as it is: its share of the interval is not known.
    """
    found = {}
    for name in figures[0]:
        values = [source[name].value for source in figures]
        each = [
            np.where(np.isnan(drawn[name]), value, drawn[name])
            for drawn, value in zip(draws, values, strict=True)
            if not np.isnan(value)
        ]
        if not each:
            found[name] = Interval(float("nan"), float("nan"), float("nan"))
            continue
        value = float(np.mean([value for value in values if not np.isnan(value)]))
        known = any(not np.isnan(drawn[name]).all() for drawn in draws)
        found[name] = with_ends(value, np.mean(each, axis=0) if known else np.full(DRAWS, np.nan))
    return found


def macro_several(
    figures: Sequence[dict[str, Interval]], draws: Sequence[Draws], several: Sequence[bool]
) -> dict[str, Interval]:
    """The mean over the sources of several scenes: a single scene moves a mean of few sources by much."""
    chosen = [i for i, has_several in enumerate(several) if has_several]
    return macro([figures[i] for i in chosen], [draws[i] for i in chosen]) if chosen else {}
