"""Commands as Python calls: paths and keywords in, results out.

`detect`, `score`, `check` and `evaluate` stand beside what they run; these here only pass on. What they run
is imported by the call, so that `import rsdetect` stays quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

from rsdetect.extras import require_training
from rsdetect.validation import refuse_unknown

if TYPE_CHECKING:
    from rsdetect.batches.batch_report import BatchReport
    from rsdetect.jobs.change_map import ChangeMap
    from rsdetect.jobs.options import DetectKeywords, OutlineKeywords
    from rsdetect.monitoring.run import NotifiedRun
    from rsdetect.nets.card import Card
    from rsdetect.simulation.spec import SceneKeywords
    from rsdetect.simulation.write_pair import SimulatedPair
    from rsdetect.training.options import TrainKeywords


def batch(
    pairs: str | Path,
    *,
    out: str | Path,
    shard: str | None = None,
    collect: bool = False,
    join: bool = True,
    stop_at_defects: bool = False,
    **options: Unpack[DetectKeywords],
) -> BatchReport:
    """Find the changes of every pair of a list, one folder per pair; finished pairs are skipped.

    Parameters
    ----------
    pairs
        A CSV with the columns name, before, after, as `rsdetect batch` reads it.
    out
        Folder for the results.
    shard
        "1/8" to "8/8": only this part of the list, every eighth pair.
    collect
        Run nothing, but collect the results of all shards of the list in `out`, which has no other options.
    join
        Join the changes of neighbouring pairs in `changes.gpkg`, so that ground counts once.
    stop_at_defects
        Raise defects of rsdetect instead of continuing with the next pair.
    **options
        As of `detect`, for all pairs without their own.

    Raises
    ------
    InputError
        The list or the options are wrong; nothing was written. Failures of single pairs are in the report.
    JobInterrupted
        The batch stopped; the same call resumes it.
    """
    from rsdetect.batches.run import run_batch
    from rsdetect.batches.shards import Shard, collect_batch
    from rsdetect.jobs.options import DetectOptions

    if collect:
        return collect_batch(Path(pairs), Path(out), join=join)
    return run_batch(
        Path(pairs),
        Path(out),
        DetectOptions.from_keywords(**options),
        shard=None if shard is None else Shard.parse(shard),
        join=join,
        stop_at_defects=stop_at_defects,
    )


def monitor(job_file: str | Path, *, wait_s: float = 0.0, retry: bool = False) -> NotifiedRun:
    """Run a monitoring job once: compare new scenes, update the events, send notifications.

    Parameters
    ----------
    job_file
        A YAML file, as `rsdetect monitor init` writes an example.
    wait_s
        Seconds to wait for another run of the same job to end.
    retry
        Try scenes again that were set aside after ten failures.

    Raises
    ------
    InputError
        The job file or a file in it is wrong; nothing was changed.
    JobInterrupted
        The source of scenes cannot be reached, or another run is active.
    """
    from rsdetect.monitoring.run import run_and_notify

    return run_and_notify(Path(job_file), wait_s=wait_s, retry=retry)


def report(folder: str | Path) -> Path:
    """Make the report page of a finished job again, and return its path.

    Parameters
    ----------
    folder
        What `detect` wrote. The page lacks the pictures of scenes that are gone, with the reason.

    Raises
    ------
    InputError
        The folder holds no finished job.
    """
    from rsdetect.jobs.report.remake import remake_report

    return remake_report(Path(folder))


def simulate(
    out: str | Path, *, overwrite: bool = False, workers: int | None = None, **options: Unpack[SceneKeywords]
) -> SimulatedPair:
    """Write a georeferenced pair of scenes with known change into the folder `out`.

    Parameters
    ----------
    workers
        Number of processes; None = this one. The pixels do not depend on it.
    **options
        The fields of `rsdetect.simulation.SceneSpec`: kind, height, width, seed, gsd_m, change, cloud,
        shift_px, nodata_edge, contrast.

    Raises
    ------
    OutputError
        Scenes are there already, or the folder cannot be written.
    """
    from rsdetect.simulation.spec import SceneKeywords, SceneSpec
    from rsdetect.simulation.write_pair import simulate_pair

    refuse_unknown(options, SceneKeywords)
    return simulate_pair(Path(out), SceneSpec(**options), overwrite=overwrite, workers=workers or 1)


def train(
    folders: str | Path | Sequence[str | Path] = (), *, out: str | Path, **options: Unpack[TrainKeywords]
) -> Card | None:
    """Train a model and write its file; the same call resumes a stopped training.

    Parameters
    ----------
    folders
        Folders of labelled pairs; none if the recipe has other sources.
    out
        The model file, .safetensors.
    **options
        The fields of `rsdetect.training.options.TrainOptions`.

    Returns
    -------
    Card
        None except in the first process of distributed training.

    Raises
    ------
    InputError
        The options or the data are wrong; no model was written.
    JobInterrupted
        The training stopped; the same call resumes it.
    """
    require_training()
    from rsdetect.training.options import TrainOptions
    from rsdetect.training.run import train as run_training

    return run_training(TrainOptions.from_keywords(folders, out, **options))


def vectorize(
    folder: str | Path,
    *,
    threshold: float | Literal["auto"] | None = None,
    **outlines: Unpack[OutlineKeywords],
) -> ChangeMap:
    """Draw the polygons of a finished job again, without scoring.

    Parameters
    ----------
    folder
        What `detect` wrote.
    threshold
        As of `detect`; None = as before, "auto" = the detector's own threshold.
    **outlines
        As of `detect`: opening, min_area, fill_holes, min_width, merge_gap, simplify, shape_attributes; those
        that are not given stay as before.

    Raises
    ------
    InputError
        The folder holds no finished job, or an option is wrong.
    """
    from rsdetect.jobs.change_map import ChangeMap
    from rsdetect.jobs.vectorize import vectorize_run

    vectorize_run(Path(folder), threshold=threshold, **outlines)
    return ChangeMap.open(folder)
