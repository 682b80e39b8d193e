"""Monitoring jobs as a Prefect flow, for those who run Prefect already.

    python workflows/prefect_flow.py run JOB.yaml ...                    one run now
    python workflows/prefect_flow.py serve JOB.yaml ... --cron "0 6 * * 1"

Prefect has its own environment (workflows/prefect-requirements.txt), because its dependencies conflict with
those of rsdetect. The flow calls the program at the path RSDETECT (default: .venv here). Exit status 3 is a
transient failure and is retried; other failures need a change by the user.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

from prefect import flow, task

RSDETECT = os.environ.get("RSDETECT", str(Path(__file__).resolve().parents[1] / ".venv" / "bin" / "rsdetect"))
RETRY_S = float(os.environ.get("RSDETECT_RETRY_S", "900"))
MAY_PASS = 3


class MayPass(RuntimeError):
    """The round could not be finished; the next try resumes it."""


def is_worth_a_try(_task: object, _run: object, state: object) -> bool:
    """Try again only what may pass."""
    return isinstance(state.result(raise_on_failure=False), MayPass)  # type: ignore[attr-defined]


@task(retries=3, retry_delay_seconds=RETRY_S, retry_condition_fn=is_worth_a_try, task_run_name="{job_file}")
def one_round(job_file: str) -> str:
    """Run a job once; returns its output."""
    command = [RSDETECT, "monitor", "run", job_file, "--wait", "3600"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == MAY_PASS:
        raise MayPass(done.stderr.strip())
    if done.returncode:
        raise RuntimeError(f"status {done.returncode}: {done.stderr.strip()}")
    return done.stderr.strip()


@flow(name="rsdetect-monitor", log_prints=True)
def monitor(job_files: list[str]) -> None:
    """One round of each job; one that fails keeps no other from running."""
    rounds = [(job_file, one_round(job_file, return_state=True)) for job_file in job_files]
    for job_file, state in rounds:
        print(f"{job_file}: {state.result(raise_on_failure=False)}")
    failed = [job_file for job_file, state in rounds if not state.is_completed()]
    if failed:
        raise RuntimeError(f"failed: {', '.join(failed)}")


def main() -> None:
    """Run now, or serve a schedule."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("run", "serve"))
    parser.add_argument("job_files", nargs="+")
    parser.add_argument(
        "--cron", default="0 6 * * 1", help="for serve; Prefect counts days from Sunday, as cron"
    )
    asked = parser.parse_args()
    job_files = [str(Path(job_file).resolve()) for job_file in asked.job_files]
    if asked.what == "run":
        monitor(job_files)
    else:
        monitor.serve(name="rsdetect-monitor", cron=asked.cron, parameters={"job_files": job_files})


if __name__ == "__main__":
    main()
