"""Airflow: one run of a monitoring job each Monday at six, as a task that is repeated while that can help.

Copy it into the DAGs folder of Airflow 3, and set the variables RSDETECT_PROGRAM (rsdetect, in an environment
of its own: its dependencies and those of Airflow need not fit) and RSDETECT_JOB for the scheduler's workers.
"""

from __future__ import annotations

import os
import subprocess
from datetime import datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

PROGRAM = os.environ.get("RSDETECT_PROGRAM", "/opt/rsdetect/.venv/bin/rsdetect")
JOB = os.environ.get("RSDETECT_JOB", "/etc/rsdetect/municipality.yaml")


@dag(
    dag_id="rsdetect_monitor",
    schedule="0 6 * * MON",
    start_date=datetime(2026, 1, 1),
    catchup=False,  # one run reads all scenes that came meanwhile
    max_active_runs=1,
    tags=["rsdetect"],
)
def monitor() -> None:
    """Compare new scenes, update the events, send notifications."""

    @task(retries=4, retry_delay=timedelta(minutes=30), execution_timeout=timedelta(hours=12))
    def run() -> None:
        command = [PROGRAM, "monitor", "run", JOB, "--wait", "3600", "--quiet"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        print(done.stdout, done.stderr)
        if done.returncode == 3:  # something that may pass: a server that is down, a full disk
            raise AirflowException(done.stderr)
        if done.returncode != 0:  # the job has to be changed: another try would end in the same way
            raise AirflowFailException(done.stderr)

    run()


monitor()
