"""Evaluation: a detector's figures on labelled pairs, measured through the pipeline that users run."""

from __future__ import annotations

from rsdetect.evaluation.cards import card_scores, store_scores
from rsdetect.evaluation.comparison import Comparison, compare
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
