"""One owner of an accelerator: collects tiles from many threads, and hands them over in batches.

While one batch is computed the next one is copied, so that the accelerator waits for nobody as long as tiles
come fast enough.
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
_IN_FLIGHT = 2  # batches: one that is computed, one that is copied


class Accelerator(Protocol[Ticket]):
    """What computes batches, one after the other."""

    def most(self, shape: tuple[int, ...]) -> int:
        """How many tiles of `shape` (2, bands, height, width) a batch may hold, at least 1."""
        ...

    def halve(self, shape: tuple[int, ...]) -> None:
        """Memory ran out: free what can be freed, and take half as many tiles of `shape` from now on."""
        ...

    def start(self, tiles: list[Float32Array]) -> Ticket:
        """Begin with a batch of tiles of one shape; torch.OutOfMemoryError where memory runs out."""
        ...

    def finish(self, ticket: Ticket) -> list[Float32Array]:
        """Wait for a batch: the logits of each tile, (height, width)."""
        ...


@dataclass(frozen=True)
class _Request:
    dates: Float32Array
    answer: Future[Float32Array] = field(default_factory=Future)


class Owner:
    """The only thread that talks to an accelerator."""

    def __init__(self, accelerator: Accelerator[Ticket], name: str) -> None:
        self._accelerator: Accelerator[Any] = accelerator
        self._name = name
        self._asked: SimpleQueue[_Request] = SimpleQueue()
        threading.Thread(target=self._serve, name=f"owner of {name}", daemon=True).start()

    def logits(self, dates: Float32Array) -> Float32Array:
        """As `Network.logits`; waits until the batch that holds the tile is done."""
        request = _Request(dates)
        self._asked.put(request)
        return request.answer.result()

    def _serve(self) -> None:
        waiting: deque[_Request] = deque()
        running: deque[tuple[list[_Request], object]] = deque()
        while True:
            if not waiting and not running:
                waiting.append(self._asked.get())
            while not self._asked.empty():
                waiting.append(self._asked.get())
            if waiting:
                self._start(waiting, running)
            if running and (len(running) == _IN_FLIGHT or not waiting):
                self._finish(*running.popleft())

    def _start(self, waiting: deque[_Request], running: deque[tuple[list[_Request], object]]) -> None:
        """Begin with a batch from the front of `waiting`; what did not fit into memory goes back there."""
        shape = waiting[0].dates.shape
        batch: list[_Request] = []
        try:
            most = self._accelerator.most(shape)
            while waiting and len(batch) < most and waiting[0].dates.shape == shape:
                batch.append(waiting.popleft())
            running.append((batch, self._accelerator.start([request.dates for request in batch])))
        except torch.OutOfMemoryError:
            if running:  # which holds memory: come back when it is done
                waiting.extendleft(reversed(batch))
                self._finish(*running.popleft())
            elif len(batch) > 1:
                self._accelerator.halve(shape)
                waiting.extendleft(reversed(batch))
            else:
                batch = batch or [waiting.popleft()]
                _, _, height, width = shape
                self._fail(
                    batch,
                    InputError(
                        f"the memory of {self._name} does not hold a tile of {width} x {height} pixels; "
                        "choose a smaller `tile_size`, or `device='cpu'`."
                    ),
                )
        except Exception as error:
            self._fail(batch or [waiting.popleft()], error)

    def _finish(self, batch: list[_Request], ticket: object) -> None:
        try:
            for request, logits in zip(batch, self._accelerator.finish(ticket), strict=True):
                request.answer.set_result(logits)
        except Exception as error:
            self._fail(batch, error)

    @staticmethod
    def _fail(batch: list[_Request], error: Exception) -> None:
        """Whoever waits is told; the owner lives on."""
        for request in batch:
            if not request.answer.done():
                request.answer.set_exception(error)
