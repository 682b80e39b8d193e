"""Detectors: each ends in a change probability in [0, 1]."""

from __future__ import annotations

from rsdetect.detectors.base import Detector, Scorer
from rsdetect.detectors.cva import CvaDetector
from rsdetect.errors import InputError

__all__ = ["DETECTORS", "CvaDetector", "Detector", "Scorer", "make_detector"]

DETECTORS = ("siamese", "cva")
DEFAULT_DETECTOR = "siamese"


def make_detector(name: str, model: str | None = None, device: str = "cpu") -> Detector:
    """Make the detector that `--detector` names.

    Parameters
    ----------
    model
        Path or name of a model file, for detectors that use one; None = the default.
    device
        "cpu" or "cuda:i".

    Raises
    ------
    InputError
        Unknown name, or a model for a detector that has none.
    ModelError
        The model cannot be read.
    """
    if name not in DETECTORS:
        raise InputError(f"--detector {name!r} is unknown; choose one of {', '.join(DETECTORS)}.")
    if name == "cva":
        if model is not None:
            raise InputError("--model names a network, and --detector cva has none; drop one of the two.")
        return CvaDetector()
    from rsdetect.detectors.learned import DEFAULT_MODEL, SiameseDetector

    return SiameseDetector(model or DEFAULT_MODEL, device)
