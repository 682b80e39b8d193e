"""Kinds that are named, by their measured agreement."""

from __future__ import annotations

from rsdetect.kinds.classes import Kind
from rsdetect.kinds.rules import LandRules


def named_kinds(land: LandRules | None) -> frozenset[Kind]:
    """Kinds that polygons of a pair with these rules may have."""
    return frozenset(Kind)
