"""Bootstrap confidence intervals of figures, resampled by place (cluster bootstrap)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsdetect.evaluation.figures import evaluation_figures
from rsdetect.evaluation.results import Interval
from rsdetect.evaluation.tally import Tally

DRAWS = 1000
_ENDS = (5.0, 95.0)  # percentiles of a 90 % interval

Draws = dict[str, NDArray[np.float64]]


def bootstrap_places(
    tallies: Sequence[Tally],
    places: Sequence[str],
    threshold: float,
    conditions: Sequence[str],
    seed: Sequence[int],
) -> Draws:
    """Compute all figures for 1000 cluster bootstrap resamples of places (Efron 1979).

    Pairs of one place are resampled together, because neighbouring scenes are correlated.

    Returns
    -------
    Figure -> (draws,), all NaN if there is only one place.
    """
    together: dict[str, list[Tally]] = defaultdict(list)
    for tally, place in zip(tallies, places, strict=True):
        together[place].append(tally)
    parts = [Tally.total(group) for group in together.values()]
    count = len(parts)
    times = np.random.default_rng(seed).multinomial(count, [1 / count] * count, DRAWS)
    drawn = evaluation_figures(Tally.drawn(parts, times), threshold, conditions)
    blank = np.nan if count == 1 else 0.0
    return {name: np.broadcast_to(figure, DRAWS) + blank for name, figure in drawn.items()}


def percentile_interval(value: float, draws: NDArray[np.float64]) -> Interval:
    """Bootstrap interval of a figure: the 5th and 95th percentile of its defined resamples."""
    defined = draws[~np.isnan(draws)]
    if not defined.size or np.isnan(value):
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.percentile(defined, _ENDS)
    return Interval(float(value), float(low), float(high))


def macro(figures: Sequence[dict[str, Interval]], draws: Sequence[Draws]) -> dict[str, Interval]:
    """Macro mean over sources with equal weights, with its bootstrap interval.

    Each figure is averaged over the sources in which it is defined. A source with one place enters the
    resamples as a constant, because its share of the interval is unknown.
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
        found[name] = percentile_interval(value, np.mean(each, axis=0) if known else np.full(DRAWS, np.nan))
    return found


def macro_several(
    figures: Sequence[dict[str, Interval]], draws: Sequence[Draws], several: Sequence[bool]
) -> dict[str, Interval]:
    """Macro mean over the sources with several scenes, with its bootstrap interval.

    A single scene would have a large effect on a mean of few sources.
    """
    chosen = [i for i, has_several in enumerate(several) if has_several]
    return macro([figures[i] for i in chosen], [draws[i] for i in chosen]) if chosen else {}
