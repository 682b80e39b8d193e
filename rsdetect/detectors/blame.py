"""Errors of external detectors, blamed on them by name."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from rsdetect.detectors.base import Detector, Scorer
from rsdetect.errors import DetectorError, RsdetectError

REMEDY = "correct its method score()."


@contextmanager
def blamed_on(detector: Detector | Scorer, doing: str = "") -> Iterator[None]:
    """Convert any error of an external detector to a `DetectorError` that names it.

    Parameters
    ----------
    doing
        What it failed to do, as " to fit the pair".
    """
    try:
        yield
    except RsdetectError:
        raise
    except Exception as error:
        if type(detector).__module__.partition(".")[0] == "rsdetect":
            raise  # a defect of rsdetect
        raise DetectorError(
            f"the detector {detector.name} failed{doing} ({type(error).__name__}: {error}"
            f"{_place(detector, error)}); correct this in its code."
        ) from error


def _place(detector: Detector | Scorer, error: Exception) -> str:
    """Innermost line of the detector's own file on the way to an error, as text; "" if there is none."""
    file = getattr(sys.modules.get(type(detector).__module__), "__file__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f", at line {lines[-1]} of {file}" if lines else ""
