"""The Siamese change network: one encoder for both dates, feature differences, a light decoder.

It satisfies the tile contract (docs/architecture.md). Every operator has a fixed neighbourhood:
convolutions, batch norm with stored statistics, nearest upsampling. None depends on the size of its input,
so a pixel scored in a tile equals the same pixel scored in the whole scene, if the window contains its
receptive field and starts at a multiple of `stride`.

Downsampling uses 2 x 2 blocks without overlap (Liu et al. 2022, ConvNeXt, section 2.2): unlike a strided
3 x 3 kernel it does not widen the receptive field and is centred, so that a flipped scene gives a flipped
map.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsdetect.nets.layout import Difference, Layout, Weights

MOST_STRIDE = 16  # of the deepest network; chips of all networks are multiples of it


class ConvNorm(nn.Module):
    """Convolution and batch norm of a Siamese network; inference folds them (`fold_batchnorm`)."""

    def __init__(self, width_in: int, width_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        padding = (kernel - 1) // 2
        self.conv = nn.Conv2d(width_in, width_out, kernel, stride, padding, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(width_out)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the Siamese layer: (n, width_in, h, w) to (n, width_out, h / stride, w / stride)."""
        out: Tensor = self.norm(self.conv(x))
        return out


class Residual(nn.Module):
    """Residual block of a Siamese network: two 3 x 3 convolutions and the identity (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width, kernel=3)
        self.second = ConvNorm(width, width, kernel=3)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the Siamese residual block to (n, width, h, w)."""
        return functional.relu(x + self.second(functional.relu(self.first(x))))


class Encoder(nn.Module):
    """Encoder of a Siamese network: features of one date at 1/2 of the resolution, 1/4, and so on."""

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
        """Apply the Siamese encoder: (n, bands, h, w) to one feature map per level, fine to coarse."""
        x = functional.relu(self.stem(x))  # (n, c2, h/2, w/2)
        levels = [functional.relu(self.at_half(x))]
        for down, deepen in zip(self.down, self.deepen, strict=True):
            x = functional.relu(down(levels[-1]))  # (n, c4, h/4, w/4), then (n, c8, h/8, w/8), ...
            levels.append(deepen(x))
        return levels


class Merge(nn.Module):
    """Decoder step of a Siamese network: upsample by two and merge with the difference at that resolution."""

    def __init__(self, coarse: int, skip: int, width: int) -> None:
        super().__init__()
        self.mix = ConvNorm(coarse + skip, width, kernel=1)
        self.smooth = ConvNorm(width, width, kernel=3)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """Apply the Siamese decoder step: (n, coarse, h, w), (n, skip, 2 h, 2 w) to (n, width, 2 h, 2 w)."""
        x = functional.interpolate(coarse, scale_factor=2, mode="nearest")  # (n, coarse, 2 h, 2 w)
        x = torch.cat([x, skip], dim=1)  # (n, coarse + skip, 2 h, 2 w)
        x = functional.relu(self.mix(x))  # (n, width, 2 h, 2 w)
        return functional.relu(self.smooth(x))


class SiameseNet(nn.Module):
    """Siamese network from two dates to a logit of change per pixel, symmetric in the dates.

    Parameters
    ----------
    bands
        Bands per date.
    widths
        Feature channels at 1/2 of the resolution, at 1/4, and so on, in the encoder and in the decoder,
        except for `evidence`.
    evidence
        Channels of the decoder at the coarsest level.
    blocks
        Residual blocks of the encoder at each level below 1/2.
    difference
        "absolute": absolute difference of the features. "absolute+mean": also their mean, which identifies
        the kind of ground.
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
        """Siamese network with these weights, in eval mode on the CPU."""
        layout = weights.layout
        with torch.device("meta"):  # shapes without memory, and without drawing random weights
            net = cls(layout.bands, layout.widths, layout.evidence, layout.blocks, layout.difference)
        tensors = {key: torch.from_numpy(values) for key, values in weights.tensors.items()}
        net.load_state_dict(tensors, assign=True)
        return net.eval()

    def weights(self) -> Weights:
        """Weights of the network as NumPy arrays; on the CPU they share its memory."""
        tensors = {key: value.detach().cpu().contiguous().numpy() for key, value in self.state_dict().items()}
        return Weights(self.layout, tensors)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Logits of change of every pixel.

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
        x = functional.relu(self.evidence(coarsest))  # (n, evidence, h/8, w/8) with three levels
        x = functional.relu(self.context(x))
        for merge, level in zip(self.merge, reversed(finer), strict=True):
            x = merge(x, level)  # (n, c4, h/4, w/4), then (n, c2, h/2, w/2)
        x = self.head(x)  # (n, 4, h/2, w/2): the four pixels of each 2 x 2 block
        return functional.pixel_shuffle(x, 2).squeeze(1)  # (n, 1, h, w), then (n, h, w)

    def _compare(self, both: Tensor) -> Tensor:
        """Compare the features of both dates symmetrically: (2 n, c, h, w) to (n, c or 2 c, h, w)."""
        before, after = both.chunk(2)
        moved = (after - before).abs()  # (n, c, h, w)
        if self.difference == "absolute":
            return moved
        return torch.cat([moved, (after + before) / 2], dim=1)  # (n, 2 c, h, w)
