"""Where a job runs: cores and GPUs."""

from __future__ import annotations

import ctypes
import gc
import os
import re

from rsdetect.errors import InputError


def usable_cores() -> int:
    """Processor cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def return_free_memory() -> None:
    """Give memory that was freed back to the system, where the C library keeps it (glibc).

    Tiles and activations leave heaps of freed memory behind, one a thread, and what comes next would be
    added to them.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def resolve_device(text: str) -> str:
    """Turn what `--device` takes into "cpu" or "cuda:i".

    Raises
    ------
    InputError
        An unknown word, or a GPU that is not there.
    """
    if text == "cpu":
        return "cpu"
    if text != "auto" and not re.fullmatch(r"cuda(:\d+)?", text):
        raise InputError(f"--device {text!r} is unknown; choose auto, cpu, cuda or cuda:0.")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if text == "auto":
        return "cuda:0" if count else "cpu"
    index = int(text.partition(":")[2] or 0)
    if index >= count:
        raise InputError(
            f"--device {text} asks for a GPU that is not there ({count} found); use --device cpu."
        )
    return f"cuda:{index}"
