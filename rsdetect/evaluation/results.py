"""Results of an evaluation: figures with intervals by scene, source and mean."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import NotRequired, TypedDict

from rsdetect.evaluation.pair_scores import BadTile
from rsdetect.evaluation.tally import Tally
from rsdetect.schema import EVALUATION


@dataclass(frozen=True)
class Interval:
    """Figure with its 90 % bootstrap interval over places; NaN = undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SceneScores:
    """Scores of one pair."""

    name: str
    place: str
    figures: dict[str, float]  # see rsdetect.evaluation.figures
    tally: Tally = field(repr=False, compare=False)  # the counts they are computed from


@dataclass(frozen=True)
class SourceScores:
    """Scores of one folder, its pixels pooled."""

    name: str
    folder: str
    places: int
    figures: dict[str, Interval]  # see rsdetect.evaluation.figures
    # Non-empty bins of probability: mean probability, changed share, pixels.
    reliability: tuple[tuple[float, float, int], ...]
    curve: tuple[tuple[float, float, float], ...]  # threshold, precision, recall, at each percent
    scenes: tuple[SceneScores, ...]
    notes: tuple[str, ...]  # notes for users
    worst: tuple[BadTile, ...] = field(default=(), repr=False)  # tiles with the most wrong pixels


class DetectorDescription(TypedDict):
    """Detector of an evaluation; None for what it does not have."""

    name: str
    model: str | None
    model_version: str | None
    model_sha256: str | None
    bands: list[str] | None
    backend: str | None
    precision: str | None
    parameters: NotRequired[dict[str, object]]  # of a detector that has any
    source: NotRequired[dict[str, str]]  # class, file and SHA-256 of one that is not part of rsdetect


@dataclass(frozen=True)
class Evaluation:
    """Results of an evaluation: figures of a detector on one or several labelled sets."""

    detector: DetectorDescription
    threshold: float  # of the detector
    sources: tuple[SourceScores, ...]
    macro: dict[str, Interval]  # mean over the sources with equal weights
    macro_several: dict[str, Interval]  # the same over sources with more than one pair; empty without
    shifts_px: tuple[float, ...]
    disturb: tuple[str, ...]  # names of synthetic disturbances
    seed: int
    draws: int  # number of bootstrap resamples of places
    created: str  # ISO time
    split: str | None = None  # name of the file that divides the pairs into parts
    part: str | None = None  # the evaluated part of it

    def as_json(self) -> dict[str, object]:
        """Results in JSON types; undefined values are NaN here and null in the file."""
        bare = replace(self, sources=tuple(replace(source, worst=()) for source in self.sources))
        content = {"rsdetect": "evaluation", "schema": EVALUATION, **asdict(bare)}
        for entry, source in zip(content["sources"], self.sources, strict=True):
            entry |= {"pairs": len(source.scenes), "worst": [_tile_as_json(tile) for tile in source.worst]}
            for scene in entry["scenes"]:
                scene["tally"] = {name: numbers.tolist() for name, numbers in scene["tally"].items()}
        return content


def _tile_as_json(tile: BadTile) -> dict[str, object]:
    """Position of a worst tile in the results' JSON."""
    labelled, window = tile.opened.labelled, tile.window
    return {"pair": labelled.name, **asdict(window), "wrong_px": tile.wrong_px}
