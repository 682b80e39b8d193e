"""The workflows for clusters, with real worker processes, a stand-in for Slurm, and no Kubernetes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyogrio
import pytest
import yaml

from support.interruption import finished_tiles
from support.jobs import listing, read_raster, run_apart

pytest.importorskip("dask_jobqueue")

# One worker of the test run does these, so that there is one cluster at a time.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "sample"
SCENES = (SAMPLE / "before.tif", SAMPLE / "after.tif")
MANIFEST = ROOT / "workflows" / "kubernetes" / "dask_cluster.yaml"
OPTIONS = ("--tile-size", "64", "--quiet", "--detector", "cva")
SLOWLY = (
    "--tile-size",
    "64",
    "--device",
    "cpu",
    "--quiet",
)  # long enough that something can be killed meanwhile

# Slurm, as far as dask-jobqueue sees it: a job is a script that runs by itself under a number.
SBATCH = """#!/usr/bin/env bash
set -eu
exec 9>"$FAKE_SLURM/lock"; flock 9
id=$(($(find "$FAKE_SLURM" -name '*.sh' | wc -l) + 1))
cp "$1" "$FAKE_SLURM/$id.sh"
SLURM_JOB_ID=$id setsid bash "$FAKE_SLURM/$id.sh" >"$FAKE_SLURM/$id.log" 2>&1 </dev/null 9>&- &
echo $! >"$FAKE_SLURM/$id.part"
mv "$FAKE_SLURM/$id.part" "$FAKE_SLURM/$id.pid"
echo "Submitted batch job $id"
"""
SCANCEL = """#!/usr/bin/env bash
kill -TERM -- "-$(cat "$FAKE_SLURM/$1.pid")"
"""


@pytest.fixture(scope="module")
def on_threads(tmp_path_factory):
    return detected(tmp_path_factory.mktemp("threads"), *OPTIONS)


def detected(out, *options):
    told = run_apart("detect", *SCENES, "--out", out, *options, timeout=300)
    assert told.status == 0, told.err
    return out


@pytest.fixture
def slurm(tmp_path):
    """A folder of jobs, and the environment in which `sbatch` puts them there and starts them."""
    jobs, programs = tmp_path / "jobs", tmp_path / "programs"
    jobs.mkdir()
    programs.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    yield jobs, {"FAKE_SLURM": str(jobs), "PATH": f"{programs}:{os.environ['PATH']}"}
    for job in jobs.glob("*.pid"):
        end(job)


def end(job, with_signal=signal.SIGKILL):
    """End all processes of a job, which have a process group of their own."""
    try:
        os.killpg(int(job.read_text()), with_signal)
    except ProcessLookupError:
        return False
    return True


def start(script, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, f"workflows/{script}", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(holds, seconds=240):
    latest = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < latest, "waited in vain"
        time.sleep(0.05)


def assert_same_result(out, on_threads):
    np.testing.assert_array_equal(read_raster(out), read_raster(on_threads))
    layers = [
        pyogrio.read_dataframe(folder / "changes.gpkg", layer="changes") for folder in (out, on_threads)
    ]
    assert layers[0].geometry.geom_equals_exact(layers[1].geometry, 0).all() and len(layers[0]) > 0


def test_slurm_jobs_give_what_threads_give_and_ask_for_what_was_configured(slurm, on_threads, tmp_path):
    jobs, environment = slurm
    settings = {
        "RSDETECT_JOBS": "2",
        "DASK_JOBQUEUE__SLURM__CORES": "1",
        "DASK_JOBQUEUE__SLURM__MEMORY": "3GiB",
        "DASK_JOBQUEUE__SLURM__QUEUE": "standard",
        "DASK_JOBQUEUE__SLURM__ACCOUNT": "forests",
        "DASK_JOBQUEUE__SLURM__WALLTIME": "04:00:00",
        "DASK_JOBQUEUE__SLURM__JOB_EXTRA_DIRECTIVES": '["--gres=gpu:1"]',
    }
    command = ("slurm_cluster.py", "detect", *SCENES, "--out", tmp_path / "out", *OPTIONS)
    work = start(*command, **environment, **settings)
    _, err = work.communicate(timeout=300)
    assert work.returncode == 0, err
    assert_same_result(tmp_path / "out", on_threads)
    scripts = [path.read_text() for path in jobs.glob("*.sh")]
    assert len(scripts) == 2
    for script in scripts:
        directives = {line[8:] for line in script.splitlines() if line.startswith("#SBATCH ")}
        assert directives == {
            *("-J dask-worker", "-p standard", "-A forests", "-n 1", "--cpus-per-task=1", "--mem=3G"),
            *("-t 04:00:00", "--gres=gpu:1"),
        }
    until(lambda: not any(end(job, 0) for job in jobs.glob("*.pid")))  # none outlives the script


def test_a_slurm_job_that_is_killed_is_queued_again_and_costs_no_tile(slurm, tmp_path):
    jobs, environment = slurm
    settings = {
        "RSDETECT_JOBS": "1",
        "DASK_JOBQUEUE__SLURM__CORES": "1",
        "DASK_JOBQUEUE__SLURM__MEMORY": "3GiB",
        "DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "1s",
    }
    command = ("slurm_cluster.py", "detect", *SCENES, "--out", tmp_path / "out", *SLOWLY)
    work = start(*command, **environment, **settings)
    until(lambda: finished_tiles(tmp_path / "out") or work.poll() is not None)
    until(lambda: (jobs / "1.pid").exists())  # written after the job was started
    assert end(jobs / "1.pid")
    _, err = work.communicate(timeout=300)
    assert work.returncode == 0, err
    assert (jobs / "2.sh").exists()
    assert_same_result(tmp_path / "out", detected(tmp_path / "threads", *SLOWLY))


def test_a_batch_runs_on_slurm_jobs_and_its_status_is_passed_on(slurm, tmp_path):
    _, environment = slurm
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(f"name,before,after\nsample,{SCENES[0]},{SCENES[1]}\nmissing,no.tif,no.tif\n")
    settings = {"RSDETECT_JOBS": "1", "DASK_JOBQUEUE__SLURM__CORES": "2"}
    command = ("slurm_cluster.py", "batch", pairs, "--out", tmp_path / "out", "--detector", "cva")
    work = start(*command, **environment, **settings)
    _, err = work.communicate(timeout=300)
    assert work.returncode == 2, err
    assert "missing: failed" in err
    record = json.loads((tmp_path / "out" / "sample" / "run.json").read_text())
    assert record["options"]["score"]["scheduler"].startswith("tcp://")


# --- Kubernetes -------------------------------------------------------------------------------------------


def container(role):
    """The one container of the pods of a role, as the manifest describes it."""
    (found,) = yaml.safe_load(MANIFEST.read_text())["spec"][role]["spec"]["containers"]
    return found


@contextmanager
def pod(role, *more, **given):
    """What a pod of the role runs, as a process here, in an environment as the operator gives it."""
    described = container(role)
    own = {each["name"]: each["value"] for each in described.get("env", ())}
    environment = {**os.environ, **own, **given}
    command = [given.get(part[2:-1], part) if part.startswith("$(") else part for part in described["args"]]
    command += more
    command[0] = shutil.which(command[0], path=str(Path(sys.executable).parent))
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def identity(file):
    """What a scheduler writes about itself into a file when it listens; None before."""
    try:
        return json.loads(file.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def test_what_the_pods_would_run_is_a_cluster_on_which_rsdetect_runs(on_threads, tmp_path):
    # A pod has all ports to itself; here somebody may have taken those of the manifest.
    file = tmp_path / "scheduler.json"
    ports = ("--port", "0", "--dashboard-address", ":0", "--scheduler-file", str(file))
    with ExitStack() as pods:
        first = pods.enter_context(pod("scheduler", *ports))
        until(lambda: identity(file) or first.poll() is not None)
        assert first.poll() is None
        address = f"tcp://127.0.0.1:{urlsplit(identity(file)['address']).port}"
        http = identity(file)["services"]["dashboard"]
        probe = f"http://127.0.0.1:{http}{container('scheduler')['readinessProbe']['httpGet']['path']}"
        until(lambda: answers(probe) or first.poll() is not None)
        assert first.poll() is None
        for number in range(2):
            given = {"DASK_WORKER_NAME": f"rsdetect-{number}", "DASK_SCHEDULER_ADDRESS": address}
            pods.enter_context(pod("worker", **given))
        told = run_apart("detect", *SCENES, "--out", tmp_path / "out", *OPTIONS, "--scheduler", address)
    assert told.status == 0, told.err
    assert_same_result(tmp_path / "out", on_threads)
    assert ".work" not in listing(tmp_path / "out")


def test_the_manifest_is_one_of_a_dask_cluster_and_its_pods_see_the_shared_volume():
    manifest = yaml.safe_load(MANIFEST.read_text())
    assert (manifest["apiVersion"], manifest["kind"]) == ("kubernetes.dask.org/v1", "DaskCluster")
    worker = manifest["spec"]["worker"]["spec"]
    assert {each["name"] for each in container("worker")["volumeMounts"]} == {
        each["name"] for each in worker["volumes"]
    }
    assert container("worker")["image"] == container("scheduler")["image"]
    # The service is found by the scheduler's pods by the name of the cluster.
    service = manifest["spec"]["scheduler"]["service"]
    assert service["selector"]["dask.org/cluster-name"] == manifest["metadata"]["name"]
    ports = {each["name"]: each["containerPort"] for each in container("scheduler")["ports"]}
    assert ports == {"tcp-comm": 8786, "http-dashboard": 8787}  # what `dask scheduler` takes
    assert {each["targetPort"] for each in service["ports"]} == set(ports)
