"""Run `rsdetect detect` or `rsdetect batch` on a Dask cluster of worker processes on this machine.

    python workflows/local_cluster.py detect BEFORE AFTER --out DIR [options of rsdetect detect ...]
    python workflows/local_cluster.py batch PAIRS.csv --out DIR [options of rsdetect batch ...]

The number of processes is taken from the environment variable RSDETECT_PROCESSES, else one a GPU, else one a
core. Each loads a network of its own, and takes a GPU that no other has taken.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from distributed import LocalCluster

from rsdetect.devices import usable_cores


def main() -> int:
    """Start the cluster, hand its address to rsdetect, and pass on its exit status."""
    cores = usable_cores()
    processes = int(os.environ.get("RSDETECT_PROCESSES") or _count_gpus() or cores)
    # A thread has a tile of its own in flight: on a GPU some read and write while one scores.
    threads = max(1, cores // processes)
    with LocalCluster(n_workers=processes, threads_per_worker=threads, dashboard_address=":0") as cluster:
        rsdetect = Path(sys.executable).with_name("rsdetect")
        command = [str(rsdetect), *sys.argv[1:], "--scheduler", cluster.scheduler_address]
        return subprocess.run(command, check=False).returncode


def _count_gpus() -> int:
    from torch.cuda import device_count  # slow to import, and every worker imports this file

    return device_count()


if __name__ == "__main__":
    sys.exit(main())
