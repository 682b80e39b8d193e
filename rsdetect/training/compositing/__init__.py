"""Composite training pairs from real images and dead leaves: simulated days, and synthetic change."""

from rsdetect.training.compositing.composite_scene import cut_scene

__all__ = ["cut_scene"]
