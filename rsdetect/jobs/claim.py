"""Output folder of a detection job: claimed, or with the results of the same job."""

from __future__ import annotations

import logging
from pathlib import Path

from rsdetect.errors import InputError
from rsdetect.jobs.change_map import ChangeMap
from rsdetect.jobs.check import verify_blocks
from rsdetect.jobs.inputs import refuse_inputs
from rsdetect.jobs.options import DetectOptions, RunOptions
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.polygons import PolygonRequest
from rsdetect.jobs.record import read_record
from rsdetect.jobs.zones import Zones, digest_of
from rsdetect.scenes.extent import require_room
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.engine import require_scheduler

_log = logging.getLogger(__name__)


def claim_folder(pair: Pair, out: Path, options: DetectOptions) -> Outputs:
    """Claim the output folder of a detect job, once all that needs no pixels is known to be right."""
    if options.score.scheduler is not None:
        require_scheduler(options.score.scheduler)
    require_room(pair.grid, out)
    refuse_inputs(out, (*pair.local_files, *_other_inputs(options)))
    if options.run.verify:
        verify_blocks(pair)
    return Outputs.claim(out, overwrite=options.run.overwrite)


def _other_inputs(options: DetectOptions) -> list[str]:
    """Files beside the scenes and masks that the job may read."""
    named = (options.pair.aoi, options.score.model, options.run.zones)
    return [each for each in named if isinstance(each, str)]


def done_before(
    outputs: Outputs, out: Path, key: str, asked: PolygonRequest, run: RunOptions, zones: Zones | None
) -> ChangeMap | None:
    """Results of the same detect job, with the same zones, if it was stopped after its last file."""
    if run.overwrite:
        _name_vectorize(out, key, asked)
        return None
    if not outputs.was_left:
        return None
    added = {"kinds": run.kinds, "zones": run.zones}
    done = ChangeMap.of_same_job(out, key, asked.as_record() | digest_of(zones), added)
    if done is not None:
        outputs.clear()
    return done


def _name_vectorize(out: Path, key: str, asked: PolygonRequest) -> None:
    """Log that `vectorize` suffices, if the results in `out` have the scores of this detect job."""
    try:
        record = read_record(out / Outputs.RECORD)
    except (OSError, ValueError, InputError):
        return
    if record.get("fingerprint") == key and record | asked.as_record() != record:
        _log.warning(
            f"only options of polygons differ from the results in {out}: rsdetect vectorize {out} draws them "
            "without scoring."
        )
