"""Folding of batch norm into convolutions, for faster inference."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rsdetect.nets.siamese import ConvNorm, SiameseNet


def fold_batchnorm(net: SiameseNet) -> SiameseNet:
    """Fold the batch norm of a network; returns a copy in eval mode, channels-last; 1.5 x faster on a CPU.

    Folds module by module, because tracing (torch.fx) folds a shared encoder once for each call.
    """
    folded = copy.deepcopy(net).eval().requires_grad_(False)
    for module in folded.modules():
        if isinstance(module, ConvNorm) and isinstance(module.norm, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = nn.Identity()
    return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
