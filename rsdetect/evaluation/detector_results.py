"""Results of several detectors on one pair: scores with truth, agreement, cost, and those that failed."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from rsdetect.evaluation.detector_contest import Contestant, DetectorFailure
from rsdetect.evaluation.detector_tally import Agreement, DetectorTally
from rsdetect.evaluation.figures import count_figures
from rsdetect.jsontypes import JsonObject
from rsdetect.memory import MIB
from rsdetect.schema import COMPARISON

SCORES = (
    *("precision", "recall", "f1", "iou", "kappa", "f1_best", "threshold_best", "average_precision"),
    "calibration_error",
)


@dataclass(frozen=True, kw_only=True)
class DetectorResult:
    """Result of a detector on a pair."""

    name: str  # as it was asked for
    threshold: float  # change probability at or above which a pixel is changed
    bands: tuple[str, ...]  # that it compared
    observed_pixels: int  # valid on both dates in these bands
    marked_pixels: int  # at or above the threshold
    scores: dict[str, float] | None  # SCORES on the labelled pixels, NaN if undefined; None without truth
    seconds: float  # to fit the pair and to score all tiles, without reading
    fit_seconds: float
    score_seconds: float
    memory_mib: float  # rise of memory by loading, fitting and one tile
    provenance: JsonObject  # as in `run.json`

    @property
    def marked_share(self) -> float:
        """Share of the observed pixels that the detector marks; NaN without any."""
        return self.marked_pixels / self.observed_pixels if self.observed_pixels else float("nan")

    @classmethod
    def of(cls, name: str, tally: DetectorTally, contestant: Contestant, *, truth: bool) -> DetectorResult:
        """Result of a detector from its tally and cost."""
        cost, provenance = contestant.cost, contestant.provenance
        assert contestant.scorer is not None
        threshold = contestant.scorer.threshold
        return cls(
            name=name,
            threshold=threshold,
            bands=contestant.pair.bands,
            observed_pixels=tally.observed,
            marked_pixels=tally.marked,
            scores=_scores(tally, threshold) if truth else None,
            seconds=round(cost.fit_s + cost.score_s, 3),
            fit_seconds=round(cost.fit_s, 3),
            score_seconds=round(cost.score_s, 3),
            memory_mib=round(cost.memory_bytes / MIB, 1),
            provenance=provenance,
        )


@dataclass(frozen=True, kw_only=True)
class DetectorAgreement:
    """Agreement of two detectors, each at its own threshold, on pixels that both observed."""

    first: str
    second: str
    iou: float  # marked by both, of those marked by either; NaN if none is
    kappa: float  # Cohen (1960); NaN if undefined
    both_pixels: int
    first_pixels: int  # marked by the first alone
    second_pixels: int
    neither_pixels: int

    @classmethod
    def of(cls, first: str, second: str, found: Agreement) -> DetectorAgreement:
        """Agreement of two detectors by name, from its counts."""
        confusion, either = found.confusion, found.both + found.first + found.second
        return cls(
            first=first,
            second=second,
            iou=found.both / either if either else float("nan"),
            kappa=float(confusion.kappa),
            both_pixels=found.both,
            first_pixels=found.first,
            second_pixels=found.second,
            neither_pixels=found.neither,
        )


@dataclass(frozen=True, kw_only=True)
class DetectorComparison:
    """Comparison of detectors on one pair of scenes."""

    before: str
    after: str
    truth: str | None
    pixels: int  # of the grid that both scenes cover
    detectors: tuple[DetectorResult, ...]  # in the order they were asked for
    failed: tuple[DetectorFailure, ...]
    agreement: tuple[DetectorAgreement, ...]  # of every two
    reading: dict[str, int | float]  # blocks decoded, of these again, and seconds for it
    warnings: tuple[str, ...]
    created: str  # ISO time

    @property
    def exit_status(self) -> int:
        """Exit status: 0 if all detectors have results, else the most serious of those that failed.

        1, a defect, before 2, wrong input, before 3, what may pass.
        """
        return min((failure.exit_status for failure in self.failed), default=0)

    def as_json(self) -> JsonObject:
        """Comparison of detectors in JSON types; undefined values are NaN here and null in print."""
        content = asdict(self)
        for entry, result in zip(content["detectors"], self.detectors, strict=True):
            entry["marked_share"] = result.marked_share
        return {
            "rsdetect": "detector comparison",
            "schema": COMPARISON,
            "exit_status": self.exit_status,
            **content,
        }


def _scores(tally: DetectorTally, threshold: float) -> dict[str, float]:
    """Scores of a detector's result against the truth; NaN where undefined."""
    found = count_figures(tally.counts, threshold)
    return {name: float(found[name]) for name in SCORES}
