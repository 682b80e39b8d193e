"""Subject of `rsdetect info`: what a name, a folder or a file is, and what there is to show of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsdetect.commands.info_text import Row, card_rows, ensemble_rows, run_rows
from rsdetect.errors import InputError, ModelError

BEST = "best"
_JOB_FILES = (".yaml", ".yml")
_MODEL_FILE = ".safetensors"


@dataclass(frozen=True)
class Subject:
    """What `rsdetect info` shows: rows for people, and content in JSON types for programs."""

    rows: list[Row]
    content: Mapping[str, Any]


def subject_of(what: str) -> Subject:
    """Subject of a model's name, a folder or a file.

    Raises
    ------
    InputError
        It is nothing that rsdetect has written.
    """
    path = Path(what)
    if path.is_dir():
        for find in (_run, _batch, _job):
            found = find(path)
            if found is not None:
                return found
        raise InputError(f"{path} {_why_nothing(path)}")
    if what.lower() == BEST and not path.exists():
        from rsdetect.detectors.best_card import best_card

        ensemble = best_card()
        return Subject(list(ensemble_rows(ensemble)), asdict(ensemble))
    if path.suffix.lower() in _JOB_FILES and path.exists():
        return _job_file(path)
    if path.is_file() and path.suffix.lower() != _MODEL_FILE:
        return _of_folder(path) or _odd_model(path)
    return _model(what)


def _run(folder: Path) -> Subject | None:
    """Subject of the folder of a finished run of `detect`."""
    from rsdetect.jobs.outputs import Outputs
    from rsdetect.jobs.record import reading_record
    from rsdetect.jobs.vectorize import read_run

    if not (Outputs.is_publishing(folder) or (folder / Outputs.RECORD).exists()):
        return None
    record = read_run(folder)
    with reading_record(folder):
        return Subject(list(run_rows(record, folder)), record)


def _batch(folder: Path) -> Subject | None:
    """Subject of the folder of a batch, or of one of its shards."""
    from rsdetect.batches.batch_record import read_batch, shard_folders
    from rsdetect.batches.pairs import REPORT
    from rsdetect.batches.status import batch_status
    from rsdetect.commands.info_series import batch_rows

    has_record = (folder / REPORT).exists()
    if not has_record and not shard_folders(folder):
        return None
    status = batch_status(folder)
    if not has_record:
        return Subject(list(batch_rows(status, None, folder)), status.as_content())
    record = read_batch(folder)
    rows = list(batch_rows(status, record, folder))
    return Subject(rows, record | {"made": sorted(record["made"])})


def _job(folder: Path) -> Subject | None:
    """Subject of the folder of a monitoring job."""
    from rsdetect.commands.info_series import job_rows
    from rsdetect.monitoring.job_folder import JobFolder
    from rsdetect.monitoring.status import folder_status

    job = JobFolder(folder)
    if not job.journal.exists():
        return None
    status = folder_status(job)
    return Subject(list(job_rows(status, "JOB.yaml")), status.as_json())


def _job_file(path: Path) -> Subject:
    """Subject of a job file."""
    from rsdetect.commands.info_series import job_rows
    from rsdetect.monitoring.status import job_status

    status = job_status(path)
    return Subject(list(job_rows(status, str(path))), status.as_json())


def _of_folder(path: Path) -> Subject | None:
    """Subject of the folder that a file is a result in."""
    from rsdetect.batches.pairs import INDEX, POLYGONS, REPORT, TABLE
    from rsdetect.jobs.outputs import Outputs
    from rsdetect.monitoring.job_folder import JobFolder

    job = JobFolder(path.parent)
    kinds: tuple[tuple[tuple[str, ...], Callable[[Path], Subject | None]], ...] = (
        (Outputs.RESULTS, _run),
        ((TABLE, REPORT, POLYGONS, INDEX), _batch),
        ((job.events.name, job.summary.name, job.heartbeat.name, job.report.name), _job),
    )
    for names, find in kinds:
        if path.name in names and (found := find(path.parent)) is not None:
            return found
    if path.name == job.journal.name and path.parent.name == job.inner.name:
        return _job(path.parent.parent)
    return None


def _model(what: str) -> Subject:
    """Subject of a model, by its name or file."""
    from rsdetect.nets.checkpoint import model_hash, read_card

    card, sha256 = read_card(what), model_hash(what)
    return Subject(list(card_rows(card, sha256)), card.model_dump(mode="json") | {"sha256": sha256})


def _odd_model(path: Path) -> Subject:
    """Subject of a model whose file has another suffix than usual."""
    try:
        return _model(str(path))
    except ModelError as error:
        raise InputError(f"{path} is {_kind_of(path)}") from error


def _kind_of(path: Path) -> str:
    """What a file is that is neither a model nor a result, and what to do, for a message."""
    import rasterio

    if path.suffix.lower() == ".gpkg":
        return "no file in the folder of a run; its layers name scenes and run in their metadata (ogrinfo)."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rasterio.open(path).close()
    except rasterio.errors.RasterioError:
        return "neither a model nor a result of rsdetect; give a model, a job file or a folder of results."
    return "a raster, not a result in its folder; rsdetect check BEFORE AFTER describes two scenes."


def _why_nothing(folder: Path) -> str:
    """Why a folder has nothing to show, for a message."""
    from rsdetect.evaluation.output_files import COMPARISON, COMPARISON_PAGE, PAGE, RECORD

    for record, page in ((RECORD, PAGE), (COMPARISON, COMPARISON_PAGE)):
        if (folder / record).exists():
            return f"holds no changes but figures on detectors; open {folder / page}."
    if not any(folder.iterdir()):
        return "is empty; give a folder of results."
    return "holds no finished run, batch or monitoring job of rsdetect; give a folder of results."
