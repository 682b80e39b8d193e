"""Fitting of a detector to a pair, with storage of fits for resumed runs.

A fit is stored as safetensors: the arrays of `Scorer.state()`, and the rest of it as JSON in the header.
Nothing is unpickled.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from rsdetect.checks.scan import Scan
from rsdetect.detectors.base import Detector, Scorer, State
from rsdetect.detectors.blame import blamed_on
from rsdetect.errors import DetectorError
from rsdetect.files import atomic_path

STORED_FROM_S = 10.0  # fits that took longer are stored for a resumed job
_KEY, _ARRAY = "state", "array:"

_log = logging.getLogger(__name__)


def fit_detector(detector: Detector, scan: Scan, stored: Path | None = None) -> Scorer:
    """Fit a detector to a pair, or read the fit of an earlier run from `stored`.

    Parameters
    ----------
    stored
        File for the fit of this detector and pair, which may be missing. It is written if the fit trains or
        took longer than 10 s, and the scorer has a `state()`.

    Raises
    ------
    DetectorError
        The fit of an external detector failed, or returned no `Scorer`.
    """
    if stored is not None and (scorer := read_fit(stored, detector)) is not None:
        return scorer
    started = time.monotonic()
    with blamed_on(detector, " to fit the pair"):
        scorer = detector.fit(scan)
    if not isinstance(scorer, Scorer):
        raise DetectorError(
            f"the fit of detector {detector.name} gave {type(scorer).__name__}, which is not a subclass of "
            "rsdetect's Scorer."
        )
    if stored is not None and (detector.trains or time.monotonic() - started > STORED_FROM_S):
        write_fit(stored, scorer)
    return scorer


def write_fit(path: Path, scorer: Scorer) -> None:
    """Write the state of a fitted scorer, if it has one."""
    state = scorer.state()
    if state is None:
        return
    arrays: dict[str, Any] = {}
    text = json.dumps(_split(state, arrays))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as unfinished:
        save_file(arrays, unfinished, metadata={_KEY: text})


def read_fit(path: Path, detector: Detector) -> Scorer | None:
    """Read a fitted scorer stored by `write_fit`; None if missing or damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, the file is no mapping
            state: State = _joined(json.loads((file.metadata() or {})[_KEY]), arrays)
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        _log.warning("the stored fit %s is damaged (%s), so that the pair is fitted again.", path, error)
        path.unlink(missing_ok=True)
        return None
    return detector.restore(state)


def _split(value: Any, arrays: dict[str, Any]) -> Any:
    """Split a fitted state for storage: strings replace its arrays, which are added to `arrays`."""
    if isinstance(value, np.ndarray):
        name = f"{_ARRAY}{len(arrays)}"
        arrays[name] = np.ascontiguousarray(value)
        return name
    if isinstance(value, dict):
        return {key: _split(each, arrays) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_split(each, arrays) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _joined(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, str) and value in arrays:
        return arrays[value]
    if isinstance(value, dict):
        return {key: _joined(each, arrays) for key, each in value.items()}
    return [_joined(each, arrays) for each in value] if isinstance(value, list) else value
