"""Where a job runs, cores and GPUs, and what one tile may take of them."""

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
    """Processor cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def worker_limits(torch_threads: int, gdal_cache: int = GDAL_CACHE_BYTES) -> Iterator[None]:
    """Bound what one tile takes: threads inside a network's operators, and GDAL's block cache in bytes."""
    from rasterio import Env

    keep_freed_memory()
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != torch_threads:
        torch.set_num_threads(torch_threads)
    with Env(GDAL_CACHEMAX=gdal_cache):
        yield


def resolve_device(text: str, *, on_cluster: bool = False) -> str:
    """Turn what `--device` takes into "cpu" or "cuda:i"; on a cluster each worker does so, by `own_device`.

    Parameters
    ----------
    on_cluster
        Only see whether the workers of a cluster can be asked for it, and hand it on: this machine's GPUs
        say nothing of theirs.

    Raises
    ------
    InputError
        An unknown word, a GPU that is not there, or for a cluster the number of a GPU, which would be another
        one on each machine.
    """
    if on_cluster and text not in ("auto", "cpu", "cuda"):
        raise InputError(
            f"`device` {text!r} cannot be asked of a cluster; choose auto, cpu or cuda (each worker process "
            "takes a GPU for itself, of those that CUDA_VISIBLE_DEVICES leaves it)."
        )
    if text == "cpu" or on_cluster:
        return text
    if text != "auto" and not re.fullmatch(r"cuda(:\d+)?", text):
        raise InputError(f"`device` {text!r} is unknown; choose auto, cpu, cuda or cuda:0.")
    count = _count_gpus()
    if text == "auto":
        return "cuda:0" if count else "cpu"
    index = int(text.partition(":")[2] or 0)
    if index >= count:
        raise InputError(
            f"`device` {text} asks for a GPU that is not there ({count} found); use `device='cpu'`."
        )
    return f"cuda:{index}"


def _count_gpus() -> int:
    """GPUs that torch can use; it is not asked where there can be none, as importing it takes a second."""
    if "torch" not in sys.modules and not _may_have_gpu():
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _may_have_gpu() -> bool:
    """False only where it is certain: torch was built without, or the driver that it needs is not there."""
    found = find_spec("torch")
    if found is None:  # jobs in 8 bits run without it
        return False
    folders = [Path(folder, "lib") for folder in found.submodule_search_locations or ()]
    names = " ".join(file.name for folder in folders for file in folder.glob("*torch_*"))
    if "torch_cpu" not in names or "torch_hip" in names:  # libraries that lie elsewhere, or another maker's
        return True
    if "torch_cuda" not in names:
        return False
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def own_device(asked: str) -> str:
    """What a worker process of a cluster runs a network on: "cpu", or the GPU "cuda:i" that it owns.

    A GPU is held until the process ends, by a lock that the system drops then, so that two workers on one
    machine never share one, and its memory, unnoticed.

    Parameters
    ----------
    asked
        "cpu", "cuda", or "auto": a GPU where this process sees any.

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
                f"a worker process on {socket.gethostname()} finds no GPU for itself ({count} in sight, held "
                "by other worker processes); start one worker process for each GPU, or add `device='cpu'`, "
                "and run the same command to carry on."
            )
        return next(iter(_owned))


def _own(device: str, index: int) -> bool:
    """Take a GPU unless another process holds it; one that this process holds is enough."""
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
    """Whom this process belongs to; Windows has no numbers, and a temporary folder for each user."""
    return os.getuid() if hasattr(os, "getuid") else getpass.getuser()


_owning = threading.Lock()
_owned: dict[str, FileLock] = {}  # the device that this process holds, at most one
