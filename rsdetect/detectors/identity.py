"""What identifies how a pair is scored: of two runs with equal identities, the later need not be made.

One place for `batch` and `monitor`, which both keep results and ask whether they still hold.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rsdetect.detectors.base import Detector, Scorer, State
from rsdetect.errors import DetectorError
from rsdetect.files import hash_json


@dataclass(frozen=True, kw_only=True)
class ScoringIdentity:
    """Detector, weights, version and backend; nothing that leaves the result as it is, such as tiles."""

    detector: str
    model_sha256: str | None  # of the model file's content, whatever its path; None = it has no model
    version: str  # of rsdetect
    backend: str | None  # None = nobody asked for one by name: `auto` takes whatever hardly differs
    source_sha256: str | None = None  # of the file of a detector of others
    parameters: str | None = None  # hash of the parameters of one that has any

    @classmethod
    def of(cls, detector: Detector, backend: str) -> ScoringIdentity:
        """The identity of a detector made now; reads the model file once, and imports no torch.

        Parameters
        ----------
        backend
            As the user asked for it, with "auto".

        Raises
        ------
        ModelError
            The model file cannot be read.
        DetectorError
            Nobody can tell one version of the detector's code from another.
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
        """The identity by which the run of a record scored, where `backend` is asked for now."""
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
        """16 hexadecimal digits that differ where identities do."""
        # What is missing does not count, so that keys of earlier versions hold for detectors without it.
        given = asdict(self)
        return hash_json({key: given[key] for key in given if key not in _LATER or given[key] is not None})


_LATER = ("source_sha256", "parameters")


def describe(detector: Detector, scorer: Scorer) -> State:
    """What record and fingerprint keep of a fitted detector, JSON types only.

    Beside what the scorer says of itself: `parameters` where the detector has any, and for one that is no
    part of rsdetect `source`, its class and file with the file's SHA-256.

    Raises
    ------
    DetectorError
        As `ScoringIdentity.of`.
    """
    told: State = {"threshold": scorer.threshold} | scorer.provenance() | {"name": detector.name}
    if parameters := detector.parameters:
        told["parameters"] = parameters
    if source := source_of(detector):
        told["source"] = source
    return told


def source_of(detector: Detector) -> dict[str, str] | None:
    """Class, file and SHA-256 of the file of a detector; None for those of rsdetect.

    Raises
    ------
    DetectorError
        The class has no file and no source, so that no result of it could be recognised.
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
