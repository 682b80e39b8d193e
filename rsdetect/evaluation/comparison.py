"""Two evaluations of the same pairs: how far they differ, and how sure that is.

Both are drawn together: a draw takes the same places for both. What is hard in a place is hard for both, so
that the interval of their difference is narrower than the intervals of either lead one to expect.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from rsdetect.errors import InputError
from rsdetect.evaluation.figures import figures_of
from rsdetect.evaluation.intervals import DRAWS, Draws, draw_places, macro, macro_several, with_ends
from rsdetect.evaluation.results import Interval
from rsdetect.evaluation.tally import Tally
from rsdetect.evaluation.write import RECORD
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
class Compared:
    """A source, or the mean over several, in both evaluations."""

    name: str
    first: dict[str, float]  # figure -> value, see FIGURES
    second: dict[str, float]
    difference: dict[str, Interval]  # the second less the first


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All sources, then their macro mean, and that over the sources of several pairs where it is another."""

    first: dict[str, Any]  # detector, as its evaluation has it
    second: dict[str, Any]
    rows: tuple[Compared, ...]
    seed: int
    draws: int

    def as_json(self) -> dict[str, Any]:
        """JSON types only; what is not defined is NaN here and null in print."""
        return {"rsdetect": "comparison", "schema": COMPARISON, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class _Source:
    """What an `evaluation.json` holds of a source."""

    name: str
    threshold: float
    scenes: dict[str, tuple[str, Tally]]  # name -> place, counts

    def draws(self, seed: tuple[int, int]) -> tuple[dict[str, float], Draws]:
        """Its figures, and those of all draws of its places."""
        places, tallies = zip(*(self.scenes[name] for name in sorted(self.scenes)), strict=True)
        figures = figures_of(Tally.total(tallies), self.threshold, ())
        drawn = draw_places(tallies, places, self.threshold, (), seed)
        return {name: float(figures[name]) for name in FIGURES}, {name: drawn[name] for name in FIGURES}


def compare(first: str | Path, second: str | Path, *, seed: int = 0) -> Comparison:
    """Compare two evaluations of the same pairs.

    Parameters
    ----------
    first, second
        Folders that `evaluate` wrote, or their `evaluation.json`.
    seed
        Of the draws of places.

    Raises
    ------
    InputError
        A file cannot be read, or the two hold different sources, pairs or places.
    """
    (one, sources), (other, others) = _read(Path(first)), _read(Path(second))
    _check_same(sources, others, f"{first} and {second}")
    rows, differences = [], []
    for number, (a, b) in enumerate(zip(sources, others, strict=True)):
        (figures_a, drawn_a), (figures_b, drawn_b) = (source.draws((seed, number)) for source in (a, b))
        drawn = {name: drawn_b[name] - drawn_a[name] for name in FIGURES}
        difference = {name: with_ends(figures_b[name] - figures_a[name], drawn[name]) for name in FIGURES}
        rows.append(Compared(name=a.name, first=figures_a, second=figures_b, difference=difference))
        differences.append(drawn)
    several = [len(source.scenes) > 1 for source in sources]
    return Comparison(
        first=one, second=other, rows=(*rows, *_means(rows, differences, several)), seed=seed, draws=DRAWS
    )


def _means(rows: Sequence[Compared], drawn: Sequence[Draws], several: Sequence[bool]) -> list[Compared]:
    if len(rows) < 2:
        return []
    differences = [row.difference for row in rows]
    means = [("mean of sources", [True] * len(rows), macro(differences, drawn))]
    if any(several) and not all(several):
        means.append(("of several pairs", list(several), macro_several(differences, drawn, several)))
    return [
        Compared(
            name=name,
            first=_mean([row.first for row, is_in in zip(rows, chosen, strict=True) if is_in]),
            second=_mean([row.second for row, is_in in zip(rows, chosen, strict=True) if is_in]),
            difference=difference,
        )
        for name, chosen, difference in means
    ]


def _mean(figures: Sequence[dict[str, float]]) -> dict[str, float]:
    found = {}
    for name in FIGURES:
        defined = [source[name] for source in figures if not np.isnan(source[name])]
        found[name] = float(np.mean(defined)) if defined else float("nan")
    return found


def _read(path: Path) -> tuple[dict[str, Any], list[_Source]]:
    path = path / RECORD if path.is_dir() else path
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        require_known(content, EVALUATION, path)
        sources = [_source(entry, content["threshold"]) for entry in content["sources"]]
        return content["detector"], sorted(sources, key=lambda source: source.name)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as an evaluation: {error}.") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is no evaluation that holds the counts of its pairs (no {error}); evaluate again."
        ) from error


def _source(entry: dict[str, Any], threshold: float) -> _Source:
    scenes = {scene["name"]: (scene["place"], _tally(scene["tally"])) for scene in entry["scenes"]}
    return _Source(name=entry["name"], threshold=threshold, scenes=scenes)


def _tally(counts: dict[str, Any]) -> Tally:
    """Counts as the file has them, less those of planted shifts, which the other may not have."""
    arrays = {
        field.name: np.asarray(np.nan if counts[field.name] is None else counts[field.name])
        for field in fields(Tally)
    }
    none = np.zeros((0, len(counts["changed"])), np.int64)
    return Tally(**arrays | {"shifted_changed": none, "shifted_unchanged": none})


def _check_same(one: Sequence[_Source], other: Sequence[_Source], where: str) -> None:
    names = [{source.name for source in sources} for sources in (one, other)]
    if odd := sorted(names[0] ^ names[1]):
        raise InputError(f"{where} are not of the same sources: one of them has no {odd[0]}.")
    for a, b in zip(one, other, strict=True):
        if odd := sorted(a.scenes.keys() ^ b.scenes.keys()):
            raise InputError(f"{where} are not of the same pairs: one of them has no {a.name}/{odd[0]}.")
        for name, (place, tally) in a.scenes.items():
            if place != b.scenes[name][0]:
                raise InputError(
                    f"{where} divide pairs into places differently: {a.name}/{name} is of {place} in one and "
                    f"of {b.scenes[name][0]} in the other."
                )
            if tally.pixels != b.scenes[name][1].pixels:
                raise InputError(f"{where} count different pixels of {a.name}/{name}.")
