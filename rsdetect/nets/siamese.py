"""The Siamese change network: one encoder for both dates, feature differences, a light decoder.

It keeps the tile contract (docs/architecture.md). Every operator looks at a fixed neighbourhood:
convolutions, batch norm with stored statistics, nearest upsampling. None sees the size of its input,
so a pixel scored in a tile equals the same pixel scored in the whole scene, as long as the window
holds `reach` pixels around it and starts at a multiple of `stride`.

Downsampling is by 2 x 2 blocks that do not overlap (Liu et al. 2022, ConvNeXt, section 2.2): unlike a
strided 3 x 3 kernel it spends no reach and is centred, so that a flipped scene gives a flipped map.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsdetect.nets.layout import Difference, Layout, Weights

MOST_STRIDE = 16  # of the deepest network; chips are multiples of it, whichever network they are for


class ConvNorm(nn.Module):
    """A convolution and its batch norm, which inference folds into one (see `fold`)."""

    def __init__(self, width_in: int, width_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        padding = (kernel - 1) // 2
        self.conv = nn.Conv2d(width_in, width_out, kernel, stride, padding, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(width_out)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width_in, h, w) to (n, width_out, h / stride, w / stride)."""
        out: Tensor = self.norm(self.conv(x))
        return out


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside the identity (He et al. 2016); the shape stays."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width, kernel=3)
        self.second = ConvNorm(width, width, kernel=3)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to the same."""
        return functional.relu(x + self.second(functional.relu(self.first(x))))


class Encoder(nn.Module):
    """Features of one date at a half of the resolution, a quarter, and so on."""

    def __init__(self, bands: int, widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = ConvNorm(bands, widths[0], kernel=4, stride=2)
        self.at_half = ConvNorm(widths[0], widths[0], kernel=3)
        self.down = nn.ModuleList(
            ConvNorm(fine, coarse, kernel=2, stride=2) for fine, coarse in pairwise(widths)
        )
        self.deepen = nn.ModuleList(
            nn.Sequential(*(Residual(width) for _ in range(count)))
            for width, count in zip(widths[1:], blocks, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """From (n, bands, h, w) to one feature map a level, fine to coarse."""
        x = functional.relu(self.stem(x))  # (n, c2, h/2, w/2)
        levels = [functional.relu(self.at_half(x))]
        for down, deepen in zip(self.down, self.deepen, strict=True):
            x = functional.relu(down(levels[-1]))  # (n, c4, h/4, w/4), then (n, c8, h/8, w/8), ...
            levels.append(deepen(x))
        return levels


class Merge(nn.Module):
    """Brings coarse evidence up by two and joins it with the difference found at that resolution."""

    def __init__(self, coarse: int, skip: int, width: int) -> None:
        super().__init__()
        self.mix = ConvNorm(coarse + skip, width, kernel=1)
        self.smooth = ConvNorm(width, width, kernel=3)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """(n, coarse, h, w) and (n, skip, 2 h, 2 w) to (n, width, 2 h, 2 w)."""
        x = functional.interpolate(coarse, scale_factor=2, mode="nearest")  # (n, coarse, 2 h, 2 w)
        x = torch.cat([x, skip], dim=1)  # (n, coarse + skip, 2 h, 2 w)
        x = functional.relu(self.mix(x))  # (n, width, 2 h, 2 w)
        return functional.relu(self.smooth(x))


class SiameseNet(nn.Module):
    """Two dates in, one logit of change a pixel out; swapping the dates changes nothing.

    Parameters
    ----------
    bands
        Bands a date.
    widths
        Feature channels at a half of the resolution, at a quarter, and so on, in the encoder and in the
        decoder alike, but for `evidence`.
    evidence
        Channels of the decoder at the coarsest level.
    blocks
        Residual blocks of the encoder at each level below a half.
    difference
        "absolute": how far the features moved. "absolute+mean": that, and beside it their mean, which says
        what kind of ground it is.
    """

    def __init__(
        self,
        bands: int = 3,
        widths: tuple[int, ...] = (24, 48, 96),
        evidence: int = 64,
        blocks: tuple[int, ...] = (1, 1),
        difference: Difference = "absolute",
    ) -> None:
        super().__init__()
        parts = difference.count("+") + 1
        self.layout = Layout(bands, tuple(widths), evidence, tuple(blocks), difference)
        self.bands = bands
        self.stride: int = 1 << len(widths)  # of the coarsest level; heights and widths are multiples of it
        self.difference = difference
        self.encoder = Encoder(bands, widths, blocks)
        self.evidence = ConvNorm(parts * widths[-1], evidence, kernel=3)
        self.context = ConvNorm(evidence, evidence, kernel=3)
        upwards = (evidence, *reversed(widths[:-1]))
        self.merge = nn.ModuleList(Merge(coarse, parts * fine, fine) for coarse, fine in pairwise(upwards))
        self.head = nn.Conv2d(widths[0], 4, kernel_size=3, padding=1)

    @classmethod
    def of(cls, weights: Weights) -> SiameseNet:
        """The network with these weights, in eval mode on the CPU."""
        layout = weights.layout
        with torch.device("meta"):  # shapes without memory, and without drawing random weights
            net = cls(layout.bands, layout.widths, layout.evidence, layout.blocks, layout.difference)
        tensors = {key: torch.from_numpy(values) for key, values in weights.tensors.items()}
        net.load_state_dict(tensors, assign=True)
        return net.eval()

    def weights(self) -> Weights:
        """Its weights, as NumPy arrays; on the CPU they share their memory."""
        tensors = {key: value.detach().cpu().contiguous().numpy() for key, value in self.state_dict().items()}
        return Weights(self.layout, tensors)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Logit of change at every pixel.

        Parameters
        ----------
        before, after
            (n, bands, h, w) normalised pixels, 0 where not valid; h and w multiples of `stride`.

        Returns
        -------
        Tensor
            (n, h, w).
        """
        both = torch.cat([before, after])  # (2 n, bands, h, w): one batch is faster than two calls
        *finer, coarsest = [self._compare(level) for level in self.encoder(both)]  # n again
        x = functional.relu(self.evidence(coarsest))  # (n, evidence, h/8, w/8) where there are three levels
        x = functional.relu(self.context(x))
        for merge, level in zip(self.merge, reversed(finer), strict=True):
            x = merge(x, level)  # (n, c4, h/4, w/4), then (n, c2, h/2, w/2)
        x = self.head(x)  # (n, 4, h/2, w/2): the four pixels of each 2 x 2 block
        return functional.pixel_shuffle(x, 2).squeeze(1)  # (n, 1, h, w), then (n, h, w)

    def _compare(self, both: Tensor) -> Tensor:
        """(2 n, c, h, w) to (n, c or 2 c, h, w), whichever date comes first."""
        before, after = both.chunk(2)
        moved = (after - before).abs()  # (n, c, h, w)
        if self.difference == "absolute":
            return moved
        return torch.cat([moved, (after + before) / 2], dim=1)  # (n, 2 c, h, w)
