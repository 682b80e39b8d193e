"""Which device a process runs on, and that no two worker processes own one GPU."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from rsdetect.devices import own_device, resolve_device
from rsdetect.errors import InputError, JobInterrupted

# A process with GPUs in sight, as far as torch tells; it says which one it owns, and lives until told to end.
WORKER = """
import sys
from types import SimpleNamespace
import torch
names = sys.argv[2].split(",") if sys.argv[2] else []
torch.cuda.is_available = lambda: bool(names)
torch.cuda.device_count = lambda: len(names)
torch.cuda.get_device_properties = lambda index: SimpleNamespace(uuid=names[index])
from rsdetect.devices import own_device
from rsdetect.errors import JobInterrupted
try:
    for _ in range(2):  # asked twice, it is the same
        found = own_device(sys.argv[1])
except JobInterrupted as error:
    found = str(error)
print(found, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def worker(tmp_path):
    """Start a worker process; gives the process and what it says of its device."""
    started = []

    def start(asked, *gpus):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), asked, ",".join(gpus)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["auto", "cuda"])
def test_worker_processes_take_a_gpu_each_and_one_too_many_is_told(worker, asked):
    gpus = ("GPU-aaaa", "GPU-bbbb")
    first, device = worker(asked, *gpus)
    assert device == "cuda:0"
    assert worker(asked, *gpus)[1] == "cuda:1"
    _, told = worker(asked, *gpus)
    assert "finds no GPU for itself (2 in sight" in told and "one worker process for each GPU" in told
    # Under another number, it is the same one: CUDA_VISIBLE_DEVICES counts anew in each process.
    assert "finds no GPU for itself (1 in sight" in worker(asked, "GPU-bbbb")[1]
    first.kill()
    first.wait()
    assert worker(asked, *gpus)[1] == "cuda:0"


def test_without_a_gpu_a_worker_takes_the_cpu_unless_a_gpu_was_asked_for(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert own_device("auto") == own_device("cpu") == "cpu"
    with pytest.raises(JobInterrupted, match=r"0 in sight.*--device cpu"):
        own_device("cuda")


@pytest.mark.parametrize("asked", ["auto", "cpu", "cuda"])
def test_a_cluster_is_asked_in_its_own_words_whatever_this_machine_has(asked):
    assert resolve_device(asked, on_cluster=True) == asked


@pytest.mark.parametrize("asked", ["cuda:0", "gpu", ""])
def test_a_cluster_is_not_asked_for_a_number_or_an_unknown_device(asked):
    with pytest.raises(InputError, match="choose auto, cpu or cuda"):
        resolve_device(asked, on_cluster=True)
