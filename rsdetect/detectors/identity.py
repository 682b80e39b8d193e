"""What identifies how a pair is scored: of two runs with equal identities, the later need not be made.

One place for `batch` and `monitor`, which both keep results and ask whether they still hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from rsdetect.detectors.base import Detector
from rsdetect.files import hash_json


@dataclass(frozen=True, kw_only=True)
class ScoringIdentity:
    """Detector, weights, version and backend; nothing that leaves the result as it is, such as tiles."""

    detector: str
    model_sha256: str | None  # of the model file's content, whatever its path; None = it has no model
    version: str  # of rsdetect
    backend: str | None  # None = nobody asked for one by name: `auto` takes whatever hardly differs

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
        """
        model = getattr(detector, "model", None)
        sha256 = None
        if model is not None:
            from rsdetect.nets.checkpoint import model_hash

            sha256 = model_hash(model)
        by_name = None if model is None or backend == "auto" else backend
        return cls(detector=detector.name, model_sha256=sha256, version=version("rsdetect"), backend=by_name)

    @classmethod
    def of_record(cls, record: Mapping[str, Any], backend: str) -> ScoringIdentity:
        """The identity by which the run of a record scored, where `backend` is asked for now."""
        detector = record["detector"]
        return cls(
            detector=detector["name"],
            model_sha256=detector.get("model_sha256"),
            version=record["machine"]["versions"]["rsdetect"],
            backend=None if backend == "auto" else detector.get("backend"),
        )

    @property
    def key(self) -> str:
        """16 hexadecimal digits that differ where identities do."""
        return hash_json(asdict(self))
