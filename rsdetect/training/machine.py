"""Machine of a training run: processor or GPUs, and worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from rsdetect.devices import resolve_device, usable_cores
from rsdetect.errors import InputError


@dataclass(frozen=True)
class Machine:
    """Machine of a training run: device and number of processes."""

    device: str = "cpu"  # "cpu", "cuda" (all GPUs) or "cuda:i"
    workers: int = 0  # processes that make scenes and chips; 0 = in the training process
    processes: int = 1  # on a CPU: number of processes of distributed training
    quiet: bool = False

    @property
    def first_device(self) -> str:
        """First device of the machine, as named by torch."""
        return "cuda:0" if self.device == "cuda" else self.device

    def trainer_options(self) -> dict[str, Any]:
        """Options of Lightning's Trainer for this machine."""
        if self.device == "cpu":
            several = self.processes > 1
            return {
                "accelerator": "cpu",
                "devices": self.processes,
                "strategy": "ddp" if several else "auto",
                "precision": "bf16-mixed" if _has_bfloat16_units() else "32-true",
            }
        _, colon, index = self.device.partition(":")
        devices = [int(index)] if colon else -1
        several = devices == -1 and torch.cuda.device_count() > 1
        return {
            "accelerator": "gpu",
            "devices": devices,
            "strategy": "ddp" if several else "auto",
            "precision": "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed",
        }


def _has_bfloat16_units() -> bool:
    """True if the machine's processor has bfloat16 instructions, without which bfloat16 is slow."""
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def choose_machine(device: str, workers: int | None, *, quiet: bool) -> Machine:
    """Choose the machine of a training run; on a CPU, cores without a worker compute.

    Parameters
    ----------
    device
        "auto", "cpu", "cuda" or "cuda:i"; auto takes all GPUs, if there are any.
    workers
        None = all cores but one.

    Raises
    ------
    InputError
        The device does not exist, or `workers` is negative.
    """
    found = resolve_device(device)
    chosen = "cuda" if device in ("auto", "cuda") and found != "cpu" else found
    cores = usable_cores()
    helpers = cores - 1 if workers is None else workers
    if helpers < 0:
        raise InputError(f"`workers` {helpers} is negative.")
    if chosen == "cpu":
        torch.set_num_threads(max(1, cores - helpers))
    return Machine(chosen, helpers, quiet=quiet)
