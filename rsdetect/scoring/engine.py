"""Engine: Dask schedules the tiles on local threads or on a running cluster.

Every task is one tile and runs `score_core`; its input is configuration, and its output is a file in the work
store, so that finished tasks are never repeated.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rsdetect.arraytypes import Float32Array
from rsdetect.detectors.base import Scorer
from rsdetect.devices import worker_limits
from rsdetect.errors import InputError, JobInterrupted, ReadError, RsdetectError, SourceUnavailable
from rsdetect.extras import missing_extra
from rsdetect.installed import version
from rsdetect.kinds.rules import LandRules
from rsdetect.memory import MemoryBudget
from rsdetect.percent import to_percent
from rsdetect.progress import Progress
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.scene import Scene, sharing_blocks
from rsdetect.scoring.check_worker import check_worker, ready_scorer
from rsdetect.scoring.core import score_core
from rsdetect.scoring.differences import PixelContent, storing_differences
from rsdetect.scoring.planning import planned_windows
from rsdetect.scoring.scene_overview import Lattice, storing_overview
from rsdetect.scoring.store import WorkStore
from rsdetect.scoring.tally import tally_of_scores
from rsdetect.tiles import TilePlan, TileWindow

USUAL_MEMORY = MemoryBudget.of(2**30, workers=2)

_SECONDS_TO_ANSWER = 10  # time-out of a scheduler
_SECONDS_UNTIL_SEEN = 90.0  # Linux's NFS may cache the state of a folder for 60 s


@dataclass(frozen=True)
class Context:
    """Context that all tasks of a job share; configuration only."""

    pair: Pair
    scorer: Scorer
    plan: TilePlan
    store: WorkStore
    torch_threads: int  # threads inside one operator of the network
    memory: MemoryBudget = USUAL_MEMORY
    level: int | None = None  # lowest percent of pixels whose differences are stored; None = none
    land: LandRules | None = None  # by which their land classes are stored
    lattice: Lattice | None = None  # of the overview that is stored with each tile; None = none


def run_tiles(
    context: Context,
    tiles: Sequence[TileWindow],
    progress: Progress,
    *,
    workers: int,
    scheduler: str | None = None,
) -> dict[str, int]:
    """Score `tiles` with the engine into the context's store.

    Parameters
    ----------
    workers
        Threads on this machine, each with one tile in flight; reading, scoring and writing of different
        tiles overlap.
    scheduler
        Address of a running Dask scheduler (`tcp://...`); its workers must see scenes and store under the
        same paths. None = threads here.

    Returns
    -------
    dict
        Reading by local threads: `blocks`, the number of blocks of the scenes, and `decoded_again`, the
        number of repeated decodings.

    Raises
    ------
    ReadError
        A scene broke; the message names file and tile.
    SourceUnavailable
        A scene that is not a local file became unavailable.
    JobInterrupted
        The disk is full, or a worker was lost permanently.
    """
    if not tiles:
        return {}
    try:
        if scheduler is None:
            return _run_on_threads(context, tiles, progress, workers)
        _run_on_cluster(context, tiles, progress, scheduler)
        return {}
    except RsdetectError:
        raise
    except OSError as error:
        raise JobInterrupted(
            f"the work store {context.store.folder} cannot be written: {error.strerror or error}; fix this "
            "and run the same command to resume."
        ) from error


def _run_tile(context: Context, row: int, col: int) -> int:
    """Engine's task: score the tile at (row, col) of the plan, store it, return its number of pixels."""
    tile = context.plan.tile(row, col)
    with worker_limits(context.torch_threads, context.memory.gdal_cache):
        try:
            probability = _score(context, tile)
        except (ReadError, SourceUnavailable) as error:
            failure = type(error)(f"tile at row {tile.row}, column {tile.col}: {error}")
        else:
            percent = to_percent(probability)
            context.store.put(tile, percent, tally_of_scores(probability, percent))
            return tile.core.height * tile.core.width
    # Raised here, without GDAL's errors as its cause: these cannot be pickled, and a cluster would replace
    # the error by another one.
    raise failure


def _score(context: Context, tile: TileWindow) -> Float32Array:
    """Engine's scoring of a tile; if requested, its differences and its overview are stored first."""
    pair, store = context.pair, context.store
    sink = seen = None
    with ExitStack() as stack:
        if context.level is not None:
            content = PixelContent(len(pair.bands), context.scorer.direction, context.land)
            sink = stack.enter_context(storing_differences(store, tile, context.level, content))
        if context.lattice is not None:
            seen = stack.enter_context(storing_overview(store, tile, context.lattice))
        return score_core(pair, context.scorer, tile, sink, seen)


def _run_tile_on_worker(context: Context, wanted: str, row: int, col: int) -> int:
    """`_run_tile` in a worker process of a cluster, after a check of the worker."""
    check_worker(context.pair, context.store.folder, wanted)
    return _run_tile(replace(context, scorer=ready_scorer(context.scorer)), row, col)


def _run_on_threads(
    context: Context, tiles: Sequence[TileWindow], progress: Progress, workers: int
) -> dict[str, int]:
    from dask.base import compute
    from dask.threaded import get

    def report(key: Any, result: Any, *_: Any) -> None:
        if isinstance(result, int):
            progress.advance(result)

    tasks = _tasks(partial(_run_tile, context), tiles)
    windows = planned_windows(context.pair, context.scorer, tiles)
    with (
        sharing_blocks(windows, context.memory.shared_blocks) as shared,
        ThreadPoolExecutor(workers, thread_name_prefix="tile") as pool,
    ):
        # Given to this computation alone: Dask's registered callbacks are those of all threads.
        callbacks = [(None, None, None, report, None)]
        compute(*tasks, scheduler=get, pool=pool, optimize_graph=False, callbacks=callbacks)
    return {
        "blocks": sum(len(blocks.decoded) for blocks in shared),
        "decoded_again": sum(blocks.decoded_again for blocks in shared),
    }


def _tasks(run_tile: Callable[[int, int], int], tiles: Sequence[TileWindow]) -> list[Any]:
    """Lazy tasks for the engine, one per tile; independent, so that a lost worker loses only its tile.

    Dask runs independent tasks in descending order of their names. Consecutive neighbours share the blocks
    that GDAL has decoded; in another order a scene in strips would be decoded once per tile. The names also
    identify the run on a cluster.
    """
    from dask.delayed import delayed

    run = f"rsdetect-{uuid.uuid4().hex}"
    # The context is bound in advance: Dask would search every field of every argument for lazy values.
    task = delayed(run_tile, pure=False, traverse=False)
    numbers = range(len(tiles), 0, -1)
    return [
        task(tile.row, tile.col, dask_key_name=f"{run}-{number:08d}")
        for tile, number in zip(tiles, numbers, strict=True)
    ]


def _run_on_cluster(context: Context, tiles: Sequence[TileWindow], progress: Progress, address: str) -> None:
    with _client(address) as client:
        from distributed import as_completed

        run_tile = partial(_run_tile_on_worker, _with_full_paths(context), version("rsdetect"))
        futures = client.compute(_tasks(run_tile, tiles), optimize_graph=False)
        try:
            for future in as_completed(futures, loop=client.loop):
                progress.advance(future.result())
        finally:
            client.cancel(futures)
    _wait_until_seen(context.store, tiles)


def _wait_until_seen(store: WorkStore, tiles: Sequence[TileWindow]) -> None:
    """Wait in the engine until tiles of workers are visible, which a network file system may delay."""
    latest = time.monotonic() + _SECONDS_UNTIL_SEEN
    while unseen := store.unseen(tiles):
        if time.monotonic() > latest:
            raise JobInterrupted(
                f"{len(unseen)} of {len(tiles)} tiles that workers have finished are not in {store.folder} "
                "here; it must lie on storage that all workers see under the same path; fix this and run "
                "the same command to resume."
            )
        time.sleep(0.5)


def require_scheduler(address: str) -> int:
    """Total threads of the scoring workers of a Dask cluster; 0 before any worker has connected.

    Raises
    ------
    InputError
        `address` is none.
    JobInterrupted
        No scheduler answers there.
    """
    with _client(address) as client:
        return sum(client.nthreads().values())


@contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
        from distributed.comm.addressing import parse_address, parse_host_port
    except ImportError:
        raise missing_extra("cluster", "`scheduler`") from None
    try:
        # Validated before a client is created, because a client that cannot start takes 20 s to close.
        parse_host_port(parse_address(address, strict=True)[1])
        client = Client(address, timeout=_SECONDS_TO_ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        # A wrong address stays wrong; a scheduler that does not answer may be starting.
        kind: type[RsdetectError] = InputError if isinstance(error, ValueError) else JobInterrupted
        raise kind(
            f"no Dask scheduler answers at {address} ({error}); write `scheduler='tcp://HOST:PORT'` as the "
            "scheduler prints it."
        ) from error
    try:
        with client:
            yield client
    except RsdetectError:
        raise
    except Exception as error:  # Dask raises many kinds where a scheduler or its last worker ends
        raise JobInterrupted(
            f"the cluster at {address} could not finish the job ({type(error).__name__}: {error}); "
            "fix this and run the same command to resume."
        ) from error


def _with_full_paths(context: Context) -> Context:
    """Engine's context with absolute paths, because workers have other current folders."""

    def full(scene: Scene) -> Scene:
        mask = scene.mask
        if mask is not None and mask.version is not None:
            mask = replace(mask, path=str(Path(mask.path).absolute()))
        path = scene.path if scene.version is None or scene.files else str(Path(scene.path).absolute())
        return replace(scene, path=path, mask=mask)

    pair = replace(context.pair, before=full(context.pair.before), after=full(context.pair.after))
    return replace(context, pair=pair, store=WorkStore(context.store.folder.absolute()))
