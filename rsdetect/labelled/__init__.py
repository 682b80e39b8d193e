"""Labelled pairs of scenes in their usual folder layouts, read through `open_pair`."""

from __future__ import annotations

from rsdetect.labelled.label_coding import NOT_LABELLED
from rsdetect.labelled.layouts import LAYOUTS, find_pairs
from rsdetect.labelled.pairs import LabelledPair
from rsdetect.labelled.unlabelled import UnlabelledPair, find_unlabelled

__all__ = ["LAYOUTS", "NOT_LABELLED", "LabelledPair", "UnlabelledPair", "find_pairs", "find_unlabelled"]
