"""What is left of a pair to do, by the record that an earlier run of it left."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from rsdetect.batches.pairs import BatchPair
from rsdetect.detectors.identity import ScoringIdentity
from rsdetect.errors import InputError
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.record import describe_input, plain
from rsdetect.jobs.vectorize import read_run
from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.pair import open_pair
from rsdetect.schema import NewerSchema


class Left(Enum):
    """What is left of a pair to do."""

    NOTHING = "nothing"
    POLYGONS = "polygons"  # scored as asked, outlined by another threshold, minimum area or simplification
    ALL = "all"


@dataclass(frozen=True)
class Method:
    """How pairs are scored."""

    bands: WantedBands | None  # that the detector wants
    identity: ScoringIdentity


def what_is_left(pair: BatchPair, folder: Path, method: Method) -> Left:
    """Compare what the record in `folder` says with what the list asks for now.

    A pair is scored anew when a scene or a mask is another file by now (path, size, time stamp, checksums of
    header and sample), when the bands, masks, area of interest or alignment differ, or when it is scored in
    another way (`ScoringIdentity`). What does not change the result, such as the size of the tiles, does not
    count.

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
        return Left.ALL
    if any(not (folder / name).exists() for name in (Outputs.RASTER, Outputs.POLYGONS)):
        return Left.ALL
    if not _is_scored_as_asked(pair, record, method):
        return Left.ALL
    asked = pair.options.polygons
    threshold = record["detector"]["threshold"] if asked.threshold is None else asked.threshold
    drawn = record["threshold"], record["min_area"], record["simplify"]
    return Left.NOTHING if drawn == (threshold, asked.min_area, asked.simplify) else Left.POLYGONS


def _is_scored_as_asked(pair: BatchPair, record: dict[str, Any], method: Method) -> bool:
    asked = pair.options
    if record["options"]["pair"] != plain(asdict(asked.pair)):
        return False
    if ScoringIdentity.of_record(record, asked.score.backend) != method.identity:
        return False
    opened = open_pair(pair.before, pair.after, asked.pair, wanted=method.bands)
    now = {date: describe_input(getattr(opened, date), opened) for date in ("before", "after")}
    return bool(record["inputs"] == plain(now))
