"""What an evaluation found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rsdetect.evaluation.measure import BadTile
from rsdetect.evaluation.tally import Tally
from rsdetect.schema import EVALUATION


@dataclass(frozen=True)
class Interval:
    """A figure, and the interval in which it lies for nine of ten draws of places; NaN = not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SceneScores:
    """Figures of one pair."""

    name: str
    place: str
    figures: dict[str, float]  # see rsdetect.evaluation.figures
    tally: Tally = field(repr=False, compare=False)  # what they come from


@dataclass(frozen=True)
class SourceScores:
    """Figures of one folder, its pixels pooled."""

    name: str
    folder: str
    places: int
    figures: dict[str, Interval]  # see rsdetect.evaluation.figures
    # Groups of probabilities with pixels in them: mean probability, share that changed, pixels.
    reliability: tuple[tuple[float, float, int], ...]
    curve: tuple[tuple[float, float, float], ...]  # threshold, precision, recall, at each percent
    scenes: tuple[SceneScores, ...]
    notes: tuple[str, ...]  # what the user should know
    worst: tuple[BadTile, ...] = field(default=(), repr=False)  # tiles with the most wrong pixels


@dataclass(frozen=True)
class Evaluation:
    """Figures of a detector on one or several folders of labelled pairs."""

    detector: dict[str, Any]  # name, model, version and hash
    threshold: float  # at which change counts as found, the detector's own
    sources: tuple[SourceScores, ...]
    macro: dict[str, Interval]  # the mean over the sources, each counting the same
    macro_several: dict[str, Interval]  # the same over the sources of more than one pair; empty without one
    shifts_px: tuple[float, ...]
    seed: int
    draws: int  # of places, for the intervals
    created: str  # ISO time
    split: str | None = None  # name of the file that divides the pairs into parts
    part: str | None = None  # of it, that was evaluated

    def as_json(self) -> dict[str, Any]:
        """JSON types only; what is not defined is NaN here and null in the file."""
        bare = replace(self, sources=tuple(replace(source, worst=()) for source in self.sources))
        content = {"rsdetect": "evaluation", "schema": EVALUATION, **asdict(bare)}
        for entry, source in zip(content["sources"], self.sources, strict=True):
            entry |= {"pairs": len(source.scenes), "worst": [_place_of(tile) for tile in source.worst]}
            for scene in entry["scenes"]:
                scene["tally"] = {name: numbers.tolist() for name, numbers in scene["tally"].items()}
        return content


def _place_of(tile: BadTile) -> dict[str, Any]:
    labelled, window = tile.opened.labelled, tile.window
    return {"pair": labelled.name, **asdict(window), "wrong_px": tile.wrong_px}
