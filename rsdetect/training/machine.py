"""Where a run happens: processor or GPUs, and how many processes help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from rsdetect.devices import resolve_device, usable_cores
from rsdetect.errors import InputError


@dataclass(frozen=True)
class Machine:
    """Where a run happens, and by how many."""

    device: str = "cpu"  # "cpu", "cuda" (all GPUs) or "cuda:i"
    workers: int = 0  # processes that make scenes and chips beside the one that trains; 0 = that one does
    processes: int = 1  # on a CPU: how many train together
    quiet: bool = False

    @property
    def first_device(self) -> str:
        """One device of it, as torch names it."""
        return "cuda:0" if self.device == "cuda" else self.device

    def trainer_options(self) -> dict[str, Any]:
        """As Lightning's Trainer takes them."""
        if self.device == "cpu":
            several = self.processes > 1
            return {
                "accelerator": "cpu",
                "devices": self.processes,
                "strategy": "ddp" if several else "auto",
                "precision": "bf16-mixed" if _multiplies_bfloat16() else "32-true",
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


def _multiplies_bfloat16() -> bool:
    """True where the processor has units for matrices of bfloat16; without them it is slower than float32."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def choose_machine(device: str, workers: int | None, *, quiet: bool) -> Machine:
    """Where to train; on a CPU the cores that no worker needs compute.

    Parameters
    ----------
    device
        "auto", "cpu", "cuda" or "cuda:i"; auto takes all GPUs where there are some.
    workers
        None = all cores but one.

    Raises
    ------
    InputError
        A device that is not there, or fewer workers than none.
    """
    found = resolve_device(device)
    chosen = "cuda" if device in ("auto", "cuda") and found != "cpu" else found
    cores = usable_cores()
    helpers = cores - 1 if workers is None else workers
    if helpers < 0:
        raise InputError(f"`workers` {helpers} is fewer than none.")
    if chosen == "cpu":
        torch.set_num_threads(max(1, cores - helpers))
    return Machine(chosen, helpers, quiet=quiet)
