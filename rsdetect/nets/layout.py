"""Layout of a network without torch: its convolutions, and their weights as NumPy arrays.

Names are those of `SiameseNet.state_dict`, so that both read the same model files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Difference = Literal["absolute", "absolute+mean"]  # comparison of the features of both dates
C = TypeVar("C")

_EPSILON = 1e-5  # of batch norm, as in torch.nn.BatchNorm2d
_NORM = ("weight", "bias", "running_mean", "running_var")
_COUNT = "num_batches_tracked"


class Convolution(NamedTuple):
    """Convolution of a layout: name, module and shape."""

    step: str  # name of its output
    module: str  # its path in `SiameseNet`
    shape: tuple[int, int, int, int]  # of its weight: output channels, input channels, kernel, kernel


@dataclass(frozen=True)
class Layout:
    """Layout of a network: the arguments of `SiameseNet`."""

    bands: int
    widths: tuple[int, ...]
    evidence: int
    blocks: tuple[int, ...]
    difference: Difference

    def convolutions(self) -> Iterator[Convolution]:
        """Convolutions of the layout, in the order of computation."""
        parts, first = self.difference.count("+") + 1, self.widths[0]
        yield Convolution("stem", "encoder.stem", (first, self.bands, 4, 4))
        yield Convolution("at_half", "encoder.at_half", (first, first, 3, 3))
        for i, (fine, coarse) in enumerate(pairwise(self.widths)):
            yield Convolution(f"down{i + 2}", f"encoder.down.{i}", (coarse, fine, 2, 2))
            for block in range(self.blocks[i]):
                for half in ("first", "second"):
                    step = f"deepen{i + 2}.{block + 1}.{half}"
                    yield Convolution(step, f"encoder.deepen.{i}.{block}.{half}", (coarse, coarse, 3, 3))
        yield Convolution("evidence", "evidence", (self.evidence, parts * self.widths[-1], 3, 3))
        yield Convolution("context", "context", (self.evidence, self.evidence, 3, 3))
        upwards = (self.evidence, *reversed(self.widths[:-1]))
        for i, (coarse, fine) in enumerate(pairwise(upwards)):
            level = len(self.blocks) - i
            yield Convolution(f"merge{level}.mix", f"merge.{i}.mix", (fine, coarse + parts * fine, 1, 1))
            yield Convolution(f"merge{level}.smooth", f"merge.{i}.smooth", (fine, fine, 3, 3))
        yield Convolution("head", "head", (4, first, 3, 3))

    def reach(self) -> int:
        """Radius of the layout's receptive field in pixels: from an output pixel to its farthest input.

        It follows an output pixel through the network to the interval of rows that it depends on, for each
        phase of the stride. The tests measure the same by gradients.
        """
        return max(
            max(pixel - rows[0], rows[1] - pixel)
            for pixel in range(1 << len(self.widths))
            for rows in self._inputs_of(pixel)
        )

    def _inputs_of(self, pixel: int) -> Iterator[tuple[int, int]]:
        low, high = pixel // 2 - 1, pixel // 2 + 1  # the head, at half resolution
        deepest = len(self.widths)
        for level in range(1, deepest):
            low, high = low - 1, high + 1  # merge: smooth
            yield self._inputs_of_level(level, low, high)
            low, high = low // 2, high // 2  # nearest upsampling
        yield self._inputs_of_level(deepest, low - 2, high + 2)  # context, evidence

    def _inputs_of_level(self, level: int, low: int, high: int) -> tuple[int, int]:
        for deeper in range(level, 1, -1):
            wider = 2 * self.blocks[deeper - 2]
            low, high = 2 * (low - wider), 2 * (high + wider) + 1
        return 2 * (low - 1) - 1, 2 * (high + 1) + 2  # at_half, stem

    def tensors(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Shape and dtype of every tensor of a model file with this layout."""
        found: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        real = np.dtype(np.float32)
        for conv in self.convolutions():
            width = conv.shape[:1]
            if conv.step == "head":
                found |= {"head.weight": (conv.shape, real), "head.bias": (width, real)}
                continue
            found[f"{conv.module}.conv.weight"] = conv.shape, real
            found |= {f"{conv.module}.norm.{name}": (width, real) for name in _NORM}
            found[f"{conv.module}.norm.{_COUNT}"] = (), np.dtype(np.int64)
        return found


@dataclass(frozen=True)
class Conv:
    """Convolution of a layout with its batch norm folded in."""

    weight: NDArray[np.float32]  # (output channels, input channels, kernel, kernel)
    bias: NDArray[np.float32]  # (output channels,)

    @property
    def kernel(self) -> int:
        """Edge of a layout convolution's kernel in pixels."""
        return int(self.weight.shape[2])

    @property
    def stride(self) -> int:
        """Stride of a layout convolution: 2 for even kernels, else 1."""
        return 2 - self.kernel % 2

    @property
    def padding(self) -> int:
        """Zero padding of a layout convolution on each side, in pixels."""
        return (self.kernel - 1) // 2


@dataclass(frozen=True)
class Layers(Generic[C]):
    """Convolutions of a network layout, batch norm folded in."""

    layout: Layout
    convs: Mapping[str, C]  # by step


@dataclass(frozen=True)
class Weights:
    """Weights of a network layout, as stored in a model file."""

    layout: Layout
    tensors: Mapping[str, NDArray[Any]]  # as in `Layout.tensors`

    def narrow(self, slots: tuple[int, ...]) -> Weights:
        """Weights and layout of a network for the bands `slots` only, as if the others were 0."""
        stem = "encoder.stem.conv.weight"
        narrowed = np.ascontiguousarray(self.tensors[stem][:, list(slots)])
        return Weights(replace(self.layout, bands=len(slots)), {**self.tensors, stem: narrowed})

    def folded(self) -> Layers[Conv]:
        """Layers of the layout with batch norm folded, equal to `nets.fold_batchnorm` with torch."""
        return Layers(
            self.layout,
            {conv.step: self._fold_convolution(conv.module) for conv in self.layout.convolutions()},
        )

    def _fold_convolution(self, module: str) -> Conv:
        if module == "head":
            return Conv(self.tensors["head.weight"], self.tensors["head.bias"])
        weight, bias, mean, variance = (self.tensors[f"{module}.norm.{name}"] for name in _NORM)
        # In this order of operations, results are bit-identical to torch.
        inverse = 1 / np.sqrt(variance + np.float32(_EPSILON))
        kernels = self.tensors[f"{module}.conv.weight"] * (weight * inverse)[:, None, None, None]
        shift = -mean * inverse * weight + bias
        return Conv(kernels.astype(np.float32, copy=False), shift.astype(np.float32, copy=False))
