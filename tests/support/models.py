"""Small networks with random weights, and their cards."""

from __future__ import annotations

import torch

from rsdetect.nets.card import Architecture, Calibration, Card, Scaling, Training
from rsdetect.nets.cost import count_parameters, macs_per_pixel_pair
from rsdetect.nets.siamese import SiameseNet

SMALL = Architecture(bands=3, widths=(4, 6, 8), evidence=5)


def trained_looking(architecture: Architecture = SMALL) -> SiameseNet:
    """Random weights and, unlike after initialisation, batch norm that does something."""
    generator = torch.Generator().manual_seed(7)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = architecture.build()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.2)
            for tensor in (module.running_var, module.weight.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return net.eval()


def card_of(net: SiameseNet, architecture: Architecture = SMALL) -> Card:
    return Card(
        name="small",
        version="0",
        architecture=architecture,
        bands=("red", "green", "blue", "nir", "swir1", "swir2")[: architecture.bands],
        scaling=Scaling(),
        reach_px=architecture.layout.reach(),
        stride_px=architecture.stride_px,
        parameters=count_parameters(net),
        macs_per_pixel_pair=macs_per_pixel_pair(net),
        calibration=Calibration(temperature=0.8, offset=-0.5, change_share=0.05),
        threshold=0.4,
        training=Training(data="none", seed=0, steps=0, chips=0, minutes=0.0),
        scores={"nothing": {"f1": 0.5}},
        known_failures=(),
        licence="Apache-2.0",
    )
