"""CUDA backend: PyTorch on a GPU in half precision; imports torch and numpy only."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rsdetect.arraytypes import Float32Array
from rsdetect.backends.batching import BatchingOwner
from rsdetect.nets.fold_batchnorm import fold_batchnorm
from rsdetect.nets.siamese import SiameseNet

MOST_TILES = 16  # maximum in a batch; a GPU is busy with fewer, and more would only wait
_SHARE = 0.7  # of the free memory for a batch


class CudaNetwork(BatchingOwner):
    """Network with folded batch norm on a GPU, with one owner thread."""

    def __init__(self, net: SiameseNet, device: str) -> None:
        super().__init__(HalfPrecision(net, device), device)


@dataclass(frozen=True)
class _BatchBuffers:
    """Buffers for one batch on CPU and GPU. One is computed while the other is filled."""

    here: Tensor  # (n, 2, bands, h, w) float32, pinned
    there: Tensor  # the same on the device
    back: Tensor  # (n, h, w) float32, pinned


@dataclass(frozen=True)
class _CudaTicket:
    """Batch in flight on the GPU."""

    buffers: _BatchBuffers
    tiles: int
    done: Any  # event after the last copy; None without streams


class HalfPrecision:
    """Half-precision batches on one GPU: input copies, computation and output copies on a CUDA stream each.

    Half precision changes a probability by up to 0.01, and the record names it. On a device without streams
    ("cpu", for tests) the same runs sequentially.
    """

    def __init__(self, net: SiameseNet, device: str) -> None:
        self._device = torch.device(device)
        self._net = fold_batchnorm(net).to(self._device, torch.float16, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._is_cuda = self._device.type == "cuda"
        self._in, self._compute, self._out = (
            torch.cuda.Stream(self._device) if self._is_cuda else None for _ in range(3)
        )
        self._shape: tuple[int, ...] = ()  # of the tiles in the buffers
        self._most = 1
        self._buffers: list[_BatchBuffers] = []
        self._next_buffer = 0

    def most(self, shape: tuple[int, ...]) -> int:
        """As `Accelerator.most`: from the free CUDA memory and the peak memory of one tile."""
        if shape != self._shape:
            self._buffers = []
            self._shape, self._most = shape, self._fitting_tiles(shape) if self._is_cuda else MOST_TILES
        return self._most

    def halve(self, shape: tuple[int, ...]) -> None:
        """As `Accelerator.halve`, for CUDA."""
        self._buffers = []
        self._most = max(1, self._most // 2)
        if self._is_cuda:
            torch.cuda.empty_cache()

    def start(self, tiles: list[Float32Array]) -> _CudaTicket:
        """As `Accelerator.start`, for CUDA."""
        if not self._buffers:
            self._buffers = [self._new_buffers(), self._new_buffers()]
        buffers, count = self._buffers[self._next_buffer], len(tiles)
        for number, dates in enumerate(tiles):
            buffers.here[number].copy_(torch.from_numpy(dates))
        with self._on_stream(self._in):
            buffers.there[:count].copy_(buffers.here[:count], non_blocking=True)
        self._wait_for_stream(self._compute, self._in)
        with self._on_stream(self._compute), torch.inference_mode():
            logits = self._forward(buffers.there[:count])
        self._wait_for_stream(self._out, self._compute)
        with self._on_stream(self._out):
            buffers.back[:count].copy_(logits, non_blocking=True)
            if self._out is not None:
                # The computing stream owns this memory and must not reuse it before the copy.
                logits.record_stream(self._out)
        self._next_buffer = (self._next_buffer + 1) % len(
            self._buffers
        )  # only now: a failed batch occupies no buffers
        return _CudaTicket(buffers, count, self._out.record_event() if self._out is not None else None)

    def finish(self, ticket: _CudaTicket) -> list[Float32Array]:
        """As `Accelerator.finish`, for CUDA."""
        if ticket.done is not None:
            ticket.done.synchronize()
        return [ticket.buffers.back[number].numpy().copy() for number in range(ticket.tiles)]

    def _forward(self, dates: Tensor) -> Tensor:
        """Run the network with CUDA: (n, 2, bands, h, w) float32 to (n, h, w) float32."""
        half = dates.to(torch.float16)
        before, after = (half[:, date].contiguous(memory_format=torch.channels_last) for date in range(2))
        logits: Tensor = self._net(before, after).float()
        return logits

    def _fitting_tiles(self, shape: tuple[int, ...]) -> int:
        """Number of tiles of `shape` that fit into the free CUDA memory; cuDNN also selects kernels here."""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        with self._on_stream(self._compute), torch.inference_mode():
            self._forward(torch.zeros((1, *shape), device=self._device))
        torch.cuda.synchronize(self._device)
        one = torch.cuda.max_memory_allocated(self._device) - before
        one += int(np.prod(shape)) * 4  # for the second buffers
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info(self._device)
        return max(1, min(MOST_TILES, int(free * _SHARE / one)))

    def _new_buffers(self) -> _BatchBuffers:
        """Allocate the CUDA buffers of a batch."""
        shape = (self._most, *self._shape)
        pixels = (self._most, *self._shape[2:])
        return _BatchBuffers(
            here=torch.empty(shape, pin_memory=self._is_cuda),
            there=torch.empty(shape, device=self._device),
            back=torch.empty(pixels, pin_memory=self._is_cuda),
        )

    @staticmethod
    def _on_stream(stream: Any) -> AbstractContextManager[Any]:
        """Context of a CUDA stream; null context without streams."""
        return nullcontext() if stream is None else torch.cuda.stream(stream)

    @staticmethod
    def _wait_for_stream(stream: Any, other: Any) -> None:
        """Let later work on the CUDA stream `stream` begin after all present work on `other`."""
        if stream is not None:
            stream.wait_stream(other)
