"""Scoring of a fitted pair by windows into memory; the engine scores whole jobs into a work store.

Used by `score`, `evaluate` and the rechecks of monitoring jobs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from rsdetect.arraytypes import Float32Array
from rsdetect.detectors.base import Scorer
from rsdetect.devices import worker_limits
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.core import score_core
from rsdetect.tiles import TilePlan, TileWindow, plan_tiles

_EDGE = 512  # pixels


def plan_windows(pair: Pair, scorer: Scorer, edge: int | None = None) -> TilePlan:
    """Plan windows for scoring: square tiles of `edge` pixels, by default 512 or the size of the pair."""
    return plan_tiles(pair.grid, edge or min(_EDGE, max(pair.grid.shape)), scorer.halo, scorer.stride)


def score_windows(
    pair: Pair, scorer: Scorer, tiles: Iterable[TileWindow], *, workers: int = 1, threads: int = 1
) -> Iterator[tuple[TileWindow, Float32Array]]:
    """Score windows: each tile with the change probability of its core, in the order given.

    Parameters
    ----------
    workers
        Tiles that are scored concurrently; at most twice as many are in memory.
    threads
        Threads inside one operator of a network.

    Yields
    ------
    tuple
        The tile, and (height, width) float32 in [0, 1], NaN where not observed on both dates.

    Raises
    ------
    ReadError
        A scene broke while it was read.
    """

    def score(tile: TileWindow) -> tuple[TileWindow, Float32Array]:
        with worker_limits(threads):
            return tile, score_core(pair, scorer, tile)

    if workers == 1:
        yield from map(score, tiles)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="tile") as pool:
        ahead: deque[Future[tuple[TileWindow, Float32Array]]] = deque()
        for tile in tiles:
            ahead.append(pool.submit(score, tile))
            if len(ahead) >= 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
