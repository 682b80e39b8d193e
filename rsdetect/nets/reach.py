"""How far a network looks (reach) and on which grid it stands (stride), measured and not derived.

Both are properties of the structure and not of the weights. They are measured on a copy whose weights
are all positive: no unit is ever off and nothing cancels, so that every path from an input pixel to an
output pixel shows.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from rsdetect.nets.siamese import SiameseNet


def measure_reach(net: SiameseNet, most: int = 256) -> int:
    """The largest distance, along rows or columns, from an output pixel to an input that moves it.

    Parameters
    ----------
    most
        Pixels looked at on each side; a larger reach is an `AssertionError`.
    """
    probe = _all_paths_open(net)
    stride = net.stride  # the output is probed at every phase of it
    margin = -(-most // stride) * stride
    edge = 2 * margin + stride
    reach = 0
    # A strip one stride wide is enough: how far the paths lead along it does not depend on its width.
    for across, shape in ((1, (edge, stride)), (0, (stride, edge))):
        for at in range(margin, margin + stride):
            before, after = _dates(net.bands, shape, seed=at)
            before.requires_grad_(True)
            probe(before, after)[0].select(across, 0)[at].backward()
            assert before.grad is not None
            moved = before.grad[0].sum(dim=0).sum(dim=across) > 0  # (edge,)
            reach = max(reach, int((moved.nonzero() - at).abs().max()))
    assert reach < most, f"the network reaches {most} px or more"
    return reach


def measure_stride(net: SiameseNet, reach: int, most: int = 64) -> int:
    """The smallest shift of the input, in pixels, under which the output shifts along unchanged.

    Parameters
    ----------
    reach
        Reach in pixels; closer to the border than that the output is not compared.
    most
        Shifts tried; a larger stride is an `AssertionError`.
    """
    probe = _all_paths_open(net)
    margin = -(-reach // most) * most
    edge = 2 * margin + 2 * most
    before, after = _dates(net.bands, (edge + most, edge + most), seed=0)
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


def _all_paths_open(net: SiameseNet) -> SiameseNet:
    """A float64 copy with positive weights that keep the scale of the signal; batch norm set to identity."""
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


def _dates(bands: int, shape: tuple[int, int], seed: int) -> tuple[Tensor, Tensor]:
    """Two positive (1, bands, *shape) float64 dates; before is brighter everywhere."""
    generator = torch.Generator().manual_seed(seed)
    after = torch.rand(1, bands, *shape, generator=generator, dtype=torch.float64)
    before = after + 1 + torch.rand(after.shape, generator=generator, dtype=torch.float64)
    return before, after
