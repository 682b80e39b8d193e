"""Where a run stands, on disk: weights, averaged weights and the optimiser, without pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


@dataclass
class Run:
    """All that a training run carries from step to step."""

    net: nn.Module
    average: nn.Module  # exponential moving average of `net`, which is what validation sees
    optimiser: torch.optim.AdamW
    step: int = 0
    best: float = -1.0  # the best validation figure so far
    minutes: float = 0.0  # wall time so far

    def save(self, path: Path) -> None:
        """Write the whole state; it appears under its name only when whole."""
        tensors = {f"net.{key}": value for key, value in self.net.state_dict().items()}
        tensors |= {f"average.{key}": value for key, value in self.average.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{key}": value for key, value in moments.items()}
        words = {"step": self.step, "best": self.best, "minutes": self.minutes}
        part = path.with_name(path.name + ".part")
        # safetensors refuses tensors that are not stored contiguously, as channels-last ones are not.
        save_file({k: v.contiguous() for k, v in tensors.items()}, part, metadata={"run": json.dumps(words)})
        part.replace(path)

    def load(self, path: Path) -> None:
        """Carry on from a saved state of the same network and optimiser."""
        tensors = load_file(path)
        self.net.load_state_dict(_under(tensors, "net."))
        self.average.load_state_dict(_under(tensors, "average."))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, "optimiser.").items():
            index, name = key.split(".", 1)
            moments.setdefault(int(index), {})[name] = value
        state = self.optimiser.state_dict()
        self.optimiser.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
        with safe_open(path, framework="pt") as file:
            words = json.loads(file.metadata()["run"])
        self.step, self.best, self.minutes = words["step"], words["best"], words["minutes"]

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Move the averaged weights (and batch norm statistics) a little towards the present ones."""
        # Early on the average would still be mostly the random start.
        decay = min(decay, (1 + self.step) / (10 + self.step))
        pairs = zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True)
        for kept, now in pairs:
            if kept.dtype.is_floating_point:
                kept.lerp_(now, 1 - decay)
            else:
                kept.copy_(now)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
