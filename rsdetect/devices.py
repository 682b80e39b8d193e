"""Devices of a job: processor cores and GPUs, and limits for one tile."""

from __future__ import annotations

import ctypes
import getpass
import os
import re
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout

from rsdetect.errors import InputError, JobInterrupted
from rsdetect.memory import GDAL_CACHE_BYTES, keep_freed_memory


def usable_cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def worker_limits(torch_threads: int, gdal_cache: int = GDAL_CACHE_BYTES) -> Iterator[None]:
    """Limit the threads of a worker's network operators and GDAL's block cache (bytes), for one tile."""
    from rasterio import Env

    keep_freed_memory()
    torch = sys.modules.get("torch")
    # Another thread may be importing torch, which then has no attributes yet.
    if torch is not None and hasattr(torch, "set_num_threads") and torch.get_num_threads() != torch_threads:
        torch.set_num_threads(torch_threads)
    with Env(GDAL_CACHEMAX=gdal_cache):
        yield


def require_device_name(given: object) -> None:
    """Require a device by name, whether or not this machine has it.

    Raises
    ------
    InputError
        Something else than auto, cpu, cuda or cuda:i.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,4})?", str(given)):
        raise InputError(f"`device` {given!r} is unknown; choose auto, cpu, cuda or cuda:i.")


def resolve_device(text: str, *, on_cluster: bool = False) -> str:
    """Resolve `--device` to "cpu" or "cuda:i"; on a cluster each worker does so, by `own_device`.

    Parameters
    ----------
    on_cluster
        Only validate the device for the workers of a cluster, whose GPUs differ from those of this machine.

    Raises
    ------
    InputError
        An unknown device, a GPU that does not exist, or for a cluster the index of a GPU, which differs
        between machines.
    """
    if on_cluster and text not in ("auto", "cpu", "cuda"):
        raise InputError(
            f"`device` {text!r} is not possible on a cluster; choose auto, cpu or cuda (each worker process "
            "takes one of its GPUs in CUDA_VISIBLE_DEVICES)."
        )
    if text == "cpu" or on_cluster:
        return text
    require_device_name(text)
    count = _count_gpus()
    if text == "auto":
        return "cuda:0" if count else "cpu"
    index = int(text.partition(":")[2] or 0)
    if index >= count:
        raise InputError(f"`device` {text} does not exist ({count} GPUs found); use `device='cpu'`.")
    return f"cuda:{index}"


def _count_gpus() -> int:
    """Number of GPUs for torch, which is not imported (a second) where there can be none."""
    if "torch" not in sys.modules and not _may_have_gpu():
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _may_have_gpu() -> bool:
    """False if there is certainly no GPU: torch was built without CUDA, or the driver is missing."""
    found = find_spec("torch")
    if found is None:  # int8 jobs run without it
        return False
    folders = [Path(folder, "lib") for folder in found.submodule_search_locations or ()]
    names = " ".join(file.name for folder in folders for file in folder.glob("*torch_*"))
    if "torch_cpu" not in names or "torch_hip" in names:  # libraries in other folders, or of another vendor
        return True
    if "torch_cuda" not in names:
        return False
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def own_device(asked: str) -> str:
    """Device of a worker process of a cluster: "cpu", or the GPU "cuda:i" that it owns.

    A GPU is locked until the process ends, so that two workers on one machine never share its memory.

    Parameters
    ----------
    asked
        "cpu", "cuda", or "auto": a GPU, if this process has any.

    Raises
    ------
    JobInterrupted
        No GPU is left for this process.
    """
    if asked == "cpu":
        return "cpu"
    count = _count_gpus()
    if asked == "auto" and not count:
        return "cpu"
    with _owning:
        if not any(_own(f"cuda:{index}", index) for index in range(count)):
            raise JobInterrupted(
                f"a worker process on {socket.gethostname()} has no free GPU ({count} found, held "
                "by other worker processes); start one worker process for each GPU, or add `device='cpu'`, "
                "and run the same command to resume."
            )
        return next(iter(_owned))


def _own(device: str, index: int) -> bool:
    """Lock a GPU unless another process holds it; this process holds at most one."""
    import torch

    if _owned:
        return True
    name = f"rsdetect-{_user()}-{torch.cuda.get_device_properties(index).uuid}.lock"
    lock = FileLock(Path(tempfile.gettempdir()) / name, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    _owned[device] = lock
    return True


def _user() -> int | str:
    """User of this process, for locks of devices; Windows has no user numbers."""
    return os.getuid() if hasattr(os, "getuid") else getpass.getuser()


_owning = threading.Lock()
_owned: dict[str, FileLock] = {}  # the device that this process holds, at most one
