"""The engine: every tile once, in an order that GDAL's cache likes, and a clear end whatever happens."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import dask.threaded
import numpy as np
import pytest
from dask.callbacks import Callback

import rsdetect.scoring.engine as engine
from rsdetect.checks.scan import Scan
from rsdetect.detectors.cva import CvaDetector
from rsdetect.errors import JobInterrupted, ReadError, SourceUnavailable
from rsdetect.percent import to_percent
from rsdetect.progress import Silence
from rsdetect.scenes.pair import open_pair
from rsdetect.scoring.core import score_core
from rsdetect.scoring.engine import Context, require_scheduler, run_tiles
from rsdetect.scoring.store import WorkStore
from rsdetect.tiles import plan_tiles
from support.scenes import random_scene, write_scene


@pytest.fixture
def context(tmp_path):
    paths = [write_scene(tmp_path / f"{i}.tif", random_scene(i, 3, 200, 230)) for i in range(2)]
    pair = open_pair(*paths)
    store = WorkStore(tmp_path / "work")
    store.create()
    return Context(pair, CvaDetector().fit(Scan(pair)), plan_tiles(pair.grid, 20, 0, 1), store, 1)


class Counted:
    def __init__(self):
        self.pixels = []
        self.threads = set()

    def advance(self, pixels):
        self.pixels.append(pixels)
        self.threads.add(threading.get_ident())


def record_calls(monkeypatch):
    seen = []
    genuine = engine.score_core

    def recording(pair, scorer, tile, *receivers):
        seen.append((tile.row, tile.col))
        return genuine(pair, scorer, tile, *receivers)

    monkeypatch.setattr(engine, "score_core", recording)
    return seen


def test_every_tile_is_stored_as_the_pure_function_scores_it(context):
    run_tiles(context, list(context.plan), Silence(), workers=3)
    for tile in context.plan:
        wanted = to_percent(score_core(context.pair, context.scorer, tile))
        np.testing.assert_array_equal(context.store.get(tile), wanted)


def test_tiles_are_scored_in_reading_order(context, monkeypatch):
    seen = record_calls(monkeypatch)
    run_tiles(context, list(context.plan), Silence(), workers=1)
    assert len(seen) == 120
    assert seen == sorted(seen)


def test_progress_counts_every_pixel_from_one_thread(context):
    told = Counted()
    run_tiles(context, list(context.plan), told, workers=3)
    assert sum(told.pixels) == 200 * 230
    assert told.threads == {threading.get_ident()}


def test_jobs_in_two_threads_each_count_their_own_pixels(context, tmp_path):
    """Each waits after its first tile until the other has had one, and one ends before the other."""
    first, second = threading.Event(), threading.Event()

    class Meeting(Counted):
        def __init__(self, mine, other):
            super().__init__()
            self.mine, self.other = mine, other

        def advance(self, pixels):
            super().advance(pixels)
            self.mine.set()
            assert self.other.wait(60)

    told = Meeting(first, second), Meeting(second, first)
    stores = [WorkStore(tmp_path / name) for name in ("one", "other")]
    tiles = list(context.plan)
    for store in stores:
        store.create()
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(run_tiles, replace(context, store=store), each, progress, workers=2)
            for store, each, progress in zip(stores, (tiles, tiles[:7]), told, strict=True)
        ]
        for job in jobs:
            job.result()
    assert [sum(each.pixels) for each in told] == [200 * 230, 7 * 20 * 20]
    assert [len(each.threads) for each in told] == [1, 1]
    assert not Callback.active


def test_no_tiles_are_no_work(context):
    run_tiles(context, [], Silence(), workers=2)
    assert not list(context.store.folder.rglob("*.tile"))


def test_as_many_tiles_are_in_flight_as_there_are_workers(context, monkeypatch):
    together = threading.Barrier(3, timeout=20)
    genuine = engine.score_core

    def meeting(pair, scorer, tile, *receivers):
        if tile.row == 0 and tile.col < 3:
            together.wait()
        return genuine(pair, scorer, tile, *receivers)

    monkeypatch.setattr(engine, "score_core", meeting)
    run_tiles(context, list(context.plan), Silence(), workers=3)  # three wait for each other, or it fails
    assert len(list(context.store.folder.rglob("*.tile"))) == len(context.plan)


def break_at(monkeypatch, place, error):
    seen = []

    def breaking(pair, scorer, tile, *receivers):
        seen.append((tile.row, tile.col))
        if (tile.row, tile.col) == place:
            raise error
        return np.zeros(tile.core.shape, np.float32)

    monkeypatch.setattr(engine, "score_core", breaking)
    return seen


def test_a_broken_scene_stops_the_rest_and_names_the_tile(context, monkeypatch):
    """What is scored beside the broken tile goes on until Dask knows of the failure; nothing begins then."""
    failed, seen = threading.Event(), []

    def breaking(pair, scorer, tile, *receivers):
        seen.append((tile.row, tile.col))
        if seen[-1] == (2, 3):
            raise ReadError("0.tif cannot be read: broken")
        assert seen[-1] < (2, 3) or failed.wait(60)
        return np.zeros(tile.core.shape, np.float32)

    genuine = dask.threaded.get

    def get(*graph, callbacks, **how):
        callbacks = [*callbacks, (None, None, None, None, lambda *_: failed.set())]  # when it has ended
        return genuine(*graph, callbacks=callbacks, **how)

    monkeypatch.setattr(engine, "score_core", breaking)
    monkeypatch.setattr(dask.threaded, "get", get)
    with pytest.raises(ReadError, match=r"tile at row 2, column 3: 0\.tif cannot be read: broken"):
        run_tiles(context, list(context.plan), Silence(), workers=2)
    assert len([place for place in seen if place > (2, 3)]) <= 1


def test_a_scene_that_is_no_local_file_may_come_back_and_the_job_can_be_resumed(context, monkeypatch):
    break_at(monkeypatch, (0, 1), SourceUnavailable("a.tif cannot be read: 503"))
    with pytest.raises(SourceUnavailable, match=r"tile at row 0, column 1: a\.tif cannot be read") as failure:
        run_tiles(context, list(context.plan), Silence(), workers=1)
    assert failure.value.exit_status == 3


def test_a_full_disk_interrupts_the_job_and_is_named(context, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(JobInterrupted, match="No space left on device"):
        run_tiles(context, list(context.plan), Silence(), workers=2)


def test_ctrl_c_interrupts_the_job_and_keeps_what_was_scored(context, monkeypatch):
    class Impatient:
        def advance(self, pixels):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tiles(context, list(context.plan), Impatient(), workers=1)
    assert context.store.get(context.plan.tile(0, 0)) is not None


def test_a_defect_is_not_taken_for_an_interruption(context, monkeypatch):
    break_at(monkeypatch, (0, 0), ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        run_tiles(context, list(context.plan), Silence(), workers=1)


def test_gdal_keeps_to_its_cache(context, monkeypatch):
    from rasterio.env import getenv

    seen = []

    def looking(pair, scorer, tile, *receivers):
        seen.append(getenv()["GDAL_CACHEMAX"])
        return np.zeros(tile.core.shape, np.float32)

    monkeypatch.setattr(engine, "score_core", looking)
    run_tiles(context, list(context.plan)[:3], Silence(), workers=1)
    assert set(seen) == {context.memory.gdal_cache}


@pytest.mark.parametrize("error", [OSError("closed"), RuntimeError("IOLoop is closed")])
def test_a_scheduler_that_ends_while_it_is_asked_is_no_defect(monkeypatch, error):
    distributed = pytest.importorskip("distributed")

    class Ended:
        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            raise error

        def nthreads(self):
            raise error

    monkeypatch.setattr(distributed, "Client", Ended)
    with pytest.raises(JobInterrupted, match="could not finish"):
        require_scheduler("tcp://127.0.0.1:9")
