"""Comparison of two evaluations of the same pairs: their differences and the intervals of these.

The bootstrap resamples the same places in both evaluations. Places that are difficult for one are difficult
for the other, so that the interval of the difference is narrower than the two intervals suggest.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from rsdetect.errors import InputError
from rsdetect.evaluation.bootstrap import (
    DRAWS,
    Draws,
    bootstrap_places,
    macro,
    macro_several,
    percentile_interval,
)
from rsdetect.evaluation.figures import evaluation_figures
from rsdetect.evaluation.output_files import RECORD
from rsdetect.evaluation.results import Interval
from rsdetect.evaluation.tally import Tally
from rsdetect.reading import read_text
from rsdetect.schema import COMPARISON, EVALUATION, require_known

FIGURES = (
    "f1",
    "f1_best",
    "average_precision",
    "calibration_error",
    "objects_found",
    "false_regions_per_mpx",
    "boundary_f1",
    "false_alarm_share",
)


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """Row of a comparison: a source, or a mean over sources, in both evaluations."""

    name: str
    first: dict[str, float]  # figure -> value, see FIGURES
    second: dict[str, float]
    difference: dict[str, Interval]  # second minus first


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Comparison of two evaluations: sources, their macro mean, and that over sources of several pairs."""

    first: dict[str, Any]  # detector, as in its evaluation
    second: dict[str, Any]
    rows: tuple[ComparedRow, ...]
    seed: int
    draws: int

    def as_json(self) -> dict[str, Any]:
        """Comparison in JSON types; undefined values are NaN here and null in print."""
        return {"rsdetect": "comparison", "schema": COMPARISON, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class _ComparedSource:
    """Source of a comparison, read from an `evaluation.json`."""

    name: str
    threshold: float
    scenes: dict[str, tuple[str, Tally]]  # name -> (place, counts)

    def draws(self, seed: tuple[int, int]) -> tuple[dict[str, float], Draws]:
        """Figures of a source for the comparison, and those of all bootstrap resamples of its places."""
        places, tallies = zip(*(self.scenes[name] for name in sorted(self.scenes)), strict=True)
        figures = evaluation_figures(Tally.total(tallies), self.threshold, ())
        drawn = bootstrap_places(tallies, places, self.threshold, (), seed)
        return {name: float(figures[name]) for name in FIGURES}, {name: drawn[name] for name in FIGURES}


def compare(first: str | Path, second: str | Path, *, seed: int = 0) -> Comparison:
    """Comparison of two evaluations of the same pairs."""
    (one, sources), (other, others) = _read_evaluation(Path(first)), _read_evaluation(Path(second))
    _require_same_pairs(sources, others, f"{first} and {second}")
    rows, differences = [], []
    for number, (a, b) in enumerate(zip(sources, others, strict=True)):
        (figures_a, drawn_a), (figures_b, drawn_b) = (source.draws((seed, number)) for source in (a, b))
        drawn = {name: drawn_b[name] - drawn_a[name] for name in FIGURES}
        difference = {
            name: percentile_interval(figures_b[name] - figures_a[name], drawn[name]) for name in FIGURES
        }
        rows.append(ComparedRow(name=a.name, first=figures_a, second=figures_b, difference=difference))
        differences.append(drawn)
    several = [len(source.scenes) > 1 for source in sources]
    return Comparison(
        first=one,
        second=other,
        rows=(*rows, *_comparison_means(rows, differences, several)),
        seed=seed,
        draws=DRAWS,
    )


def _comparison_means(
    rows: Sequence[ComparedRow], drawn: Sequence[Draws], several: Sequence[bool]
) -> list[ComparedRow]:
    """Rows of a comparison with the means over sources."""
    if len(rows) < 2:
        return []
    differences = [row.difference for row in rows]
    means = [("mean of sources", [True] * len(rows), macro(differences, drawn))]
    if any(several) and not all(several):
        means.append(("of several pairs", list(several), macro_several(differences, drawn, several)))
    return [
        ComparedRow(
            name=name,
            first=_mean_figures([row.first for row, is_in in zip(rows, chosen, strict=True) if is_in]),
            second=_mean_figures([row.second for row, is_in in zip(rows, chosen, strict=True) if is_in]),
            difference=difference,
        )
        for name, chosen, difference in means
    ]


def _mean_figures(figures: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each figure of the comparison over the sources in which it is defined."""
    found = {}
    for name in FIGURES:
        defined = [source[name] for source in figures if not np.isnan(source[name])]
        found[name] = float(np.mean(defined)) if defined else float("nan")
    return found


def _read_evaluation(path: Path) -> tuple[dict[str, Any], list[_ComparedSource]]:
    """Read the detector and sources of an evaluation for the comparison."""
    path = path / RECORD if path.is_dir() else path
    try:
        content = json.loads(read_text(path, "an evaluation"))
        require_known(content, EVALUATION, path)
        sources = [_evaluation_source(entry, content["threshold"]) for entry in content["sources"]]
        return content["detector"], sorted(sources, key=lambda source: source.name)
    except ValueError as error:
        raise InputError(f"{path} cannot be read as an evaluation: {error}.") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not an evaluation with the counts of its pairs (no {error}); evaluate again."
        ) from error


def _evaluation_source(entry: dict[str, Any], threshold: float) -> _ComparedSource:
    """Source of a comparison from its JSON."""
    scenes = {scene["name"]: (scene["place"], _tally_from_json(scene["tally"])) for scene in entry["scenes"]}
    return _ComparedSource(name=entry["name"], threshold=threshold, scenes=scenes)


def _tally_from_json(counts: dict[str, Any]) -> Tally:
    """Counts of a pair in a comparison from JSON, without shifted scenes, which the other may lack."""
    arrays = {
        field.name: np.asarray(np.nan if counts[field.name] is None else counts[field.name])
        for field in fields(Tally)
    }
    none = np.zeros((0, len(counts["changed"])), np.int64)
    return Tally(**arrays | {"shifted_changed": none, "shifted_unchanged": none})


def _require_same_pairs(one: Sequence[_ComparedSource], other: Sequence[_ComparedSource], where: str) -> None:
    """Require equal sources, pairs, places and pixels in both evaluations of a comparison."""
    names = [{source.name for source in sources} for sources in (one, other)]
    if odd := sorted(names[0] ^ names[1]):
        raise InputError(f"{where} have different sources: one of them lacks {odd[0]}.")
    for a, b in zip(one, other, strict=True):
        if odd := sorted(a.scenes.keys() ^ b.scenes.keys()):
            raise InputError(f"{where} have different pairs: one of them lacks {a.name}/{odd[0]}.")
        for name, (place, tally) in a.scenes.items():
            if place != b.scenes[name][0]:
                raise InputError(
                    f"{where} group pairs into places differently: {a.name}/{name} belongs to {place} in one "
                    f"and to {b.scenes[name][0]} in the other."
                )
            if tally.pixels != b.scenes[name][1].pixels:
                raise InputError(f"{where} count different pixels of {a.name}/{name}.")
