"""Seeded scene pairs with known change, any size, drawn window by window."""

from rsdetect.simulation.pairs import training_pair, training_spec
from rsdetect.simulation.scene import render, render_whole
from rsdetect.simulation.spec import ChangeKind, Rendered, SceneSpec

__all__ = ["ChangeKind", "Rendered", "SceneSpec", "render", "render_whole", "training_pair", "training_spec"]
