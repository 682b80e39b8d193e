"""Card of the detector `best`: its parts, its scores and its known failures.

Networks have cards of their own in their model files; this one holds what concerns their combination.
"""

from __future__ import annotations

from dataclasses import dataclass

from rsdetect.detectors.best import BUILDINGS_MODEL, BestDetector, BestScorer
from rsdetect.detectors.learned import DEFAULT_MODEL
from rsdetect.nets.checkpoint import read_card

# Means of the sources: docs/notes/best.md, and rows 78 to 82 of docs/notes/looks.jsonl.
_SCORES = {
    "choose, six sources, each left out of the fit": {
        "f1": 0.585,
        "f1_best": 0.601,
        "average_precision": 0.600,
    },
    "report, four sources": {
        "f1": 0.412,
        "f1_best": 0.460,
        "average_precision": 0.426,
        "false_regions_per_mpx": 38.8,
    },
    "nothing changed, marked share": {"neon-sjer-pairs": 0.028, "landsat-series": 0.131},
}
_KNOWN_FAILURES = (
    "Marks new roads, yards and opened ground along with buildings: too much where only buildings count.",
    "Leaves out small houses among others: evidence is averaged over 8 m.",
    "Misses most change on many simulated Sentinel-2 pairs: own F1 0 to 0.63 on eleven without masks.",
    "Below 5 m it knows buildings best: fields, water and bare ground often lie below its threshold.",
    "Marks unchanged ground that looks different on both dates: trees from another angle, shadows of July "
    "and November.",
    "Outlines are soft, and reach some pixels beyond what changed.",
    "Where the two dates come from unlike sensors or views, it marks large parts of the scene.",
    "Its threshold is one for all scenes: on some the best one lies far from it.",
    "Not for radar, and not for fewer bands than red, green and blue.",
)


@dataclass(frozen=True)
class EnsembleCard:
    """Card of a detector that combines others."""

    name: str
    parts: tuple[str, ...]
    bands: tuple[str, ...]
    bands_required: int  # number of the first bands that a pair must have
    threshold: float
    fitted: str  # to what
    scores: dict[str, dict[str, float]]  # data -> figure -> value
    known_failures: tuple[str, ...]
    licence: str


def best_card() -> EnsembleCard:
    """Card of `best` with the networks that it takes."""
    cards, wanted = [read_card(name) for name in (DEFAULT_MODEL, BUILDINGS_MODEL)], BestDetector().bands
    return EnsembleCard(
        name=BestDetector.name,
        parts=(*(f"{card.name} {card.version}" for card in cards), "sfa", "texture"),
        bands=wanted.names,
        bands_required=wanted.required,
        threshold=BestScorer.threshold,
        fitted="weight, offset and threshold to the choose places of benchmarks/splits/shared.toml and, a "
        "fifth, to simulated pairs",
        scores=_SCORES,
        known_failures=_KNOWN_FAILURES,
        licence=cards[-1].licence,  # which names the images that the network of buildings was trained on
    )
