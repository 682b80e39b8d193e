"""Operations of the network as an abstract sequence, which can be measured or exported.

This is `SiameseNet.forward` in terms of a few operations: one implementation runs them on tensors and
measures the results, another exports them as an ONNX graph. Both name the results alike, so that each
exported operation has its measured activation range.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from rsdetect.nets.layout import C, Layers

T = TypeVar("T")  # a feature map
K = TypeVar("K", contravariant=True)  # a convolution


class Operations(Protocol[T, K]):
    """Operations of a network on feature maps.

    Results without a name have no larger range than their inputs, none of which is below 0.
    """

    def conv(self, x: T, conv: K, name: str, *, relu: bool) -> T:
        """Convolution: (n, width_in, h, w) to (n, width_out, h / stride, w / stride)."""
        ...

    def add(self, x: T, y: T, name: str) -> T:
        """Sum with ReLU: relu(x + y), shapes equal."""
        ...

    def difference(self, both: T) -> T:
        """Absolute difference of both halves of the batch: (2, c, h, w) to (1, c, h, w)."""
        ...

    def mean(self, both: T) -> T:
        """Mean of both halves of the batch: (2, c, h, w) to (1, c, h, w)."""
        ...

    def concat(self, x: T, y: T) -> T:
        """Concatenation: channels of x, then channels of y."""
        ...

    def upsample(self, x: T) -> T:
        """Nearest upsampling by 2: (n, c, h, w) to (n, c, 2 h, 2 w)."""
        ...

    def head(self, x: T, conv: K) -> T:
        """Last convolution, its four channels rearranged to 2 x 2 pixels: to (n, 1, 2 h, 2 w)."""
        ...


def run_operations(ops: Operations[T, C], layers: Layers[C], both: T) -> T:
    """Run the network's operations on `both` dates (2, bands, h, w); returns the logits (1, 1, h, w)."""
    convs = layers.convs
    *finer, coarsest = [
        _compare_dates(ops, layers, level) for level in _encoder_operations(ops, layers, both)
    ]
    x = ops.conv(coarsest, convs["evidence"], "evidence", relu=True)
    x = ops.conv(x, convs["context"], "context", relu=True)
    for number, level in reversed(list(enumerate(finer, start=1))):
        x = ops.concat(ops.upsample(x), level)
        for part in (f"merge{number}.mix", f"merge{number}.smooth"):
            x = ops.conv(x, convs[part], part, relu=True)
    return ops.head(x, convs["head"])


def _encoder_operations(ops: Operations[T, C], layers: Layers[C], both: T) -> list[T]:
    """Operations of the encoder: feature maps of both dates at each level."""
    convs = layers.convs
    x = ops.conv(both, convs["stem"], "stem", relu=True)
    levels = [ops.conv(x, convs["at_half"], "at_half", relu=True)]
    for number, blocks in enumerate(layers.layout.blocks, start=2):
        x = ops.conv(levels[-1], convs[f"down{number}"], f"down{number}", relu=True)
        for block in range(1, blocks + 1):
            name = f"deepen{number}.{block}"
            y = ops.conv(x, convs[f"{name}.first"], f"{name}.first", relu=True)
            y = ops.conv(y, convs[f"{name}.second"], f"{name}.second", relu=False)
            x = ops.add(x, y, name)
        levels.append(x)
    return levels


def _compare_dates(ops: Operations[T, C], layers: Layers[C], both: T) -> T:
    """Operations that compare the feature maps of both dates at one level."""
    moved = ops.difference(both)
    return moved if layers.layout.difference == "absolute" else ops.concat(moved, ops.mean(both))
