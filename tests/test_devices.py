"""Which device a process runs on, and that no two worker processes own one GPU."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import textwrap
from types import ModuleType, SimpleNamespace

import pytest

from rsdetect import devices
from rsdetect.devices import own_device, resolve_device, worker_limits
from rsdetect.errors import InputError, JobInterrupted

# A process with GPUs in sight, as far as torch knows; it prints the one it owns, and lives until stopped.
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
    """Start a worker process; returns the process and its report of the device."""
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
def test_worker_processes_take_a_gpu_each_and_one_too_many_is_refused(worker, asked):
    gpus = ("GPU-aaaa", "GPU-bbbb")
    first, device = worker(asked, *gpus)
    assert device == "cuda:0"
    assert worker(asked, *gpus)[1] == "cuda:1"
    _, told = worker(asked, *gpus)
    assert "has no free GPU (2 found" in told and "one worker process for each GPU" in told
    # Under another number, it is the same one: CUDA_VISIBLE_DEVICES counts from 0 in each process.
    assert "has no free GPU (1 found" in worker(asked, "GPU-bbbb")[1]
    first.kill()
    first.wait()
    assert worker(asked, *gpus)[1] == "cuda:0"


def test_without_a_gpu_a_worker_takes_the_cpu_unless_a_gpu_was_asked_for(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert own_device("auto") == own_device("cpu") == "cpu"
    with pytest.raises(JobInterrupted, match=r"0 found.*`device='cpu'`"):
        own_device("cuda")


@pytest.mark.parametrize("asked", ["auto", "cpu", "cuda"])
def test_a_cluster_is_asked_in_its_own_words_whatever_this_machine_has(asked):
    assert resolve_device(asked, on_cluster=True) == asked


@pytest.mark.parametrize("asked", ["cuda:0", "gpu", ""])
def test_a_cluster_is_not_asked_for_a_number_or_an_unknown_device(asked):
    with pytest.raises(InputError, match="choose auto, cpu or cuda"):
        resolve_device(asked, on_cluster=True)


@pytest.mark.parametrize(
    ("libraries", "driver", "may"),
    [
        (["libtorch_cpu.so"], True, False),
        (["libtorch_cpu.so", "libtorch_cuda.so"], True, True),
        (["libtorch_cpu.so", "libtorch_cuda.so"], False, False),
        (["torch_cpu.dll", "torch_cuda.dll"], True, True),
        (["libtorch_cpu.so", "libtorch_hip.so"], False, True),
        ([], False, True),  # a torch whose libraries lie elsewhere
    ],
)
def test_torch_is_not_asked_for_gpus_only_where_there_can_be_none(
    tmp_path, monkeypatch, libraries, driver, may
):
    (tmp_path / "lib").mkdir()
    for name in libraries:
        (tmp_path / "lib" / name).touch()

    def load(name):
        if not driver:
            raise OSError(name)

    torch = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(devices, "find_spec", lambda name: torch)
    monkeypatch.setattr(ctypes, "CDLL", load)
    assert devices._may_have_gpu() is may


def test_without_torch_as_many_gpus_are_found_as_by_torch():
    import torch

    if not devices._may_have_gpu():
        assert not torch.cuda.is_available()


def test_a_tile_may_begin_while_another_thread_imports_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))  # as it is at first
    with worker_limits(1):
        pass
