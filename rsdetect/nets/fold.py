"""Networks made smaller for inference: batch norm folded into convolutions, bands that are 0 left out."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rsdetect.nets.siamese import ConvNorm, SiameseNet


def fold(net: SiameseNet) -> SiameseNet:
    """A copy in eval mode, without batch norm, in the channels-last layout; 1.5 x faster on a CPU.

    Module by module, because tracing (torch.fx) folds a shared encoder once for each call.
    """
    folded = copy.deepcopy(net).eval().requires_grad_(False)
    for module in folded.modules():
        if isinstance(module, ConvNorm) and isinstance(module.norm, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = nn.Identity()
    return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def narrow(net: SiameseNet, slots: tuple[int, ...]) -> SiameseNet:
    """A copy that takes only the bands `slots`, in that order, and scores as if the others were 0."""
    narrowed = copy.deepcopy(net)
    stem = narrowed.encoder.stem.conv
    stem.weight = nn.Parameter(stem.weight[:, list(slots)].detach(), requires_grad=stem.weight.requires_grad)
    stem.in_channels = narrowed.bands = len(slots)
    return narrowed
