"""Tiles, workers and memory of a detection job."""

from __future__ import annotations

from dataclasses import dataclass

from rsdetect.detectors import Scorer
from rsdetect.devices import usable_cores
from rsdetect.jobs.options import ScoreOptions
from rsdetect.kinds.rules import LandRules
from rsdetect.memory import MemoryBudget, parse_memory, usual_memory
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.engine import require_scheduler
from rsdetect.scoring.planning import plan_for
from rsdetect.tiles import TilePlan, plan_tiles


@dataclass(frozen=True, kw_only=True)
class Job:
    """Detection job: a fitted pair and its scoring parameters."""

    pair: Pair
    scorer: Scorer
    plan: TilePlan
    workers: int  # tiles in flight
    memory: MemoryBudget
    land: LandRules | None = None


def plan_job(pair: Pair, scorer: Scorer, options: ScoreOptions, memory: MemoryBudget) -> Job:
    """Plan the tiles of a detect job: of the requested size, else as large as the memory allows."""
    workers = _tiles_in_flight(options)
    if options.tile_size is None:
        plan = plan_for(pair, scorer, memory, workers)
    else:
        plan = plan_tiles(pair.grid, options.tile_size, scorer.halo, scorer.stride)
    return Job(pair=pair, scorer=scorer, plan=plan, workers=workers, memory=memory)


def _tiles_in_flight(options: ScoreOptions) -> int:
    """Number of tiles in flight of a detect job; as many as local cores before a worker connects."""
    if options.workers is not None:
        return options.workers
    there = 0 if options.scheduler is None else require_scheduler(options.scheduler)
    return there or usable_cores()


def job_memory(options: ScoreOptions) -> MemoryBudget:
    """Memory budget of a detect job; on a cluster, of each worker process, with one tile in flight."""
    workers = 1 if options.scheduler is not None else options.workers or usable_cores()
    asked = usual_memory(workers) if options.memory is None else parse_memory(options.memory)
    return MemoryBudget.of(asked, workers)
