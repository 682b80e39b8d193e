"""Activation ranges of a network's operations, for int8 post-training quantization."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsdetect.arraytypes import Float32Array
from rsdetect.backends.operations import run_operations
from rsdetect.nets.fold_batchnorm import fold_batchnorm
from rsdetect.nets.layout import Layers
from rsdetect.nets.siamese import ConvNorm, SiameseNet


class RangeMeasurement:
    """Measurement of activation ranges: runs operations on tensors, keeps the largest magnitudes."""

    def __init__(self) -> None:
        self.ranges: dict[str, float] = {}

    def conv(self, x: Tensor, conv: nn.Conv2d, name: str, *, relu: bool) -> Tensor:
        """As `Operations.conv`."""
        y: Tensor = conv(x)
        return self._update_range(name, functional.relu(y) if relu else y)

    def add(self, x: Tensor, y: Tensor, name: str) -> Tensor:
        """As `Operations.add`."""
        return self._update_range(name, functional.relu(x + y))

    def difference(self, both: Tensor) -> Tensor:
        """As `Operations.moved`."""
        before, after = both.chunk(2)
        return (after - before).abs()

    def mean(self, both: Tensor) -> Tensor:
        """As `Operations.mean`."""
        before, after = both.chunk(2)
        return (after + before) / 2

    def concat(self, x: Tensor, y: Tensor) -> Tensor:
        """As `Operations.join`."""
        return torch.cat([x, y], dim=1)

    def upsample(self, x: Tensor) -> Tensor:
        """As `Operations.enlarge`."""
        return functional.interpolate(x, scale_factor=2, mode="nearest")

    def head(self, x: Tensor, conv: nn.Conv2d) -> Tensor:
        """As `Operations.head`."""
        return functional.pixel_shuffle(conv(x), 2)

    def _update_range(self, name: str, x: Tensor) -> Tensor:
        """Update the activation range of a named result."""
        self.ranges[name] = max(self.ranges.get(name, 0.0), float(x.abs().max()))
        return x


def folded_layers(net: SiameseNet) -> Layers[nn.Conv2d]:
    """Convolutions of `net` with folded batch norm, for measuring activation ranges; `net` is not changed."""
    folded = fold_batchnorm(net)
    convs: dict[str, nn.Conv2d] = {}
    for convolution in net.layout.convolutions():
        module = folded.get_submodule(convolution.module)
        conv = module.conv if isinstance(module, ConvNorm) else module
        assert isinstance(conv, nn.Conv2d)
        convs[convolution.step] = conv
    return Layers(net.layout, convs)


def measure_activation_ranges(net: SiameseNet, pairs: Iterable[Float32Array]) -> dict[str, float]:
    """Measure the activation ranges of all operations over `pairs`.

    Parameters
    ----------
    net
        In eval mode; not changed.
    pairs
        Each (2, bands, height, width) normalized pixels of both dates, as for `Network.logits`.

    Returns
    -------
    dict
        Name of an operation -> largest magnitude > 0, as in `nets.card.EightBit`.
    """
    layers, measuring = folded_layers(net), RangeMeasurement()
    with torch.inference_mode():
        for dates in pairs:
            run_operations(
                measuring, layers, torch.from_numpy(dates).contiguous(memory_format=torch.channels_last)
            )
    # An operation that is always 0 may have any range; 4 digits are more than int8 resolves.
    return {name: float(f"{largest or 1.0:.4g}") for name, largest in measuring.ranges.items()}
