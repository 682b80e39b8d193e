"""The network as a list of steps that can be measured, or written down in another language.

`SiameseNet.forward` in terms of a few operations: one class does them with tensors and looks at the results,
another writes them as a graph. Both name the results alike, so that what was measured of a step is known
when it is written.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from rsdetect.nets.layout import C, Layers

T = TypeVar("T")  # a feature map
K = TypeVar("K", contravariant=True)  # a convolution


class Operations(Protocol[T, K]):
    """What a network does to feature maps.

    Results that have no name reach no farther than what they are made of, none of which is below 0.
    """

    def conv(self, x: T, conv: K, name: str, *, relu: bool) -> T:
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

    def head(self, x: T, conv: K) -> T:
        """The last convolution and its four channels laid out as 2 x 2 pixels: to (n, 1, 2 h, 2 w)."""
        ...


def walk(ops: Operations[T, C], layers: Layers[C], both: T) -> T:
    """What the network makes of `both` dates (2, bands, h, w): the logits (1, 1, h, w)."""
    convs = layers.convs
    *finer, coarsest = [_compare(ops, layers, level) for level in _encode(ops, layers, both)]
    x = ops.conv(coarsest, convs["evidence"], "evidence", relu=True)
    x = ops.conv(x, convs["context"], "context", relu=True)
    for number, level in reversed(list(enumerate(finer, start=1))):
        x = ops.join(ops.enlarge(x), level)
        for part in (f"merge{number}.mix", f"merge{number}.smooth"):
            x = ops.conv(x, convs[part], part, relu=True)
    return ops.head(x, convs["head"])


def _encode(ops: Operations[T, C], layers: Layers[C], both: T) -> list[T]:
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


def _compare(ops: Operations[T, C], layers: Layers[C], both: T) -> T:
    moved = ops.moved(both)
    return moved if layers.layout.difference == "absolute" else ops.join(moved, ops.mean(both))
