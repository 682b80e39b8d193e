"""Labelled pairs of scenes: found in the layouts that people keep them in, read through `open_pair`."""

from __future__ import annotations

from rsdetect.labelled.codes import NOT_LABELLED
from rsdetect.labelled.layouts import LAYOUTS, find_pairs
from rsdetect.labelled.pairs import LabelledPair
from rsdetect.labelled.unlabelled import UnlabelledPair, find_unlabelled

__all__ = ["LAYOUTS", "NOT_LABELLED", "LabelledPair", "UnlabelledPair", "find_pairs", "find_unlabelled"]
