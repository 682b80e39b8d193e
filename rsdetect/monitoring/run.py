"""Run of a monitoring job: list scenes, ingest and compare them, track events, write the layers, notify."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import rasterio

from rsdetect.detectors import Detector, choose_device, make_detector
from rsdetect.detectors.identity import ScoringIdentity
from rsdetect.detectors.own_file import full_name
from rsdetect.detectors.settings import as_settings
from rsdetect.errors import InputError, JobInterrupted, OutputError
from rsdetect.feeds import make_feed
from rsdetect.feeds.passes import merge_passes
from rsdetect.feeds.scene_refs import SceneListing
from rsdetect.ingestion.site import Site, choose_site, require_site_bands, site_from_journal
from rsdetect.jsontypes import JsonObject
from rsdetect.memory import GDAL_CACHE_BYTES
from rsdetect.monitoring.events import Event, Status
from rsdetect.monitoring.events_gpkg import write_events_gpkg
from rsdetect.monitoring.failures import reporting_failure
from rsdetect.monitoring.heartbeat import beat_at_begin
from rsdetect.monitoring.history_store import load_events, load_observations, store_history
from rsdetect.monitoring.hooks import require_hook
from rsdetect.monitoring.job import FixedBaseline, Job
from rsdetect.monitoring.job_file import read_job
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.notify import deliver_news
from rsdetect.monitoring.prune import prune_folder, require_space
from rsdetect.monitoring.tracking import History
from rsdetect.monitoring.update import JobUpdate
from rsdetect.paths import named_or_from_folder
from rsdetect.secrets import without_secrets


@dataclass(frozen=True)
class NotifiedRun:
    """Run of a job with the delivery of its news."""

    result: RunResult
    summary: JsonObject | None  # as in summary.json; None where the delivery failed
    notify_error: str  # why the news were not delivered; "" where they were, or where there were none

    @property
    def status(self) -> int:
        """Exit status of the run: 0 = done; 3 = something failed, and the next run tries it again."""
        return 3 if self.notify_error else self.result.status


def run_and_notify(job_file: Path, *, wait_s: float = 0.0, retry: bool = False) -> NotifiedRun:
    """Run a job and deliver its news; a failed delivery leaves the run's results in effect.

    A run that ends without success is reported to the hook of `on_failure`.

    Raises
    ------
    InputError
        As `run_job`.
    JobInterrupted
        As `run_job`.
    """
    return reporting_failure(job_file, lambda held: _run_and_notify(job_file, wait_s, retry, held))


def _run_and_notify(job_file: Path, wait_s: float, retry: bool, held: ExitStack) -> NotifiedRun:
    """Run a job and deliver its news; its folder is held until `held` is closed."""
    ready = prepare_run(job_file)
    held.enter_context(ready.folder.held(wait_s))
    result = _run_in_folder(ready, retry)
    try:
        summary = deliver_news(job_file, result.job, result.folder, result.summary())
    except JobInterrupted as error:
        return NotifiedRun(result, None, str(error))
    return NotifiedRun(result, summary, "")


SITE, JOB = "site", "job"


@dataclass(frozen=True)
class RunResult:
    """Result of a run: what was compared, what failed, and which events changed since the last run."""

    job: Job
    folder: JobFolder
    history: History
    compared: tuple[str, ...]  # ids of the scenes compared by this run
    failed: tuple[tuple[str, str], ...]  # (scene, reason); the next run tries them again
    set_aside: tuple[tuple[str, str], ...]  # (scene, reason)
    given_up: tuple[str, ...]  # of them those that failed their last try in this run
    clouded: tuple[str, ...]  # scenes with too few valid pixels
    listed: int  # scenes in the source
    ingested: int  # of them new or changed
    notes: tuple[str, ...]  # on scenes that this run ingested
    left_out: tuple[str, ...]  # why the source left out scenes
    unmatched: tuple[str, ...]  # files of the source's folder that do not fit the pattern
    unreached: float | None  # share of the area of interest that no scene covers; None = unknown
    waiting: tuple[str, ...]  # ids of scenes without a baseline yet
    changed: tuple[
        tuple[Event, Status | None], ...
    ]  # events whose status changed, with the status before; None = new

    @property
    def status(self) -> int:
        """Exit status of the run: 0 = done, 3 = something failed: to be tried again, or given up now."""
        return 3 if self.failed or self.given_up else 0

    def became(self, status: Status) -> tuple[Event, ...]:
        """Events that changed to this status, or began with it, in the run."""
        return tuple(event for event, _ in self.changed if event.status is status)

    def summary(self) -> JsonObject:
        """Summary of the run in JSON types."""
        counts = {str(status): 0 for status in Status}
        for event in self.history.events:
            counts[str(event.status)] += 1
        return {
            "rsdetect": "monitor",
            "site": self.job.site,
            "status": self.status,
            "compared": list(self.compared),
            "failed": [{"scene": scene, "reason": reason} for scene, reason in self.failed],
            "set_aside": [{"scene": scene, "reason": reason} for scene, reason in self.set_aside],
            "given_up": list(self.given_up),
            "waiting": list(self.waiting),
            "notes": list(self.notes),
            "left_out": list(self.left_out),
            "unmatched": list(self.unmatched),
            "aoi_not_covered": self.unreached,
            "events": counts,
            "changed": [
                {"event": event.id, "status": str(event.status), "before": None if was is None else str(was)}
                for event, was in self.changed
            ],
            "layers": str(self.folder.events),
        }


def run_job(job_file: Path, *, wait_s: float = 0.0, retry: bool = False) -> RunResult:
    """Run a job: bring it up to date with its source of scenes.

    Parameters
    ----------
    wait_s
        Seconds to wait for another run of the same job.
    retry
        Try scenes again that were set aside because they failed too often.

    Raises
    ------
    InputError
        The job file, the source, the area of interest or the output folder is wrong; nothing was changed.
    JobInterrupted
        The source is unreachable, or another run holds the folder.
    """
    ready = prepare_run(job_file)
    with ready.folder.held(wait_s):
        return _run_in_folder(ready, retry)


def _run_in_folder(ready: PreparedRun, retry: bool) -> RunResult:
    """Run a job in its folder, which this process holds."""
    job, folder, detector = ready.job, ready.folder, ready.detector
    sought = ready.refs, ready.fixed, ready.aoi, job.scenes.accept
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        site = None if folder.journal.exists() else choose_site(*sought, align=job.scenes.align)
        if site is not None:  # bad options are refused before the folder is created
            require_site_bands(site, job.scenes.bands, detector.bands)
        require_space(job, folder)
        with Journal(folder.journal, write=True) as journal:
            _require_folder_of_job(journal, job, folder)
            if retry:
                journal.forget_tries()
            fact = journal.fact(SITE)
            site = site_from_journal(fact, ready.aoi) if fact is not None else site
            if site is None:
                site = choose_site(*sought, align=job.scenes.align)
            if site is not None:
                require_site_bands(site, job.scenes.bands, detector.bands)
            return _run_update(journal, job, folder, ready.scoring, site, ready.refs)


@dataclass(frozen=True)
class PreparedRun:
    """Run of a job that has read its job file and listed its scenes, and has changed nothing."""

    job: Job
    folder: JobFolder
    aoi: str | None
    detector: Detector
    scoring: ScoringIdentity
    refs: SceneListing
    fixed: str | None  # id of the scene of a fixed baseline


def prepare_run(job_file: Path) -> PreparedRun:
    """Prepare a run: read the job file, load the detector, and list the scenes; errors as `run_job`."""
    job = _with_full_paths(read_job(job_file), job_file)
    for section in (job.news, job.on_failure):
        require_hook(section, job_file.absolute().parent)
    folder = JobFolder(job.resolve_path(job.out, job_file))
    aoi = job.aoi_path(job_file)
    asked = job.detector
    on_cluster = asked.scheduler is not None
    device = choose_device(asked.name, asked.device, asked.backend, on_cluster=on_cluster)
    detector = make_detector(
        asked.name, asked.model, device, asked.backend, as_settings(asked.detector_options)
    )
    scoring = ScoringIdentity.of(detector, asked.backend)
    refs = list_scenes(job, job_file, aoi)
    fixed = _fixed_baseline_id(job, refs)
    if fixed is not None and any(ref.id == fixed and _asked_scene(job) in ref.replaces for ref in refs):
        job = job.model_copy(update={"baseline": FixedBaseline(scene=fixed)})
    return PreparedRun(job, folder, aoi, detector, scoring, refs, fixed)


def _with_full_paths(job: Job, job_file: Path) -> Job:
    folder, asked = job_file.absolute().parent, job.detector
    found = {
        "name": asked.name and full_name(asked.name, folder),
        "model": asked.model and named_or_from_folder(asked.model, folder),
    }
    return job.model_copy(update={"detector": asked.model_copy(update=found)})


def list_scenes(job: Job, job_file: Path, aoi: str | None) -> SceneListing:
    """List the scenes for a run of the job, by date, without those the job excludes.

    Raises
    ------
    InputError
        No scene is left.
    """
    listed = make_feed(job.source, job_file.absolute().parent, aoi).list_scenes()
    excluded = set(job.scenes.exclude)
    merged = merge_passes([ref for ref in listed if ref.id not in excluded])
    kept = tuple(ref for ref in merged if ref.id not in excluded)
    refs = SceneListing(kept, listed.left_out, listed.unmatched)
    if not refs:
        raise InputError(
            f"{job_file} excludes all {len(listed)} scenes of its source."
            if listed
            else f"the source of {job_file} has no scene that is complete and clear enough: "
            f"{' '.join(listed.left_out[-3:])}"
        )
    fixed = job.baseline
    if isinstance(fixed, FixedBaseline) and _fixed_baseline_id(job, refs) is None:
        raise InputError(f"the baseline {fixed.scene} is not one of the {len(refs)} scenes of the source.")
    return refs


def _asked_scene(job: Job) -> str | None:
    """Scene that the job of the run names as its fixed baseline."""
    return job.baseline.scene if isinstance(job.baseline, FixedBaseline) else None


def _fixed_baseline_id(job: Job, refs: SceneListing) -> str | None:
    """Id of the scene of a run's fixed baseline; None = another policy, or not listed."""
    if not isinstance(job.baseline, FixedBaseline):
        return None
    wanted = job.baseline.scene
    return next((ref.id for ref in refs if wanted in (ref.id, ref.day, *ref.replaces)), None)


def _require_folder_of_job(journal: Journal, job: Job, folder: JobFolder) -> None:
    """Raise if the folder belongs to another site or source; all other options may change between runs."""
    place = getattr(job.source, "path", None) or getattr(job.source, "url", None)
    ours = {"site": job.site, "source": [job.source.kind, without_secrets(str(place))]}
    theirs = journal.fact(JOB)
    if theirs is None:
        journal.put_fact(JOB, ours)
    elif theirs != ours:
        raise OutputError(
            f"{folder.out} belongs to the job of {theirs['site']!r} with scenes from {theirs['source'][1]}, "
            f"and this one monitors {ours['site']!r} with scenes from {place}; choose another folder."
        )


def _run_update(
    journal: Journal,
    job: Job,
    folder: JobFolder,
    scoring: ScoringIdentity,
    site: Site | None,
    refs: SceneListing,
) -> RunResult:
    """Run an update of the journal and write the layers where the history changed."""
    number = journal.begin_run()
    beat_at_begin(folder)
    known = History(load_events(journal), load_observations(journal))
    before = {event.id: event.status for event in known.events}
    update = JobUpdate(journal, job, folder, scoring)
    if site is not None:
        journal.put_fact(SITE, site.as_journal_fact())
        update.ingest_scenes(site, refs)
        update.track_events(site)
    else:  # no scene is readable, and each is reported
        update.fail_all(refs)
    history = update.history
    if site is not None and not (history == known and folder.events.exists()):
        write_events_gpkg(folder.events, history, site.grid.crs, job.site)
        store_history(journal, history)  # last: after a kill in between, the next run writes both again
    update.remove_unused()
    pruned = prune_folder(journal, job, folder)
    if pruned.removals:
        update.notes.append(f"{pruned} were removed (keep)")
    changed = tuple(
        (event, before.get(event.id)) for event in history.events if event.status != before.get(event.id)
    )
    result = RunResult(
        job=job,
        folder=folder,
        history=history,
        compared=tuple(update.compared),
        failed=tuple(update.failed.items()),
        set_aside=tuple(update.set_aside.items()),
        given_up=tuple(update.given_up),
        clouded=tuple(update.clouded),
        listed=len(refs),
        ingested=update.ingested,
        notes=tuple(update.notes),
        left_out=refs.left_out,
        unmatched=refs.unmatched,
        unreached=update.unreached,
        waiting=tuple(update.waiting),
        changed=changed,
    )
    journal.end_run(number, result.status, result.summary())
    return result
