"""Where training has its counts from."""

from rsdetect.metrics import STEPS, Counts

__all__ = ["STEPS", "Counts"]
