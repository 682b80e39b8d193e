"""Training pairs cut from real images and from dead leaves: other days, and change whose place is known."""

from rsdetect.training.compositing.scene import cut_scene

__all__ = ["cut_scene"]
