"""Identity of scoring: runs with equal identities give equal results.

Used by `batch` and `monitor` to decide whether stored results are still valid.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsdetect.detectors.base import Detector, Scorer, State
from rsdetect.errors import DetectorError
from rsdetect.files import hash_json
from rsdetect.installed import version


@dataclass(frozen=True, kw_only=True)
class ScoringIdentity:
    """Identity of scoring: detector, weights, version and backend, but not what does not affect results."""

    detector: str
    model_sha256: str | None  # of the content of the model file; None = no model
    version: str  # of rsdetect
    backend: str | None  # None = not requested by name: `auto`
    source_sha256: str | None = None  # of the file of an external detector
    parameters: str | None = None  # hash of the detector's parameters, if any

    @classmethod
    def of(cls, detector: Detector, backend: str) -> ScoringIdentity:
        """Identity of a configured detector; reads the model file, without importing torch.

        Parameters
        ----------
        backend
            As given by the user, including "auto".

        Raises
        ------
        ModelError
            The model file cannot be read.
        DetectorError
            The version of the detector's code cannot be determined.
        """
        by_name = None if not detector.uses_device or backend == "auto" else backend
        source = source_of(detector)
        return cls(
            detector=detector.name,
            model_sha256=detector.model_sha256,
            version=version("rsdetect"),
            backend=by_name,
            source_sha256=None if source is None else source["sha256"],
            parameters=_hash(detector.parameters),
        )

    @classmethod
    def of_record(cls, record: Mapping[str, Any], backend: str) -> ScoringIdentity:
        """Identity of the run of a record, if `backend` is requested now."""
        detector = record["detector"]
        return cls(
            detector=detector["name"],
            model_sha256=detector.get("model_sha256"),
            version=record["machine"]["versions"]["rsdetect"],
            backend=None if backend == "auto" else detector.get("backend"),
            source_sha256=detector.get("source", {}).get("sha256"),
            parameters=_hash(detector.get("parameters")),
        )

    @property
    def key(self) -> str:
        """Key of the identity, 16 hexadecimal digits."""
        # Missing values are excluded, so that keys of earlier versions remain valid for detectors without
        # them.
        given = asdict(self)
        return hash_json({key: given[key] for key in given if key not in _LATER or given[key] is not None})


_LATER = ("source_sha256", "parameters")


def describe(detector: Detector, scorer: Scorer) -> State:
    """Identity of a fitted detector for record and fingerprint, JSON types only.

    The scorer's provenance, with the required `bands` and the `parameters` of the detector, if any, and for
    an external detector `source`: its class and file with the file's SHA-256.

    Raises
    ------
    DetectorError
        As `ScoringIdentity.of`.
    """
    told: State = {"threshold": scorer.threshold} | scorer.provenance() | {"name": detector.name}
    if wanted := detector.bands:
        # `vectorize` opens the scenes with these again.
        told |= {"bands": list(wanted.names), "bands_required": wanted.required}
    if parameters := detector.parameters:
        told["parameters"] = parameters
    if source := source_of(detector):
        told["source"] = source
    return told


def source_of(detector: Detector) -> dict[str, str] | None:
    """Source identity of a detector: class, file and SHA-256 of the file; None for those of rsdetect.

    Raises
    ------
    DetectorError
        The class has neither file nor source, so that its results cannot be identified.
    """
    kind = type(detector)
    if kind.__module__.split(".")[0] == "rsdetect":
        return None
    try:
        file = inspect.getsourcefile(kind)
        content = Path(file).read_bytes() if file and Path(file).is_file() else None
        content = inspect.getsource(kind).encode() if content is None else content
    except (OSError, TypeError):
        raise DetectorError(
            f"the source of the detector {detector.name} ({kind.__qualname__}) cannot be found; define it in "
            "a file, and name it as path/to/file.py:Class."
        ) from None
    sha256 = hashlib.sha256(content).hexdigest()
    return {"class": kind.__qualname__, "file": str(Path(file or "").absolute()), "sha256": sha256}


def _hash(parameters: State | None) -> str | None:
    return hash_json(parameters, sort_keys=True) if parameters else None
