"""The network as a list of steps that can be measured, or written down in another language.

`SiameseNet.forward` in terms of a few operations: one class does them with tensors and looks at the results,
another writes them as a graph. Both name the results alike, so that what was measured of a step is known
when it is written.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from torch import nn

from rsdetect.nets.siamese import ConvNorm, Merge, Residual, SiameseNet

T = TypeVar("T")


class Operations(Protocol[T]):
    """What a network does to feature maps.

    Results that have no name reach no farther than what they are made of, none of which is below 0.
    """

    def conv(self, x: T, conv: nn.Conv2d, name: str, *, relu: bool) -> T:
        """(n, width_in, h, w) to (n, width_out, h / stride, w / stride)."""
        ...

    def add(self, x: T, y: T, name: str) -> T:
        """relu(x + y), shapes equal."""
        ...

    def moved(self, both: T) -> T:
        """|first half of the batch - second half|: (2, c, h, w) to (1, c, h, w)."""
        ...

    def mean(self, both: T) -> T:
        """Mean of both halves of the batch: (2, c, h, w) to (1, c, h, w)."""
        ...

    def join(self, x: T, y: T) -> T:
        """Channels of x, then channels of y."""
        ...

    def enlarge(self, x: T) -> T:
        """Every pixel twice in each direction: (n, c, h, w) to (n, c, 2 h, 2 w)."""
        ...

    def head(self, x: T, conv: nn.Conv2d) -> T:
        """The last convolution and its four channels laid out as 2 x 2 pixels: to (n, 1, 2 h, 2 w)."""
        ...


def walk(ops: Operations[T], net: SiameseNet, both: T) -> T:
    """What `net`, folded, makes of `both` dates (2, bands, h, w): the logits (1, 1, h, w)."""
    *finer, coarsest = [_compare(ops, net, level) for level in _encode(ops, net, both)]
    x = ops.conv(coarsest, _conv(net.evidence), "evidence", relu=True)
    x = ops.conv(x, _conv(net.context), "context", relu=True)
    for merge, level, number in zip(net.merge, reversed(finer), range(len(finer), 0, -1), strict=True):
        assert isinstance(merge, Merge)
        x = ops.join(ops.enlarge(x), level)
        x = ops.conv(x, _conv(merge.mix), f"merge{number}.mix", relu=True)
        x = ops.conv(x, _conv(merge.smooth), f"merge{number}.smooth", relu=True)
    return ops.head(x, net.head)


def _encode(ops: Operations[T], net: SiameseNet, both: T) -> list[T]:
    encoder = net.encoder
    x = ops.conv(both, _conv(encoder.stem), "stem", relu=True)
    levels = [ops.conv(x, _conv(encoder.at_half), "at_half", relu=True)]
    for number, (down, deepen) in enumerate(zip(encoder.down, encoder.deepen, strict=True), start=2):
        assert isinstance(deepen, nn.Sequential)
        x = ops.conv(levels[-1], _conv(down), f"down{number}", relu=True)
        for block, residual in enumerate(deepen, start=1):
            assert isinstance(residual, Residual)
            name = f"deepen{number}.{block}"
            y = ops.conv(x, _conv(residual.first), f"{name}.first", relu=True)
            y = ops.conv(y, _conv(residual.second), f"{name}.second", relu=False)
            x = ops.add(x, y, name)
        levels.append(x)
    return levels


def _compare(ops: Operations[T], net: SiameseNet, both: T) -> T:
    moved = ops.moved(both)
    return moved if net.difference == "absolute" else ops.join(moved, ops.mean(both))


def _conv(module: nn.Module) -> nn.Conv2d:
    assert isinstance(module, ConvNorm)
    assert isinstance(module.norm, nn.Identity), "batch norm is to be folded first"
    return module.conv
