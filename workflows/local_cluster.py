"""Run `rsdetect detect` or `rsdetect batch` on a Dask cluster of worker processes on this machine.

    python workflows/local_cluster.py detect BEFORE AFTER --out DIR [options of rsdetect detect ...]
    python workflows/local_cluster.py batch PAIRS.csv --out DIR [options of rsdetect batch ...]

The number of processes is taken from the environment variable RSDETECT_PROCESSES, else one a core.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from distributed import LocalCluster


def main() -> int:
    """Start the cluster, hand its address to rsdetect, and pass on its exit status."""
    processes = int(os.environ.get("RSDETECT_PROCESSES", len(os.sched_getaffinity(0))))
    # One thread a process: a worker has one tile in flight, and a network of its own.
    with LocalCluster(n_workers=processes, threads_per_worker=1, dashboard_address=":0") as cluster:
        rsdetect = Path(sys.executable).with_name("rsdetect")
        command = [str(rsdetect), *sys.argv[1:], "--scheduler", cluster.scheduler_address]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
