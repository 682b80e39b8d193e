"""A Siamese network down a scene, a band of rows at a time: every row of every layer is computed once.

A network that scores a tile computes the tile's halo as well, and holds the activations of the whole tile.
Here the rows of a layer that the next band still needs are kept instead (two for a 3 x 3 convolution), so
that only the sides of a strip cost a halo, and memory goes with the width of the strip and not with its area.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsdetect.nets.siamese import Merge, Residual, SiameseNet

_Shape = tuple[int, int, int, int]


class NetRows:
    """A folded network (`fold`) on the CPU that takes two dates from the top down, and gives logits late.

    A push of `height` rows gives the logits of the `height` rows that lie `late` rows higher up. From the
    network's reach below the first row on, and its reach in from the sides, a logit is that of the network on
    the whole scene, but for sums in another order (1e-6). One that is closer means nothing.

    Parameters
    ----------
    height, width
        Pixels of a push; multiples of the network's stride.
    slots
        Which of the network's bands are pushed, the others being 0 on both dates; None = all of them.
    """

    def __init__(
        self, net: SiameseNet, height: int, width: int, slots: tuple[int, ...] | None = None
    ) -> None:
        assert height % net.stride == 0 and width % net.stride == 0
        encoder = net.encoder
        self._absolute = net.difference == "absolute"
        parts = 1 if self._absolute else 2
        rows, cols = height // 2, width // 2
        # Row i of the first layer looks at rows 2 i - 1 to 2 i + 2; those up to 2 i + 1 have come.
        slots = tuple(range(net.bands)) if slots is None else slots
        self.shape: _Shape = (2, len(slots), height, width)  # of a push
        self._stem = _Kept(3, self.shape)
        stem = _conv(encoder.stem)
        self._stem_weight, self._stem_bias = stem.weight[:, list(slots)], stem.bias
        self._at_half = _Three(encoder.at_half, rows, cols, batch=2)
        late = [2]  # rows by which each level is behind its own share of what was pushed
        self._levels: list[_LevelRows] = []
        for down, deepen in zip(encoder.down, encoder.deepen, strict=True):
            level = _LevelRows(_conv(down), deepen, rows, cols, late[-1])
            rows, cols = rows // 2, cols // 2
            self._levels.append(level)
            late.append(level.late)
        self._evidence = _Three(net.evidence, rows, cols)
        self._context = _Three(net.context, rows, cols)
        behind = late.pop() + 2
        self._merges: list[_MergeRows] = []
        for merge, early in zip(net.merge, reversed(late), strict=True):
            rows, cols = 2 * rows, 2 * cols
            self._merges.append(_MergeRows(merge, parts, rows, cols, 2 * behind - early))
            behind = 2 * behind + 1
        self._head = _Three(net.head, rows, cols)
        self.late: int = 2 * (behind + 1)  # rows

    @torch.inference_mode()
    def push(self, both: Tensor) -> Tensor:
        """(2, bands, height, width) normalised pixels, the before date first, to (height, width) logits.

        Any memory layout will do for the pixels; they are brought into the network's while they are copied.
        """
        self._stem.fresh().copy_(both)
        x = functional.conv2d(
            self._stem.all[:, :, :-1],
            self._stem_weight,
            self._stem_bias,
            stride=2,
            padding=(0, 1),
        )
        levels = [self._at_half.push(x).relu_()]
        for level in self._levels:
            levels.append(level.push(levels[-1]))
        x = self._evidence.push(self._compare(levels.pop()))
        x = self._context.push(x).relu_()
        for merge in self._merges:
            x = merge.push(x, self._compare(levels.pop()))
        return functional.pixel_shuffle(self._head.push(x), 2)[0, 0]

    def _compare(self, both: Tensor) -> Tensor:
        """As `SiameseNet` compares: (2, c, h, w) to (1, c or 2 c, h, w)."""
        before, after = both.chunk(2)
        moved = (after - before).abs_()
        return moved if self._absolute else torch.cat([moved, (after + before) / 2], dim=1)


class _Kept:
    """The rows of a layer that just came, below the last `rows` of those before."""

    def __init__(self, rows: int, shape: _Shape) -> None:
        batch, width, height, cols = shape
        self._rows = rows
        self.all = torch.zeros(batch, width, rows + height, cols).contiguous(
            memory_format=torch.channels_last
        )

    def fresh(self) -> Tensor:
        """Room for the rows that come next, (batch, width, height, cols)."""
        if self._rows:
            self.all[:, :, : self._rows] = self.all[:, :, -self._rows :].clone()
        return self.all[:, :, self._rows :]

    def fill(self, x: Tensor) -> None:
        """Take `x` as the next rows, what is negative in it as 0: one pass over it for copy and ReLU."""
        torch.clamp_min(x, 0, out=self.fresh())


class _Three:
    """A 3 x 3 convolution of what is 0 or more, one row late."""

    def __init__(self, layer: nn.Module, height: int, cols: int, batch: int = 1) -> None:
        self._conv = layer if isinstance(layer, nn.Conv2d) else _conv(layer)
        self.kept = _Kept(2, (batch, self._conv.in_channels, height, cols))

    def push(self, x: Tensor) -> Tensor:
        """Rows, before their ReLU or after it, to as many rows before theirs."""
        self.kept.fill(x)
        return functional.conv2d(self.kept.all, self._conv.weight, self._conv.bias, padding=(0, 1))


class _LevelRows:
    """Down by two, then the residual blocks of a level of the encoder."""

    def __init__(self, down: nn.Conv2d, deepen: nn.Module, height: int, cols: int, late: int) -> None:
        self._down = down
        # Blocks of 2 x 2 start at even rows, so that an odd delay is made even.
        self._wait = _Kept(1, (2, down.in_channels, height, cols)) if late % 2 else None
        blocks = [block for block in deepen.children() if isinstance(block, Residual)]
        self._blocks = [
            [_Three(half, height // 2, cols // 2, batch=2) for half in (block.first, block.second)]
            for block in blocks
        ]
        self.late = (late + 1) // 2 + 2 * len(blocks)

    def push(self, x: Tensor) -> Tensor:
        height = x.shape[2]
        if self._wait is not None:
            self._wait.fill(x)
            x = self._wait.all[:, :, :height]
        x = functional.conv2d(x, self._down.weight, self._down.bias, stride=2).relu_()
        for first, second in self._blocks:
            moved = second.push(first.push(x))
            x = moved.add_(first.kept.all[:, :, : height // 2]).relu_()  # the identity, two rows late
        return x


class _MergeRows:
    """What `Merge` does: coarse evidence up by two, beside the difference found at that resolution.

    A 1 x 1 convolution and a nearest upsampling may change places, so the coarse part is mixed before it goes
    up, at a quarter of the work.
    """

    def __init__(self, merge: nn.Module, parts: int, height: int, cols: int, wait: int) -> None:
        assert isinstance(merge, Merge)
        mix = _conv(merge.mix)
        skip = parts * _conv(merge.smooth).in_channels
        coarse = mix.in_channels - skip
        self._coarse, self._skip = mix.weight[:, :coarse], mix.weight[:, coarse:].contiguous()
        self._bias = mix.bias
        self._wait = _Kept(wait, (1, skip, height, cols))
        self._smooth = _Three(merge.smooth, height, cols)

    def push(self, coarse: Tensor, skip: Tensor) -> Tensor:
        self._wait.fill(skip)
        x = functional.conv2d(self._wait.all[:, :, : skip.shape[2]], self._skip, self._bias)
        x += functional.interpolate(functional.conv2d(coarse, self._coarse), scale_factor=2, mode="nearest")
        return self._smooth.push(x).relu_()


def _conv(layer: nn.Module) -> nn.Conv2d:
    conv = layer.conv
    assert isinstance(conv, nn.Conv2d) and conv.bias is not None, "batch norm is not folded"
    return conv
