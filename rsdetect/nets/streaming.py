"""Streaming inference of a Siamese network down a strip of rows: every row of every layer is computed once.

A network that scores a tile also computes the tile's halo, and stores the activations of the whole tile. Here
the rows of a layer that the next step needs are buffered (two for a 3 x 3 convolution), so that only the
sides of a strip need a halo, and memory is proportional to the width of the strip, not to its area.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsdetect.nets.siamese import Merge, Residual, SiameseNet

_Shape = tuple[int, int, int, int]


class StreamingNet:
    """Streaming network: a folded network (`fold_batchnorm`) on the CPU that scores strips from the top down.

    A push of `height` rows returns the logits of the `height` rows that are `late` rows further up. Outside
    of the receptive field's radius from the first row and the sides, a logit equals that of the network on
    the whole scene, up to the order of summation (1e-6). Closer logits are undefined.

    Parameters
    ----------
    height, width
        Pixels of a push; multiples of the network's stride.
    slots
        Indices of the network's bands that are pushed; the others are 0 on both dates. None = all.
    """

    def __init__(
        self, net: SiameseNet, height: int, width: int, slots: tuple[int, ...] | None = None
    ) -> None:
        assert height % net.stride == 0 and width % net.stride == 0
        encoder = net.encoder
        self._absolute = net.difference == "absolute"
        parts = 1 if self._absolute else 2
        rows, cols = height // 2, width // 2
        # Row i of the first layer depends on rows 2 i - 1 to 2 i + 2; those up to 2 i + 1 are available.
        slots = tuple(range(net.bands)) if slots is None else slots
        self.shape: _Shape = (2, len(slots), height, width)  # of a push
        self._stem = _RowBuffer(3, self.shape)
        stem = _folded_conv(encoder.stem)
        self._stem_weight, self._stem_bias = stem.weight[:, list(slots)], stem.bias
        self._at_half = _StreamingConv3x3(encoder.at_half, rows, cols, batch=2)
        late = [2]  # delay of each level in rows of its resolution
        self._levels: list[_StreamingLevel] = []
        for down, deepen in zip(encoder.down, encoder.deepen, strict=True):
            level = _StreamingLevel(_folded_conv(down), deepen, rows, cols, late[-1])
            rows, cols = rows // 2, cols // 2
            self._levels.append(level)
            late.append(level.late)
        self._evidence = _StreamingConv3x3(net.evidence, rows, cols)
        self._context = _StreamingConv3x3(net.context, rows, cols)
        behind = late.pop() + 2
        self._merges: list[_StreamingMerge] = []
        for merge, early in zip(net.merge, reversed(late), strict=True):
            rows, cols = 2 * rows, 2 * cols
            self._merges.append(_StreamingMerge(merge, parts, rows, cols, 2 * behind - early))
            behind = 2 * behind + 1
        self._head = _StreamingConv3x3(net.head, rows, cols)
        self.late: int = 2 * (behind + 1)  # rows

    @torch.inference_mode()
    def push(self, both: Tensor) -> Tensor:
        """Map (2, bands, height, width) normalised pixels, the before date first, to (height, width) logits.

        The pixels may have any memory layout; the copy converts it.
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
        """Compare features as `SiameseNet`: (2, c, h, w) to (1, c or 2 c, h, w)."""
        before, after = both.chunk(2)
        moved = (after - before).abs_()
        return moved if self._absolute else torch.cat([moved, (after + before) / 2], dim=1)


class _RowBuffer:
    """Row buffer of a streaming layer: the newest rows, below the last `rows` of the previous ones."""

    def __init__(self, rows: int, shape: _Shape) -> None:
        batch, width, height, cols = shape
        self._rows = rows
        self.all = torch.zeros(batch, width, rows + height, cols).contiguous(
            memory_format=torch.channels_last
        )

    def fresh(self) -> Tensor:
        """View of the streaming buffer for the next rows, (batch, width, height, cols)."""
        if self._rows:
            self.all[:, :, : self._rows] = self.all[:, :, -self._rows :].clone()
        return self.all[:, :, self._rows :]

    def fill(self, x: Tensor) -> None:
        """Copy the next rows `x` with ReLU into the streaming buffer, in one pass."""
        torch.clamp_min(x, 0, out=self.fresh())


class _StreamingConv3x3:
    """Streaming 3 x 3 convolution of rectified input, delayed by one row."""

    def __init__(self, layer: nn.Module, height: int, cols: int, batch: int = 1) -> None:
        self._conv = layer if isinstance(layer, nn.Conv2d) else _folded_conv(layer)
        self.kept = _RowBuffer(2, (batch, self._conv.in_channels, height, cols))

    def push(self, x: Tensor) -> Tensor:
        """Convolve the next rows, with or without ReLU applied, to as many rows of output."""
        self.kept.fill(x)
        return functional.conv2d(self.kept.all, self._conv.weight, self._conv.bias, padding=(0, 1))


class _StreamingLevel:
    """Streaming level of the encoder: downsampling by two, then residual blocks."""

    def __init__(self, down: nn.Conv2d, deepen: nn.Module, height: int, cols: int, late: int) -> None:
        self._down = down
        # Blocks of 2 x 2 start at even rows, so that an odd delay is extended to an even one.
        self._wait = _RowBuffer(1, (2, down.in_channels, height, cols)) if late % 2 else None
        blocks = [block for block in deepen.children() if isinstance(block, Residual)]
        self._blocks = [
            [_StreamingConv3x3(half, height // 2, cols // 2, batch=2) for half in (block.first, block.second)]
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
            x = moved.add_(first.kept.all[:, :, : height // 2]).relu_()  # the identity, delayed by two rows
        return x


class _StreamingMerge:
    """Streaming `Merge`: upsample by two and merge with the difference at that resolution.

    A 1 x 1 convolution and nearest upsampling commute, so the coarse part is convolved before upsampling, at
    a quarter of the cost.
    """

    def __init__(self, merge: nn.Module, parts: int, height: int, cols: int, wait: int) -> None:
        assert isinstance(merge, Merge)
        mix = _folded_conv(merge.mix)
        skip = parts * _folded_conv(merge.smooth).in_channels
        coarse = mix.in_channels - skip
        self._coarse, self._skip = mix.weight[:, :coarse], mix.weight[:, coarse:].contiguous()
        self._bias = mix.bias
        self._wait = _RowBuffer(wait, (1, skip, height, cols))
        self._smooth = _StreamingConv3x3(merge.smooth, height, cols)

    def push(self, coarse: Tensor, skip: Tensor) -> Tensor:
        self._wait.fill(skip)
        x = functional.conv2d(self._wait.all[:, :, : skip.shape[2]], self._skip, self._bias)
        x += functional.interpolate(functional.conv2d(coarse, self._coarse), scale_factor=2, mode="nearest")
        return self._smooth.push(x).relu_()


def _folded_conv(layer: nn.Module) -> nn.Conv2d:
    conv = layer.conv
    assert isinstance(conv, nn.Conv2d) and conv.bias is not None, "batch norm is not folded"
    return conv
