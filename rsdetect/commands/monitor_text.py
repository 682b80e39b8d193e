"""Text of monitoring runs and status for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from rsdetect.amounts import area_text
from rsdetect.commands.tables import print_table
from rsdetect.feeds.scene_refs import unmatched_text
from rsdetect.monitoring.events import Event, Status
from rsdetect.monitoring.run import RunResult
from rsdetect.monitoring.status import JobStatus

_MOST_LEFT_OUT = 5  # scenes that are named
_MOST_LISTED = 10  # lines of one kind
_SHOWN_FIRST = (Status.CONFIRMED, Status.NEW, Status.UNOBSERVED, Status.RESOLVED, Status.MERGED)


def run_lines(result: RunResult) -> Iterator[str]:
    """Lines of text on a monitoring run and its results."""
    compared = len(result.compared)
    if not compared and not result.changed and not result.failed:
        yield f"{result.job.site}: nothing new ({_why_nothing(result)}); {result.folder.events}"
    else:
        scenes = f"{compared} scene{'s' if compared != 1 else ''}"
        yield f"{result.job.site}: {scenes} compared; {result.folder.events}"
    set_aside = [f"{scene} is set aside: {reason}" for scene, reason in result.set_aside]
    yield from _first_lines("Warning: ", set_aside, "scenes are set aside")
    if result.unreached:
        yield f"Warning: {result.unreached:.0%} of the area of interest is not covered by any scene"
    if result.unmatched:
        yield f"Warning: {unmatched_text(result.unmatched)}"
    yield from _first_lines("Note: ", result.notes, "notes")
    for left_out in result.left_out[-_MOST_LEFT_OUT:]:
        yield f"Warning: {left_out}"
    if len(result.left_out) > _MOST_LEFT_OUT:
        yield f"Warning: {len(result.left_out) - _MOST_LEFT_OUT} earlier scenes are left out, too"
    changed = [event for status in _SHOWN_FIRST for event in _largest_first(result.became(status))]
    if len(changed) > _MOST_LISTED:
        counts = {status: len(result.became(status)) for status in _SHOWN_FIRST}
        named = ", ".join(f"{count:,} {status}" for status, count in counts.items() if count)
        yield f"{len(changed):,} events changed: {named}"
    yield from _first_lines("  ", [f"{event.id} {_words(event)}" for event in changed], "events")


def failure_lines(result: RunResult) -> Iterator[str]:
    """Lines of text on the scenes on which a monitoring run failed."""
    failed = [f"{scene} failed; the next run tries it again: {reason}" for scene, reason in result.failed]
    return _first_lines("Error: ", failed, "scenes failed")


def _first_lines(prefix: str, lines: Sequence[str], what: str) -> Iterator[str]:
    """First lines of a monitoring run's list, and how many more there are."""
    for line in lines[:_MOST_LISTED]:
        yield f"{prefix}{line}"
    if len(lines) > _MOST_LISTED:
        yield f"{prefix}and {len(lines) - _MOST_LISTED:,} more {what}"


def _largest_first(events: Sequence[Event]) -> list[Event]:
    """Events of a monitoring run by size."""
    return sorted(events, key=lambda event: -event.geometry.area)


def _why_nothing(result: RunResult) -> str:
    """Reason why a monitoring run compared nothing."""
    reasons = [] if result.ingested else [f"no new scene among the {result.listed} of the source"]
    if result.waiting:
        count = len(result.waiting)
        reasons.append(
            f"{count} scene{'s have' if count != 1 else ' has'} no baseline yet under the policy "
            f"{result.job.baseline.policy}"
        )
    if result.clouded:
        count = len(result.clouded)
        reasons.append(
            f"{count} scene{'s have' if count != 1 else ' has'} too few valid pixels: "
            f"{', '.join(result.clouded[-3:])}"
        )
    if result.set_aside:
        count = len(result.set_aside)
        reasons.append(f"{count} scene{'s are' if count != 1 else ' is'} set aside")
    return "; ".join(reasons) or "the new scenes show what was known"


def _words(event: Event) -> str:
    size = "" if event.area_m2 is None else f", {area_text(event.area_m2)}"
    when = f"first seen {event.first_seen.date().isoformat()}"
    if event.status is Status.MERGED:
        return f"merged into {event.merged_into}"
    return f"{event.status}{size}, {when}, seen {event.seen} of {event.observations} times"


def show_status(status: JobStatus) -> None:
    """Print the status of a monitoring job on stdout."""
    table = Table(
        "date", "scene", "state", "valid", "compared with", "", title=f"{status.site}: {status.out}"
    )
    for each in status.scenes:
        valid = "" if each.valid_share is None else f"{each.valid_share:.0%}"
        table.add_row(each.date, each.scene, each.state, valid, each.baseline, each.detail)
    print_table(table)
    events = Table(*status.events, title="Events", title_justify="left")
    if status.events:
        events.add_row(*(str(count) for count in status.events.values()))
        print_table(events)
    last = status.last_run
    began = "never" if last is None else f"{last['began'][:16].replace('T', ' ')} UTC"
    ended = "" if last is None or last["status"] is None else f", ended with status {last['status']}"
    print(f"Last run: {began}{ended}")
    for note in status.notes:
        print(f"Note: {note}")
