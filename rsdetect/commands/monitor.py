"""The commands `rsdetect monitor ...`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from rsdetect.commands.command_help import GroupedCommand
from rsdetect.commands.examples import EXAMPLES
from rsdetect.commands.messages import log_to_stderr, print_json, print_message
from rsdetect.commands.parameters import Debug, Json, LogFile, Quiet

JobFile = Annotated[Path, typer.Argument(metavar="JOB.yaml", help="The job file.")]

app = typer.Typer(
    name="monitor",
    help="Monitor a site: changes in new scenes become events.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)


def _command(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator of a subcommand of `monitor`."""
    return app.command(name, cls=GroupedCommand, epilog=EXAMPLES[f"monitor {name}"])


@_command("init")
def init(
    job_file: Annotated[
        Path, typer.Argument(metavar="JOB.yaml", help="Path of the example; it must not exist yet.")
    ] = Path("job.yaml"),
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a commented example of a job file."""
    from rsdetect.monitoring.job_file import write_example

    write_example(job_file)
    if as_json:
        print_json({"job_file": str(job_file)})
    elif not quiet:
        print_message(f"{job_file} is an example: change it, then rsdetect monitor run {job_file}")


@_command("run")
def run(
    job_file: JobFile,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="Wait for another run of the job to end; default: fail.")
    ] = 0.0,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try scenes again that were set aside after ten failures.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the run would compare, and change nothing.")
    ] = False,
    quiet: Quiet = False,
    log_file: LogFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare new scenes, update the events, and send notifications."""
    if dry_run:
        _print_preview(job_file, quiet=quiet, as_json=as_json)
        return
    from rsdetect.commands.monitor_text import failure_lines, run_lines
    from rsdetect.monitoring.notify import report_of
    from rsdetect.monitoring.run import run_and_notify

    # Warnings are stored with each comparison, and those on its result are notes.
    log_to_stderr(quiet=True, log_file=log_file)
    done = run_and_notify(job_file, wait_s=wait, retry=retry)
    if as_json:
        print_json(done.summary or {"has_news": None, "run": done.result.summary()})
    elif not quiet:
        for line in run_lines(done.result):
            print_message(line)
        if done.summary is not None and done.summary["has_news"]:
            print_message(f"Report: {report_of(done.summary)}")
    for line in failure_lines(done.result):
        print_message(line)
    if done.notify_error:
        print_message(f"Error: {done.notify_error}")
    if done.status:
        raise typer.Exit(done.status)


def _print_preview(job_file: Path, *, quiet: bool, as_json: bool) -> None:
    from rsdetect.monitoring.preview import preview_run

    found = preview_run(job_file)
    if as_json:
        print_json({"dry_run": True, **found.as_json()})
    elif not quiet:
        for line in found.lines():
            print_message(line)


@_command("status")
def status(
    job_file: JobFile,
    nagios: Annotated[
        bool,
        typer.Option(
            "--nagios",
            help="Print one line and exit with 0 = fresh, 1 = late, 2 = failing, 3 = unknown.",
        ),
    ] = False,
    late_after: Annotated[
        str, typer.Option(metavar="TIME", help="With --nagios: age of the last success that is late.")
    ] = "36h",
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show finished, pending and failed steps, with reasons."""
    if nagios:
        from rsdetect.monitoring.supervision import supervise

        state, line = supervise(job_file, late_after)
        print(line)
        raise typer.Exit(state)
    from rsdetect.commands.monitor_text import show_status
    from rsdetect.monitoring.status import job_status

    log_to_stderr(quiet=quiet)
    found = job_status(job_file)
    if as_json:
        print_json(found.as_json())
    else:
        show_status(found)


@_command("prune")
def prune(
    job_file: JobFile,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be removed.")] = False,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="Wait for a run of the job to end; default: fail.")
    ] = 0.0,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Remove files that the job's section `keep` does not keep; every run does so at its end."""
    from rsdetect.monitoring.prune import prune as prune_job

    found = prune_job(job_file, dry_run=dry_run, wait_s=wait)
    if as_json:
        print_json({"dry_run": dry_run, **found.as_json()})
    elif not quiet:
        for each in found.removals if dry_run else ():
            print_message(f"  {each.kind} {each.path}")
        print_message(f"{found} {'would be' if dry_run else 'were'} removed")


@_command("timeline")
def timeline(
    job_file: JobFile,
    event: Annotated[
        str | None, typer.Option(metavar="ID", help="An event, by its id or the first characters of it.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="X,Y", help="A point in the job's CRS, or as longitude,latitude."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the output; default: timelines in the job's folder."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Plot a point over the dates: change probability, band indices, pictures; as PNG and HTML."""
    from rsdetect.jobs.parse import parse_point
    from rsdetect.monitoring.timeline import make_timeline, timelines_folder
    from rsdetect.monitoring.timeline_plot import write_timeline

    drawn = make_timeline(job_file, event=event, at=parse_point(at))
    paths = [str(path) for path in write_timeline(drawn, out or timelines_folder(job_file))]
    if as_json:
        print_json({"files": paths})
    else:
        for path in paths:
            print_message(path)


@_command("serve")
def serve(
    job_files: Annotated[list[Path], typer.Argument(metavar="JOB.yaml...", help="One job file or several.")],
    cron: Annotated[
        str | None,
        typer.Option(metavar="FIELDS", help='Schedule in cron syntax, in local time: "0 6 * * MON".'),
    ] = None,
    every: Annotated[str | None, typer.Option(metavar="TIME", help="Interval: 30m, 6h, 7d.")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run jobs on a schedule until stopped; a missed run is made up for at the start."""
    from rsdetect.monitoring.serve import Schedule
    from rsdetect.monitoring.serve import serve as serve_jobs

    is_silent = quiet or as_json
    output = (lambda _: None) if is_silent else print_message
    ended = serve_jobs(job_files, Schedule(cron, every), output, ["--quiet"] if is_silent else [])
    if as_json:
        print_json({"runs": ended})
