"""Batching of tiles for an accelerator: one owner thread collects tiles from many threads.

One batch is computed while the next one is copied, so that the accelerator does not idle while tiles arrive
fast enough.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import torch

from rsdetect.arraytypes import Float32Array
from rsdetect.errors import InputError

Ticket = TypeVar("Ticket")
_IN_FLIGHT = 2  # batches: one computed, one copied


class Accelerator(Protocol[Ticket]):
    """Accelerator that computes batches one after another."""

    def most(self, shape: tuple[int, ...]) -> int:
        """Maximum number of tiles of `shape` (2, bands, height, width) in a batch, at least 1."""
        ...

    def halve(self, shape: tuple[int, ...]) -> None:
        """Free memory and halve the batch size for tiles of `shape`, after memory ran out."""
        ...

    def start(self, tiles: list[Float32Array]) -> Ticket:
        """Start a batch of tiles of one shape; raises torch.OutOfMemoryError if memory runs out."""
        ...

    def finish(self, ticket: Ticket) -> list[Float32Array]:
        """Wait for a batch and return the logits of each tile, (height, width)."""
        ...


@dataclass(frozen=True)
class _TileRequest:
    """Request for the logits of a tile, in a batch."""

    dates: Float32Array
    answer: Future[Float32Array] = field(default_factory=Future)


class BatchingOwner:
    """Owner of an accelerator: the only thread that uses it, fed with batches."""

    def __init__(self, accelerator: Accelerator[Ticket], name: str) -> None:
        self._accelerator: Accelerator[Any] = accelerator
        self._name = name
        self._asked: SimpleQueue[_TileRequest] = SimpleQueue()
        threading.Thread(target=self._serve_batches, name=f"owner of {name}", daemon=True).start()

    def logits(self, dates: Float32Array) -> Float32Array:
        """As `Network.logits`; waits for the batch that contains the tile."""
        request = _TileRequest(dates)
        self._asked.put(request)
        return request.answer.result()

    def _serve_batches(self) -> None:
        """Loop of the owner thread: collect requests, start batches, finish batches."""
        waiting: deque[_TileRequest] = deque()
        running: deque[tuple[list[_TileRequest], object]] = deque()
        while True:
            if not waiting and not running:
                waiting.append(self._asked.get())
            while not self._asked.empty():
                waiting.append(self._asked.get())
            if waiting:
                self._start_batch(waiting, running)
            if running and (len(running) == _IN_FLIGHT or not waiting):
                self._finish_batch(*running.popleft())

    def _start_batch(
        self, waiting: deque[_TileRequest], running: deque[tuple[list[_TileRequest], object]]
    ) -> None:
        """Start a batch from the front of `waiting`; after running out of memory its tiles go back there."""
        shape = waiting[0].dates.shape
        batch: list[_TileRequest] = []
        try:
            most = self._accelerator.most(shape)
            while waiting and len(batch) < most and waiting[0].dates.shape == shape:
                batch.append(waiting.popleft())
            running.append((batch, self._accelerator.start([request.dates for request in batch])))
        except torch.OutOfMemoryError:
            if running:  # it occupies memory: retry after it
                waiting.extendleft(reversed(batch))
                self._finish_batch(*running.popleft())
            elif len(batch) > 1:
                self._accelerator.halve(shape)
                waiting.extendleft(reversed(batch))
            else:
                batch = batch or [waiting.popleft()]
                _, _, height, width = shape
                self._fail_batch(
                    batch,
                    InputError(
                        f"the memory of {self._name} is too small for a tile of {width} x {height} pixels; "
                        "choose a smaller `tile_size`, or `device='cpu'`."
                    ),
                )
        except Exception as error:
            self._fail_batch(batch or [waiting.popleft()], error)

    def _finish_batch(self, batch: list[_TileRequest], ticket: object) -> None:
        """Finish a batch and answer its requests."""
        try:
            for request, logits in zip(batch, self._accelerator.finish(ticket), strict=True):
                request.answer.set_result(logits)
        except Exception as error:
            self._fail_batch(batch, error)

    @staticmethod
    def _fail_batch(batch: list[_TileRequest], error: Exception) -> None:
        """Pass an error to the waiting requests of a batch; the owner thread continues."""
        for request in batch:
            if not request.answer.done():
                request.answer.set_exception(error)
