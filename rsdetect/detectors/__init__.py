"""Detectors: each ends in a change probability in [0, 1]."""

from __future__ import annotations

from rsdetect.backends.select import EIGHT_BIT
from rsdetect.detectors.base import Detector, Scorer
from rsdetect.detectors.cva import CvaDetector
from rsdetect.devices import resolve_device
from rsdetect.errors import InputError

__all__ = ["DETECTORS", "CvaDetector", "Detector", "Scorer", "choose_device", "make_detector"]

DETECTORS = ("siamese", "cva")
DEFAULT_DETECTOR = "siamese"


def choose_device(detector: str, device: str, backend: str, *, on_cluster: bool = False) -> str:
    """What `--device` means for a detector and what runs it, as `resolve_device` says it.

    Raises
    ------
    InputError
        As `resolve_device`.
    """
    # A GPU that nobody asked for by name is left alone where there is nothing to run on it.
    on_processor = detector == "cva" or (backend in EIGHT_BIT and device == "auto")
    return "cpu" if on_processor else resolve_device(device, on_cluster=on_cluster)


def make_detector(
    name: str, model: str | None = None, device: str = "cpu", backend: str = "torch"
) -> Detector:
    """Make the detector that `--detector` names.

    Parameters
    ----------
    model
        Path or name of a model file, for detectors that use one; None = the default.
    device
        As `choose_device` gives it.
    backend
        What `--backend` takes; nothing to a detector without a network.

    Raises
    ------
    InputError
        Unknown name, a model for a detector that has none, or a backend that cannot run here.
    ModelError
        The model cannot be read, or cannot be run by this backend.
    """
    if name not in DETECTORS:
        raise InputError(f"`detector` {name!r} is unknown; choose one of {', '.join(DETECTORS)}.")
    if name == "cva":
        if model is not None:
            raise InputError("`model` names a network, and `detector='cva'` has none; drop one of the two.")
        return CvaDetector()
    from rsdetect.backends.select import resolve_backend
    from rsdetect.detectors.learned import DEFAULT_MODEL, SiameseDetector
    from rsdetect.nets.checkpoint import read_card

    model = model or DEFAULT_MODEL
    return SiameseDetector(model, device, resolve_backend(backend, model, read_card(model), device))
