"""Composition of the scenes of a period: copied onto the grid of the area, and their median written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

from rsdetect.catalogue.candidates import Candidates, PeriodScene, period_scene
from rsdetect.errors import InputError, JobInterrupted, RsdetectError
from rsdetect.feeds.scene_refs import SceneRef
from rsdetect.files import as_json, clear_unfinished, free_bytes, hash_json, remove_folder, write_text
from rsdetect.folders import HeldFolder
from rsdetect.ingestion.composite import composite_median
from rsdetect.ingestion.ingest import SetAside, ingest_content, ingest_fingerprint, open_ingested
from rsdetect.ingestion.ingested_scene import IngestedScene, copy_name
from rsdetect.ingestion.rasters import write_raster
from rsdetect.ingestion.site import Site
from rsdetect.progress import show_progress
from rsdetect.secrets import all_without_secrets

FOLDER = "scenes"  # in the output folder
COPIES = ".copies"
_EDGES = (512, 256, 128, 64)  # of the windows of a composite, in pixels
_MOST_BYTES = 2**28  # of the observations of a window
_BYTES_A_VALUE = 2.5  # of a copy, compressed
_GIB = 2**30


@dataclass(frozen=True)
class Composed:
    """Composed scene of a period."""

    path: Path
    day: str  # ISO date of the latest scene in it
    scenes: tuple[PeriodScene, ...]  # all of the period


@contextmanager
def held_copies(out: Path) -> Iterator[Path]:
    """Folder of the scenes of periods in an output folder, held by this run.

    Copies remain after a failure, so that the same command goes on from them.

    Raises
    ------
    JobInterrupted
        Another run is active in it.
    """
    folder = out / FOLDER
    busy = JobInterrupted(f"another run is active in {folder}; wait for it or choose another.")
    held = HeldFolder.hold(folder, COPIES, busy=busy)
    keep = True
    try:
        clear_unfinished(folder)
        clear_unfinished(held.inner)
        yield folder
        remove_folder(held.inner)
        keep = False
    finally:
        held.release(trace=keep and any(held.inner.glob("*.tif")))


def compose_period(found: Candidates, which: str, folder: Path, *, quiet: bool) -> Composed:
    """Write the composite of the scenes of a period that are taken into `folder`.

    Raises
    ------
    InputError
        None of its scenes can be used; the message names the first reason.
    JobInterrupted
        A server does not answer, or the disk is full; the same command goes on.
    """
    copies = folder / COPIES
    outcomes = _ingest(found, which, copies, quiet=quiet)
    usable = [each for each in outcomes.values() if isinstance(each, IngestedScene)]
    if not usable:
        scene, reason = next(iter(outcomes.items()))
        raise InputError(f"no scene of `{which}_period` can be used; {scene}: {str(reason).rstrip('.')}.")
    path = folder / f"{which}.tif"
    key, note = hash_json([each.fingerprint for each in usable]), copies / f"{which}.json"
    if not (path.exists() and _read_note(note) == {"key": key}):
        _write_composite(found, usable, path)
        write_text(note, as_json({"key": key}))
    scenes = tuple(
        _described(ref, share, outcomes.get(ref.id))
        for ref, share in zip(found.refs[which], found.shares[which], strict=True)
    )
    return Composed(path, max(each.taken for each in usable).astimezone(UTC).date().isoformat(), scenes)


def _described(ref: SceneRef, share: float | str, outcome: IngestedScene | str | None) -> PeriodScene:
    """Scene of a period as it came out: with the share that was measured on the grid of the area."""
    if outcome is None:
        return period_scene(ref, share, is_taken=False)
    if isinstance(outcome, str):
        return period_scene(ref, outcome, is_taken=False)
    return period_scene(ref, outcome.valid_share, is_taken=True)


def _ingest(found: Candidates, which: str, copies: Path, *, quiet: bool) -> dict[str, IngestedScene | str]:
    """Outcome by scene of a period: ingested, or why it cannot be used."""
    refs = found.ranked[which]
    alone = found.pick == "least-cloud"
    _require_room(found.site, 1 if alone else len(refs), copies)
    pixels = found.site.grid.height * found.site.grid.width
    outcomes: dict[str, IngestedScene | str] = {}
    with show_progress(f"reading {which}", pixels * (1 if alone else len(refs)), quiet=quiet) as progress:
        for ref in refs:
            outcomes[ref.id] = outcome = _ingest_one(ref, found, copies)
            progress.advance(pixels)
            if alone and isinstance(outcome, IngestedScene):
                break
    return outcomes


def _ingest_one(ref: SceneRef, found: Candidates, copies: Path) -> IngestedScene | str:
    """A scene of a period on the grid of the area, from an earlier attempt where that finished it."""
    key = ingest_fingerprint(ref, found.site, found.options)
    note = copies / f"{key}.json"
    content = _read_note(note)
    try:
        if content is None or not Path(content["path"]).exists():
            content = ingest_content(ref, found.site, found.options, copies / copy_name(key))
            write_text(note, as_json(all_without_secrets(content)))
    except JobInterrupted:
        raise
    except (SetAside, RsdetectError) as error:
        return str(error)
    share = float(content["valid_share"])
    if not share:
        return "nothing of the area is clear"
    return IngestedScene(ref.id, ref.taken, content["path"], content["mask"], key, share, clouded=False)


def _read_note(path: Path) -> dict[str, Any] | None:
    """Note of an earlier attempt on a period; None without one."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _write_composite(found: Candidates, scenes: Sequence[IngestedScene], path: Path) -> None:
    """Write the median of a period's scenes, by windows whose observations fit into a bounded memory."""
    site = found.site
    opened = [open_ingested(each, site, found.options) for each in scenes]
    fits = (edge for edge in _EDGES if 4 * len(opened) * len(site.names) * edge**2 <= _MOST_BYTES)
    windows = site.blocks(next(fits, _EDGES[-1]))
    pieces = ((window, composite_median(opened, window, len(opened))) for window in windows)
    write_raster(path, site.grid, site.names, pieces)


def _require_room(site: Site, copies: int, folder: Path) -> None:
    """Raise `JobInterrupted` where the copies of a period's scenes exceed the free disk space."""
    needed = copies * len(site.names) * site.grid.height * site.grid.width * _BYTES_A_VALUE
    free = free_bytes(folder)
    if free is not None and free < needed:
        raise JobInterrupted(
            f"{folder}: {free / _GIB:,.2f} GiB are free, and copies of {copies} scenes need about "
            f"{needed / _GIB:,.2f} GiB; free some, or take fewer scenes or a smaller area."
        )
