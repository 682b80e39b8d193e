"""Run `rsdetect detect` or `rsdetect batch` on workers that Slurm starts.

    python workflows/slurm_cluster.py detect BEFORE AFTER --out DIR [options of rsdetect detect ...]
    python workflows/slurm_cluster.py batch PAIRS.csv --out DIR [options of rsdetect batch ...]

Needs `pip install 'rsdetect[cluster]' dask-jobqueue` in an environment that all nodes see, as they must see
scenes and output folder, under the same paths. The scheduler and rsdetect itself run where this script runs:
in a small job of its own, or on the login node where that is allowed.

RSDETECT_JOBS is the number of jobs kept in the queue. dask-jobqueue takes the size of a job from its own
configuration, a file (~/.config/dask/jobqueue.yaml) or the environment:

    export DASK_JOBQUEUE__SLURM__QUEUE=standard DASK_JOBQUEUE__SLURM__ACCOUNT=forests
    export DASK_JOBQUEUE__SLURM__CORES=16 DASK_JOBQUEUE__SLURM__MEMORY=48GB
    export DASK_JOBQUEUE__SLURM__WALLTIME=04:00:00 DASK_JOBQUEUE__SLURM__INTERFACE=ib0

For GPUs, a job with one GPU and one process, whose threads read and write while one scores:

    export DASK_JOBQUEUE__SLURM__PROCESSES=1 DASK_JOBQUEUE__SLURM__JOB_EXTRA_DIRECTIVES='["--gres=gpu:1"]'
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dask import config
from dask_jobqueue import SLURMCluster


def main() -> int:
    """Queue the jobs, hand the scheduler's address to rsdetect, and pass on its exit status."""
    jobs = int(os.environ.get("RSDETECT_JOBS") or 2)
    asked = config.get("jobqueue.slurm")
    cores = asked["cores"] or 4
    # One process a core: a network of its own, and a tile in flight.
    processes = asked["processes"] or cores
    memory = asked["memory"] or f"{2 * processes}GB"
    with SLURMCluster(
        cores=cores,
        processes=processes,
        memory=memory,
        scheduler_options={"dashboard_address": ":0"},
    ) as cluster:
        # Not `scale`: a job that ends, at its walltime or with its node, is queued again.
        cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
        rsdetect = Path(sys.executable).with_name("rsdetect")
        # Tiles are cut for workers that may still be waiting in the queue.
        there = ["--scheduler", cluster.scheduler_address, "--workers", str(jobs * cores)]
        return subprocess.run([str(rsdetect), *sys.argv[1:], *there], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
