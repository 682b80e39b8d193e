"""Ingested scene, read from the journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rsdetect.ingestion.scene_row import SceneRow
from rsdetect.scenes.band_files import file_version

USABLE, CLOUDED, SET_ASIDE, FAILED = "usable", "clouded", "set aside", "failed"


@dataclass(frozen=True)
class IngestedScene:
    """Ingested scene: comparable, or clouded, which is an observation of nothing."""

    id: str
    taken: datetime
    path: str  # one file on the job's grid
    mask: str | None  # None = the validity stored in the file
    fingerprint: str
    valid_share: float  # valid share of the pixels in the area of interest
    clouded: bool  # too few pixels are valid for a comparison

    @classmethod
    def of(cls, row: SceneRow) -> IngestedScene:
        """Ingested scene of a row of the journal."""
        found = row.content
        clouded = row.state == CLOUDED
        return cls(
            row.id, row.taken, found["path"], found["mask"], row.fingerprint, found["valid_share"], clouded
        )

    @property
    def is_copy(self) -> bool:
        """True when the job copied it onto its grid."""
        return Path(self.path).name == copy_name(self.fingerprint)

    @property
    def is_complete(self) -> bool:
        """True if every pixel in the area of interest is valid."""
        return self.valid_share == 1.0

    @property
    def is_on_disk(self) -> bool:
        """False if a file of the ingested scene was removed."""
        return all(file_version(path) is not None for path in (self.path, self.mask) if path is not None)


def copy_name(fingerprint: str) -> str:
    """File name of the copy of an ingested scene."""
    return f"{fingerprint}.tif"
