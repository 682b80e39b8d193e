"""Errors of external detectors, blamed on them by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rsdetect.detectors.base import Detector, Scorer
from rsdetect.errors import DetectorError, RsdetectError

REMEDY = "rsdetect check-detector shows more."


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
            f"the detector {detector.name} failed{doing} ({type(error).__name__}: {error}); {REMEDY}"
        ) from error
