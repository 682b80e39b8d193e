"""Evaluation of a detector on labelled pairs, through the pipeline that users run."""

from __future__ import annotations

from rsdetect.evaluation.comparison import Comparison, compare
from rsdetect.evaluation.model_card import card_scores, store_scores
from rsdetect.evaluation.results import Evaluation, Interval, SceneScores, SourceScores
from rsdetect.evaluation.run import evaluate, run_evaluate

__all__ = [
    "Comparison",
    "Evaluation",
    "Interval",
    "SceneScores",
    "SourceScores",
    "card_scores",
    "compare",
    "evaluate",
    "run_evaluate",
    "store_scores",
]
