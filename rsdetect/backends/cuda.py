"""PyTorch on a GPU, in half precision; needs torch and numpy and nothing else."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rsdetect.arraytypes import Float32Array
from rsdetect.backends.batching import Owner
from rsdetect.nets.fold_batchnorm import fold_batchnorm
from rsdetect.nets.siamese import SiameseNet

MOST_TILES = 16  # in a batch; beyond that a GPU has enough to do, and tiles would only wait for each other
_SHARE = 0.7  # of the free memory that a batch may take


class CudaNetwork(Owner):
    """The folded network on a GPU, with one owner thread."""

    def __init__(self, net: SiameseNet, device: str) -> None:
        super().__init__(HalfPrecision(net, device), device)


@dataclass(frozen=True)
class _Lane:
    """Memory for one batch at each end. While one lane is computed, the other is filled."""

    here: Tensor  # (n, 2, bands, h, w) float32, pinned
    there: Tensor  # the same on the device
    back: Tensor  # (n, h, w) float32, pinned


@dataclass(frozen=True)
class _Ticket:
    lane: _Lane
    tiles: int
    done: Any  # the event after the last copy, None without streams


class HalfPrecision:
    """Batches on one device: copied in, computed and copied back on a stream each.

    Half precision moves a probability by up to 0.01, which is why the record names it. On a device without
    streams ("cpu", for tests) the same happens one after the other.
    """

    def __init__(self, net: SiameseNet, device: str) -> None:
        self._device = torch.device(device)
        self._net = fold_batchnorm(net).to(self._device, torch.float16, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._is_cuda = self._device.type == "cuda"
        self._in, self._compute, self._out = (
            torch.cuda.Stream(self._device) if self._is_cuda else None for _ in range(3)
        )
        self._shape: tuple[int, ...] = ()  # of the tiles that the lanes are for
        self._most = 1
        self._lanes: list[_Lane] = []
        self._turn = 0

    def most(self, shape: tuple[int, ...]) -> int:
        """As `Accelerator.most`: what the free memory holds, by what one tile takes."""
        if shape != self._shape:
            self._lanes = []
            self._shape, self._most = shape, self._fitting(shape) if self._is_cuda else MOST_TILES
        return self._most

    def halve(self, shape: tuple[int, ...]) -> None:
        """As `Accelerator.halve`."""
        self._lanes = []
        self._most = max(1, self._most // 2)
        if self._is_cuda:
            torch.cuda.empty_cache()

    def start(self, tiles: list[Float32Array]) -> _Ticket:
        """As `Accelerator.start`."""
        if not self._lanes:
            self._lanes = [self._lane(), self._lane()]
        lane, count = self._lanes[self._turn], len(tiles)
        for number, dates in enumerate(tiles):
            lane.here[number].copy_(torch.from_numpy(dates))
        with self._on(self._in):
            lane.there[:count].copy_(lane.here[:count], non_blocking=True)
        self._wait(self._compute, self._in)
        with self._on(self._compute), torch.inference_mode():
            logits = self._forward(lane.there[:count])
        self._wait(self._out, self._compute)
        with self._on(self._out):
            lane.back[:count].copy_(logits, non_blocking=True)
            if self._out is not None:
                # Its memory belongs to the stream that computes, which must not take it back too early.
                logits.record_stream(self._out)
        self._turn = (self._turn + 1) % len(self._lanes)  # only now: a batch that failed holds no lane
        return _Ticket(lane, count, self._out.record_event() if self._out is not None else None)

    def finish(self, ticket: _Ticket) -> list[Float32Array]:
        """As `Accelerator.finish`."""
        if ticket.done is not None:
            ticket.done.synchronize()
        return [ticket.lane.back[number].numpy().copy() for number in range(ticket.tiles)]

    def _forward(self, dates: Tensor) -> Tensor:
        """(n, 2, bands, h, w) float32 to (n, h, w) float32."""
        half = dates.to(torch.float16)
        before, after = (half[:, date].contiguous(memory_format=torch.channels_last) for date in range(2))
        logits: Tensor = self._net(before, after).float()
        return logits

    def _fitting(self, shape: tuple[int, ...]) -> int:
        """How many tiles of `shape` the free memory holds; cuDNN chooses its kernels on the way."""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        with self._on(self._compute), torch.inference_mode():
            self._forward(torch.zeros((1, *shape), device=self._device))
        torch.cuda.synchronize(self._device)
        one = torch.cuda.max_memory_allocated(self._device) - before
        one += int(np.prod(shape)) * 4  # of the second lane
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info(self._device)
        return max(1, min(MOST_TILES, int(free * _SHARE / one)))

    def _lane(self) -> _Lane:
        shape = (self._most, *self._shape)
        pixels = (self._most, *self._shape[2:])
        return _Lane(
            here=torch.empty(shape, pin_memory=self._is_cuda),
            there=torch.empty(shape, device=self._device),
            back=torch.empty(pixels, pin_memory=self._is_cuda),
        )

    @staticmethod
    def _on(stream: Any) -> AbstractContextManager[Any]:
        return nullcontext() if stream is None else torch.cuda.stream(stream)

    @staticmethod
    def _wait(stream: Any, other: Any) -> None:
        """What `stream` is given from here on begins after all that `other` was given."""
        if stream is not None:
            stream.wait_stream(other)
