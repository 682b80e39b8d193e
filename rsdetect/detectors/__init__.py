"""Detectors: each one gives a change probability in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterable

from rsdetect.backends.select import EIGHT_BIT
from rsdetect.detectors.base import Detector, Scorer
from rsdetect.detectors.registry import DETECTORS, find_detector
from rsdetect.detectors.settings import with_settings
from rsdetect.devices import resolve_device
from rsdetect.errors import InputError
from rsdetect.scenes.bands import WantedBands

__all__ = [
    "DETECTORS",
    "Detector",
    "Scorer",
    "WantedBands",
    "choose_device",
    "find_detector",
    "make_detector",
]

DEFAULT_DETECTOR = "best"
_OF_A_MODEL = "siamese"  # that runs what `--model` names


def choose_device(
    detector: str | Detector | None, device: str, backend: str, *, on_cluster: bool = False
) -> str:
    """Choose the device of a detector, resolved by `resolve_device`.

    Raises
    ------
    InputError
        As `resolve_device` and `find_detector`.
    """
    kind = (
        detector
        if isinstance(detector, Detector)
        else find_detector(DEFAULT_DETECTOR if detector is None else detector)
    )
    # A GPU is not used for int8 or detectors without a network unless requested explicitly.
    on_processor = not kind.uses_device or (backend in EIGHT_BIT and device == "auto")
    return "cpu" if on_processor else resolve_device(device, on_cluster=on_cluster)


def named(detector: str | None, model: str | None) -> str:
    """Name of the detector for `--detector` and `--model`: a model alone implies the network.

    >>> named(None, "siamese-buildings"), named("cva", None)
    ('siamese', 'cva')
    """
    if detector is not None:
        return detector
    return DEFAULT_DETECTOR if model is None else _OF_A_MODEL


def make_detector(
    detector: str | Detector | None = None,
    model: str | None = None,
    device: str = "cpu",
    backend: str = "torch",
    settings: Iterable[str] = (),
) -> Detector:
    """Make the detector of `--detector`; an object is returned unchanged.

    Parameters
    ----------
    detector
        A name of `DETECTORS`, a file as `path/to/file.py:Class`, or an object; None = the default, or with
        `model` the one that runs it.
    model
        Path or name of a model file, for detectors that use one; None = the default.
    device
        As `choose_device` gives it.
    backend
        Value of `--backend`; ignored by detectors without a network.
    settings
        Parameters as NAME=VALUE, as `settings.as_settings` returns them.

    Raises
    ------
    InputError
        Unknown name or parameter, a model for a detector that has none, or a backend that cannot run here.
    ModelError
        The model cannot be read, or cannot be run by this backend.
    DetectorError
        A file or package cannot be loaded.
    """
    if isinstance(detector, Detector):
        if model is not None:
            raise InputError("`model` names a network, and `detector` is an object; drop one of the two.")
        return with_settings(detector, settings)
    return with_settings(find_detector(named(detector, model)).configure(model, device, backend), settings)
