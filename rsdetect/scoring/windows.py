"""A fitted pair scored by windows into memory, beside the engine, which scores whole jobs into a work store.

`score`, `evaluate` and the rechecks of a monitoring job all ask here.
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
    """Square tiles of `edge` pixels; by default of 512, and of no more than the pair has."""
    return plan_tiles(pair.grid, edge or min(_EDGE, max(pair.grid.shape)), scorer.halo, scorer.stride)


def score_windows(
    pair: Pair, scorer: Scorer, tiles: Iterable[TileWindow], *, workers: int = 1, threads: int = 1
) -> Iterator[tuple[TileWindow, Float32Array]]:
    """Each tile with the change probability of its core, in the order given.

    Parameters
    ----------
    workers
        Tiles that are scored at the same time; no more than twice as many are held.
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
