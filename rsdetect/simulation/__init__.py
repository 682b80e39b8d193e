"""Simulated scene pairs with known change: seeded, of any size, rendered window by window."""

from rsdetect.simulation.scene import render, render_whole
from rsdetect.simulation.spec import ChangeKind, Rendered, SceneSpec
from rsdetect.simulation.training_pairs import training_pair, training_spec

__all__ = ["ChangeKind", "Rendered", "SceneSpec", "render", "render_whole", "training_pair", "training_spec"]
