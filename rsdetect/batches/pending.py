"""Pending work of a pair in a batch, by the record of an earlier run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from rsdetect.batches.pairs import BatchPair
from rsdetect.checks.settle import open_settled
from rsdetect.detectors.identity import ScoringIdentity
from rsdetect.errors import InputError
from rsdetect.jobs.kinds_band import has_kinds
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.polygons import polygon_options_of
from rsdetect.jobs.record import describe_input, plain, reading_record
from rsdetect.jobs.vectorize import read_run
from rsdetect.scenes.bands import WantedBands
from rsdetect.schema import NewerSchema


class PendingWork(Enum):
    """Pending work of a pair."""

    NOTHING = "nothing"
    POLYGONS = "polygons"  # scored as requested, but polygons have other options
    ALL = "all"


@dataclass(frozen=True)
class Method:
    """Scoring method of pairs in a batch."""

    bands: WantedBands | None  # bands the detector requires
    identity: ScoringIdentity


def pending_work(pair: BatchPair, folder: Path, method: Method) -> PendingWork:
    """Pending work of a pair, from a comparison of the record in `folder` with its options.

    A pair is scored again if a scene or mask file changed (path, size, time stamp, checksums of header and
    sample), if bands, masks, area of interest or alignment differ, if the `ScoringIdentity` does, or if the
    raster has the band of kinds and should not, or the other way round. Options that do not change the
    result, such as the tile size, are ignored.

    Raises
    ------
    InputError
        The scenes cannot be opened as a pair, or a newer version wrote the record.
    """
    try:
        record = read_run(folder)
    except NewerSchema:
        raise
    except InputError:
        return PendingWork.ALL
    if any(not (folder / name).exists() for name in (Outputs.RASTER, Outputs.POLYGONS)):
        return PendingWork.ALL
    if not _is_scored_as_asked(pair, record, method):
        return PendingWork.ALL
    if has_kinds(folder / Outputs.RASTER) != pair.options.run.kinds:
        return PendingWork.ALL
    asked = pair.options.polygons
    if asked.threshold is None:
        asked = replace(asked, threshold=record["detector"]["threshold"])
    with reading_record(folder):
        return PendingWork.NOTHING if polygon_options_of(record) == asked else PendingWork.POLYGONS


def _is_scored_as_asked(pair: BatchPair, record: dict[str, Any], method: Method) -> bool:
    """True if no scoring is pending: the pair's record has the same inputs, options and scoring identity."""
    asked = pair.options
    if record["options"]["pair"] != plain(asdict(asked.pair)):
        return False
    if ScoringIdentity.of_record(record, asked.score.backend) != method.identity:
        return False
    opened = open_settled(pair.before, pair.after, asked.pair, wanted=method.bands)
    now = {date: describe_input(getattr(opened, date), opened) for date in ("before", "after")}
    return bool(record["inputs"] == plain(now))
