"""Cost of a network: parameters, and multiply-adds per pixel of the pair."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rsdetect.nets.siamese import SiameseNet


def count_parameters(net: nn.Module) -> int:
    """Cost in parameters: number of trained values, without the stored statistics of batch norm."""
    return sum(p.numel() for p in net.parameters())


def macs_per_pixel_pair(net: SiameseNet) -> float:
    """Cost in multiply-adds of all convolutions, both dates together, per pixel of one date."""
    total = 0

    def count(module: nn.Module, _: Any, out: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        taps = module.weight[0].numel()
        total += taps * out.numel()

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d)]
    edge = 4 * net.stride
    date = torch.zeros(1, net.bands, edge, edge)
    training = net.training
    try:
        with torch.inference_mode():
            net.eval()(date, date)
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return total / edge**2
