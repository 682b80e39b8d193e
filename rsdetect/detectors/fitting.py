"""A detector fitted to a pair, or the fit of an earlier run, where it was stored.

What is stored is a safetensors file: the arrays of `Scorer.state()`, and the rest of it as JSON in the
header. Nothing is ever unpickled.
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
from rsdetect.errors import DetectorError, RsdetectError
from rsdetect.files import atomic_path

STORED_FROM_S = 10.0  # what took longer is stored; a resumed job need not wait for it again
_KEY, _ARRAY = "state", "array:"

_log = logging.getLogger(__name__)


def fit_detector(detector: Detector, scan: Scan, stored: Path | None = None) -> Scorer:
    """Fit a detector to a pair; where `stored` holds the fit of an earlier run, take that one.

    Parameters
    ----------
    stored
        A file for the fit of this very detector and pair, which may be missing. It is written where the fit
        trains or took longer than 10 s, and the scorer gives a `state()`.

    Raises
    ------
    DetectorError
        The fit of a detector of others failed, or gave no `Scorer`.
    """
    if stored is not None and (scorer := read_fit(stored, detector)) is not None:
        return scorer
    started = time.monotonic()
    try:
        scorer = detector.fit(scan)
    except RsdetectError:
        raise
    except Exception as error:
        if type(detector).__module__.partition(".")[0] == "rsdetect":
            raise  # a defect of ours
        raise DetectorError(
            f"the detector {detector.name} failed to fit the pair ({type(error).__name__}: {error}); "
            "rsdetect check-detector shows more."
        ) from error
    if not isinstance(scorer, Scorer):
        raise DetectorError(
            f"the fit of the detector {detector.name} gave {type(scorer).__name__}, which is no subclass of "
            "rsdetect's Scorer."
        )
    if stored is not None and (detector.trains or time.monotonic() - started > STORED_FROM_S):
        write_fit(stored, scorer)
    return scorer


def write_fit(path: Path, scorer: Scorer) -> None:
    """Store the state of a scorer; nothing where it gives none."""
    state = scorer.state()
    if state is None:
        return
    arrays: dict[str, Any] = {}
    text = json.dumps(_split(state, arrays))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as unfinished:
        save_file(arrays, unfinished, metadata={_KEY: text})


def read_fit(path: Path, detector: Detector) -> Scorer | None:
    """The scorer whose state `write_fit` stored; None where there is none, or it is damaged."""
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
    """A state with texts in the place of its arrays, which go into `arrays`."""
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
