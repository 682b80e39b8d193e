"""Run `rsdetect detect` or `rsdetect batch` on workers that Kubernetes starts.

    python workflows/kubernetes/dask_cluster.py detect BEFORE AFTER --out DIR [options of rsdetect detect ...]
    python workflows/kubernetes/dask_cluster.py batch PAIRS.csv --out DIR [options of rsdetect batch ...]

Needs what requirements.txt says. Scheduler and workers stand in dask_cluster.yaml, or
in the file that RSDETECT_CLUSTER names. rsdetect itself runs where this script runs: in a pod that mounts the
same volume under the same path, and whose service account may create DaskClusters and read pods and services.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml
from dask_kubernetes.operator import KubeCluster
from dask_kubernetes.operator.kubecluster.kubecluster import CreateMode


def main() -> int:
    """Create the cluster, hand its scheduler's address to rsdetect, and pass on its exit status."""
    described = os.environ.get("RSDETECT_CLUSTER") or Path(__file__).with_name("dask_cluster.yaml")
    manifest = yaml.safe_load(Path(described).read_text())
    # It goes when the script ends, so it must not be one that another run is using.
    with KubeCluster(custom_cluster_spec=manifest, create_mode=CreateMode.CREATE_ONLY, quiet=True) as cluster:
        rsdetect = Path(sys.executable).with_name("rsdetect")
        # Tiles are cut for pods that may still be starting.
        pods = str(manifest["spec"]["worker"]["replicas"])
        there = ["--scheduler", cluster.scheduler_address, "--workers", pods]
        return subprocess.run([str(rsdetect), *sys.argv[1:], *there], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
