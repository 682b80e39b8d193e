"""How far the results of each step reach: what 8 bits are spread over."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsdetect.arraytypes import Float32Array
from rsdetect.backends.steps import walk
from rsdetect.nets.fold_batchnorm import fold_batchnorm
from rsdetect.nets.layout import Layers
from rsdetect.nets.siamese import ConvNorm, SiameseNet


class Measuring:
    """Does the steps with tensors, and keeps the largest magnitude that each of them gave."""

    def __init__(self) -> None:
        self.ranges: dict[str, float] = {}

    def conv(self, x: Tensor, conv: nn.Conv2d, name: str, *, relu: bool) -> Tensor:
        """As `Operations.conv`."""
        y: Tensor = conv(x)
        return self._seen(name, functional.relu(y) if relu else y)

    def add(self, x: Tensor, y: Tensor, name: str) -> Tensor:
        """As `Operations.add`."""
        return self._seen(name, functional.relu(x + y))

    def moved(self, both: Tensor) -> Tensor:
        """As `Operations.moved`."""
        before, after = both.chunk(2)
        return (after - before).abs()

    def mean(self, both: Tensor) -> Tensor:
        """As `Operations.mean`."""
        before, after = both.chunk(2)
        return (after + before) / 2

    def join(self, x: Tensor, y: Tensor) -> Tensor:
        """As `Operations.join`."""
        return torch.cat([x, y], dim=1)

    def enlarge(self, x: Tensor) -> Tensor:
        """As `Operations.enlarge`."""
        return functional.interpolate(x, scale_factor=2, mode="nearest")

    def head(self, x: Tensor, conv: nn.Conv2d) -> Tensor:
        """As `Operations.head`."""
        return functional.pixel_shuffle(conv(x), 2)

    def _seen(self, name: str, x: Tensor) -> Tensor:
        self.ranges[name] = max(self.ranges.get(name, 0.0), float(x.abs().max()))
        return x


def folded_layers(net: SiameseNet) -> Layers[nn.Conv2d]:
    """The convolutions of `net`, folded; the network itself is left as it is."""
    folded = fold_batchnorm(net)
    convs: dict[str, nn.Conv2d] = {}
    for convolution in net.layout.convolutions():
        module = folded.get_submodule(convolution.module)
        conv = module.conv if isinstance(module, ConvNorm) else module
        assert isinstance(conv, nn.Conv2d)
        convs[convolution.step] = conv
    return Layers(net.layout, convs)


def measure_ranges(net: SiameseNet, pairs: Iterable[Float32Array]) -> dict[str, float]:
    """The largest magnitude of every step over `pairs`.

    Parameters
    ----------
    net
        In eval mode; left as it is.
    pairs
        Each (2, bands, height, width) normalised pixels of both dates, as `Network.logits` takes them.

    Returns
    -------
    dict
        Name of a step to a number above 0, as `nets.card.EightBit` keeps them.
    """
    layers, measuring = folded_layers(net), Measuring()
    with torch.inference_mode():
        for dates in pairs:
            walk(measuring, layers, torch.from_numpy(dates).contiguous(memory_format=torch.channels_last))
    # What is never used may span anything; 4 digits are more than 8 bits can tell.
    return {name: float(f"{largest or 1.0:.4g}") for name, largest in measuring.ranges.items()}
