"""Receptive field and stride of a network, measured by gradient instead of derived.

Both are properties of the structure, not of the weights. They are measured on a copy with positive weights:
no unit is inactive and nothing cancels, so that every path from an input pixel to an output pixel counts.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from rsdetect.nets.siamese import SiameseNet


def measure_receptive_field(net: SiameseNet, most: int = 256) -> int:
    """Radius of a network's receptive field: largest distance, along rows or columns, from output to input.

    Parameters
    ----------
    most
        Pixels examined on each side; a larger receptive field is an `AssertionError`.
    """
    probe = _positive_copy(net)
    stride = net.stride  # the output is probed at every phase of it
    margin = -(-most // stride) * stride
    edge = 2 * margin + stride
    radius = 0
    # A strip one stride wide is sufficient: the extent along it does not depend on its width.
    for across, shape in ((1, (edge, stride)), (0, (stride, edge))):
        for at in range(margin, margin + stride):
            before, after = _probe_dates(net.bands, shape, seed=at)
            before.requires_grad_(True)
            probe(before, after)[0].select(across, 0)[at].backward()
            assert before.grad is not None
            moved = before.grad[0].sum(dim=0).sum(dim=across) > 0  # (edge,)
            radius = max(radius, int((moved.nonzero() - at).abs().max()))
    assert radius < most, f"the receptive field has a radius of {most} px or more"
    return radius


def measure_stride(net: SiameseNet, radius: int, most: int = 64) -> int:
    """Stride of the network: smallest shift of the input, in pixels, that only shifts the output.

    Parameters
    ----------
    radius
        Radius of the receptive field in pixels; the output is not compared closer to the border.
    most
        Shifts tried; a larger stride is an `AssertionError`.
    """
    probe = _positive_copy(net)
    margin = -(-radius // most) * most
    edge = 2 * margin + 2 * most
    before, after = _probe_dates(net.bands, (edge + most, edge + most), seed=0)
    with torch.inference_mode():
        still = probe(before[..., :edge, :edge], after[..., :edge, :edge])
        for shift in range(1, most):
            window = (..., slice(shift, shift + edge), slice(shift, shift + edge))
            moved = probe(before[window], after[window])
            there = slice(margin + shift, edge - margin)
            here = slice(margin, edge - margin - shift)
            if torch.allclose(still[:, there, there], moved[:, here, here], rtol=1e-9, atol=0):
                return shift
    raise AssertionError(f"the network's stride is {most} px or more")


def _positive_copy(net: SiameseNet) -> SiameseNet:
    """Copy of a network to probe its receptive field: float64, positive weights, no batch norm."""
    probe = copy.deepcopy(net).double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in probe.modules():
            if isinstance(module, nn.Conv2d):
                weight = module.weight
                weight.copy_(torch.rand(weight.shape, generator=generator, dtype=weight.dtype) + 0.1)
                weight.div_(weight[0].numel())
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
    return probe


def _probe_dates(bands: int, shape: tuple[int, int], seed: int) -> tuple[Tensor, Tensor]:
    """Probe dates for the receptive field, (1, bands, *shape) float64, positive; before is brighter."""
    generator = torch.Generator().manual_seed(seed)
    after = torch.rand(1, bands, *shape, generator=generator, dtype=torch.float64)
    before = after + 1 + torch.rand(after.shape, generator=generator, dtype=torch.float64)
    return before, after
