"""--scheduler: the same job on a Dask cluster of real processes."""

import functools
import json
import os
import pickle
import shutil
import signal
import threading
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pyogrio
import pytest

import rsdetect
from rsdetect.detectors import Scorer
from rsdetect.errors import ReadError
from rsdetect.jobs.options import DetectOptions
from support import watched_jobs
from support.broken import break_block
from support.clusters import local_cluster
from support.jobs import OUTPUTS, changed_pair, listing, read_raster, run_here
from support.scenes import random_scene, write_scene

distributed = pytest.importorskip("distributed")

CVA = {"detector": "cva", "quiet": True, "tile_size": 64}


@pytest.fixture(scope="module")
def cluster():
    settings = {"distributed.worker.daemon": True, "distributed.scheduler.allowed-failures": 1}
    with local_cluster(n_workers=2, config=settings) as two:
        yield two


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def on_threads(scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp("threads")
    rsdetect.detect(scenes.before, scenes.after, out=out, **CVA)
    return out


def wait_until(holds):
    """Until a state is reached for which there is no event; a minute at most, and then the test fails."""
    latest = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < latest
        time.sleep(0.02)


def scoring(monkeypatch, before_tile, after_tile=lambda count: None):
    """Run a job's tiles with `before_tile(row, col)` on the worker, and `after_tile(count)` here after each.

    Both act at a tile and not at a time: what they wait for or break is met however busy the machine is.
    """
    import rsdetect.jobs.detect

    genuine = rsdetect.jobs.detect.run_tiles

    def wrapped(context, tiles, progress, **how):
        scorer, places, counted = context.scorer, {tile.core: (tile.row, tile.col) for tile in tiles}, []

        class Watched(Scorer):  # pickled by value
            name, halo, stride = scorer.name, scorer.halo, scorer.stride

            def score(self, tile):
                before_tile(*places[tile.core])
                return scorer.score(tile)

            def provenance(self):
                return scorer.provenance()

        class Counting:
            def advance(self, pixels):
                progress.advance(pixels)
                counted.append(pixels)
                after_tile(len(counted))

        genuine(replace(context, scorer=Watched()), tiles, Counting(), **how)

    monkeypatch.setattr(rsdetect.jobs.detect, "run_tiles", wrapped)


def test_a_cluster_gives_what_threads_give(scenes, on_threads, cluster, tmp_path):
    address = cluster.scheduler_address
    told = run_here(
        *("detect", scenes.before, scenes.after, "--out", tmp_path / "out", "--detector", "cva"),
        *("--tile-size", 64, "--scheduler", address, "--quiet"),
    )
    assert told.status == 0, told.err
    assert listing(tmp_path / "out") == OUTPUTS
    np.testing.assert_array_equal(read_raster(tmp_path / "out"), read_raster(on_threads))
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["options"]["score"]["scheduler"] == address


def test_the_workers_store_the_differences_for_the_polygons(
    scenes, on_threads, cluster, tmp_path, monkeypatch
):
    def never(*_):
        raise AssertionError("the scenes were read for the polygons")

    monkeypatch.setattr("rsdetect.jobs.polygons.read_tile", never)
    rsdetect.detect(
        scenes.before, scenes.after, out=tmp_path / "out", scheduler=cluster.scheduler_address, **CVA
    )
    found, wanted = (
        pyogrio.read_dataframe(out / "changes.gpkg", layer="changes")
        for out in (tmp_path / "out", on_threads)
    )
    assert any(name.startswith("difference_") for name in found)
    assert found.equals(wanted)


def test_tiles_are_cut_for_the_workers_of_the_cluster_and_their_memory_is_each_ones_own(
    scenes, cluster, tmp_path, monkeypatch
):
    """Not for the cores and the free memory of the machine that the command runs on."""
    import rsdetect.jobs.detect

    monkeypatch.setattr("rsdetect.jobs.plan.usable_cores", lambda: 16)
    genuine, contexts = rsdetect.jobs.detect.run_tiles, []

    def wrapped(context, *arguments, **how):
        contexts.append(context)
        return genuine(context, *arguments, **how)

    monkeypatch.setattr("rsdetect.jobs.detect.run_tiles", wrapped)
    options = {"scheduler": cluster.scheduler_address, "detector": "cva", "quiet": True, "memory": "700MiB"}
    plans = [
        rsdetect.detect(scenes.before, scenes.after, out=tmp_path / name, **options, **more).record["plan"]
        for name, more in (("asked", {}), ("said", {"workers": 40}))
    ]
    assert [plan["workers"] for plan in plans] == [2, 40]
    assert [context.torch_threads for context in contexts] == [1, 1]
    assert contexts[0].memory == contexts[1].memory
    assert contexts[0].memory.tile > 150 * 2**20


def test_relative_paths_reach_workers_that_work_elsewhere(on_threads, cluster, tmp_path, monkeypatch):
    changed_pair(tmp_path)
    monkeypatch.chdir(tmp_path)
    rsdetect.detect("before.tif", "after.tif", out="out", scheduler=cluster.scheduler_address, **CVA)
    np.testing.assert_array_equal(read_raster(tmp_path / "out"), read_raster(on_threads))


def test_a_worker_that_is_killed_costs_no_tile(scenes, on_threads, cluster, tmp_path, monkeypatch):
    async def workers():
        return {worker.server_id for worker in cluster.scheduler.workers.values()}

    earlier, victim = cluster.sync(workers), tmp_path / "victim"

    def die_once(row, col):
        if (row, col) == (1, 2):
            try:
                victim.touch(exist_ok=False)
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)

    scoring(monkeypatch, die_once)
    rsdetect.detect(
        scenes.before, scenes.after, out=tmp_path / "out", scheduler=cluster.scheduler_address, **CVA
    )
    assert victim.exists()
    raster = "change_probability.tif"
    assert (tmp_path / "out" / raster).read_bytes() == (on_threads / raster).read_bytes()
    wait_until(lambda: len(now := cluster.sync(workers)) == 2 and now != earlier)


def test_a_scene_that_breaks_on_a_worker_is_named_with_its_tile_and_stops_the_rest(
    cluster, tmp_path, monkeypatch
):
    """The tiles after the broken one do not end before the command: none but those at work is scored."""
    import rsdetect.jobs.detect

    tiled = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    before = write_scene(tmp_path / "b.tif", random_scene(3, 3, 256, 256), **tiled)
    after = write_scene(tmp_path / "a.tif", random_scene(4, 3, 256, 256), **tiled)
    ended = tmp_path / "ended"

    def wait(row, col):
        while (row, col) > (0, 1) and not ended.exists():
            time.sleep(0.02)

    scoring(monkeypatch, wait)
    genuine = rsdetect.jobs.detect.run_tiles

    def breaking(*arguments, **keywords):
        state = Path(after).stat()
        break_block(after, 0, 1)
        os.utime(after, ns=(state.st_atime_ns, state.st_mtime_ns))  # as a failing disk does, not a writer
        genuine(*arguments, **keywords)

    monkeypatch.setattr("rsdetect.jobs.detect.run_tiles", breaking)
    try:
        told = run_here(
            *("detect", before, after, "--out", tmp_path / "out", "--detector", "cva", "--tile-size", 64),
            *("--scheduler", cluster.scheduler_address, "--quiet"),
        )
    finally:
        ended.touch()
    assert (told.status, told.err.count("\n")) == (2, 1), told.err
    assert "a.tif cannot be read" in told.err
    assert "tile at row 0, column 1" in told.err

    def at_work(dask_worker):
        return len(dask_worker.state.tasks)

    wait_until(lambda: not cluster.scheduler.tasks)
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        wait_until(lambda: not any(client.run(at_work).values()))
    assert len(list(tmp_path.rglob("*.tile"))) <= 3  # the first, and one of each worker


def test_the_error_that_a_worker_sends_is_of_our_own_kind(cluster):
    def fail():
        raise ReadError("a.tif cannot be read") from ValueError("cause")

    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        assert isinstance(client.submit(fail).exception(timeout=30), ReadError)


def test_two_jobs_of_one_pair_on_one_cluster_do_not_mix(scenes, on_threads, cluster, tmp_path, monkeypatch):
    """Each job waits after its first tile until the other has had one."""
    together, failures = threading.Barrier(2, timeout=60), []
    scoring(monkeypatch, lambda *_: None, lambda count: count == 1 and together.wait())

    def job(number):
        options = DetectOptions.from_keywords(scheduler=cluster.scheduler_address, **CVA)
        try:
            rsdetect.jobs.detect.run_detect(scenes.before, scenes.after, tmp_path / str(number), options)
        except Exception as error:
            failures.append(error)

    both = [threading.Thread(target=job, args=(number,), daemon=True) for number in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert failures == []
    for number in range(2):
        np.testing.assert_array_equal(read_raster(tmp_path / str(number)), read_raster(on_threads))
        record = json.loads((tmp_path / str(number) / "run.json").read_text())
        assert record["counts"]["tiles_scored_in_this_run"] == 35


def pretending(monkeypatch, **differently):
    """Let the workers see other files than there are, as they would on another machine."""
    import rsdetect.scoring.engine

    genuine = rsdetect.scoring.engine._with_full_paths
    monkeypatch.setattr(
        "rsdetect.scoring.engine._with_full_paths", lambda context: changed(genuine(context), **differently)
    )


def changed(context, *, store=None, before=None, mask=None):
    from rsdetect.scenes.scene import MaskFile
    from rsdetect.scoring.store import WorkStore

    if store is not None:
        context = replace(context, store=WorkStore(store))
    scene = replace(context.pair.before, **(before or {}))
    if mask is not None:
        scene = replace(scene, mask=MaskFile(*mask))
    return replace(context, pair=replace(context.pair, before=scene))


@pytest.mark.parametrize(
    ("differently", "told_of"),
    [
        ({"store": Path("/nowhere/out/.work/key")}, "does not see the work store /nowhere/out/.work/key;"),
        ({"before": {"path": "/nowhere/before.tif"}}, "does not see /nowhere/before.tif;"),
        ({"before": {"version": (7, 0)}}, "sees another file under"),
        ({"mask": ("/nowhere/clouds.tif", (7, 0))}, "does not see /nowhere/clouds.tif;"),
    ],
)
def test_workers_that_do_not_see_what_the_job_sees_say_so_in_a_sentence(
    scenes, cluster, tmp_path, monkeypatch, differently, told_of
):
    pretending(monkeypatch, **differently)
    told = run_here(
        *("detect", scenes.before, scenes.after, "--out", tmp_path / "out", "--detector", "cva"),
        *("--scheduler", cluster.scheduler_address),
    )
    assert (told.status, told.err.count("\n")) == (3, 1), told.err
    assert told_of in told.err and "storage that all workers see under the same path" in told.err
    assert listing(tmp_path) == []


def late(monkeypatch, seconds):
    """Show new files of the work store so much later, as a network file system may."""
    from rsdetect.scoring.store import WorkStore

    genuine, asked = WorkStore.unseen, []

    def unseen(store, tiles):
        asked.append(time.monotonic())
        return list(tiles) if asked[-1] - asked[0] < seconds else genuine(store, tiles)

    monkeypatch.setattr(WorkStore, "unseen", unseen)


def test_tiles_that_are_seen_here_only_after_a_while_are_waited_for(
    scenes, on_threads, cluster, tmp_path, monkeypatch
):
    late(monkeypatch, 1)
    rsdetect.detect(
        scenes.before, scenes.after, out=tmp_path / "out", scheduler=cluster.scheduler_address, **CVA
    )
    np.testing.assert_array_equal(read_raster(tmp_path / "out"), read_raster(on_threads))


def test_tiles_that_are_never_seen_here_are_reported_in_a_sentence(scenes, cluster, tmp_path, monkeypatch):
    late(monkeypatch, 1000)
    monkeypatch.setattr("rsdetect.scoring.engine._SECONDS_UNTIL_SEEN", 0.1)
    told = run_here(
        *("detect", scenes.before, scenes.after, "--out", tmp_path / "out", "--detector", "cva"),
        *("--scheduler", cluster.scheduler_address, "--tile-size", 64),
    )
    assert (told.status, told.err.count("\n")) == (3, 1), told.err
    assert "35 of 35 tiles that workers have finished are not in" in told.err


def test_workers_with_another_version_say_so_in_a_sentence(scenes, cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("rsdetect.scoring.engine.version", lambda package: "99.0")
    told = run_here(
        *("detect", scenes.before, scenes.after, "--out", tmp_path / "out", "--detector", "cva"),
        *("--scheduler", cluster.scheduler_address),
    )
    assert (told.status, told.err.count("\n")) == (3, 1), told.err
    assert f"has rsdetect {metadata.version('rsdetect')}, but 99.0 set the job up" in told.err
    assert listing(tmp_path) == []


def test_a_gpu_by_number_cannot_be_asked_of_a_cluster(scenes, tmp_path):
    told = run_here(
        *("detect", scenes.before, scenes.after, "--out", tmp_path / "out", "--device", "cuda:1"),
        *("--scheduler", "tcp://127.0.0.1:9"),
    )
    assert (told.status, told.err.count("\n")) == (2, 1)
    assert "is not possible on a cluster" in told.err


def test_workers_without_a_gpu_say_so_where_one_is_asked_for(scenes, cluster, tmp_path):
    told = run_here(
        *("detect", scenes.before, scenes.after, "--out", tmp_path / "out", "--device", "cuda", "--quiet"),
        *("--scheduler", cluster.scheduler_address),
    )
    assert (told.status, told.err.count("\n")) == (3, 1), told.err
    assert "has no free GPU (0 found" in told.err


def test_a_watched_place_has_the_same_events_on_a_cluster(cluster, tmp_path):
    made = watched_jobs.series()
    watched_jobs.deliver(tmp_path, made, *range(len(watched_jobs.DAYS)))
    detector = {"name": "cva", "min_area": 1000, "threshold": 0.5}
    events = []
    for name, more in (("here", {}), ("there", {"scheduler": cluster.scheduler_address})):
        job = watched_jobs.write_job(tmp_path, f"{name}.yaml", out=name, detector=detector | more)
        told = run_here("monitor", "run", job, "--quiet")
        assert told.status == 0, told.err
        events.append(pyogrio.read_dataframe(tmp_path / name / "events.gpkg", layer="events"))
    assert len(events[0]) > 0
    assert events[0].geometry.geom_equals_exact(events[1].geometry, 0).all()
    assert list(events[0].status) == list(events[1].status)


# --- what travels ------------------------------------------------------------------------------------------


def tasks_of(folder, edge, **options):
    """The tasks of a job on a pair of edge x edge pixels, as the cluster is given them."""
    from rsdetect.jobs.opening import fit_pair
    from rsdetect.scoring.engine import Context, _run_tile_on_worker, _tasks, _with_full_paths
    from rsdetect.scoring.store import WorkStore
    from rsdetect.scoring.windows import plan_windows

    folder.mkdir()
    pair = changed_pair(folder, edge, edge)
    asked = DetectOptions.from_keywords(**options)
    pair, scorer = fit_pair(pair.before, pair.after, asked)
    plan = plan_windows(pair, scorer, asked.score.tile_size)
    context = _with_full_paths(Context(pair, scorer, plan, WorkStore(folder / "store"), 1))
    return _tasks(functools.partial(_run_tile_on_worker, context, "0"), list(plan))


@pytest.mark.parametrize("detector", ["cva", "siamese"])
def test_a_task_is_configuration_of_a_few_kilobytes_whatever_the_size_of_scene_and_tile(tmp_path, detector):
    pixels = {(256, 64): "small", (1024, 64): "large", (1024, 1024): "wide"}
    sizes = {}
    for (edge, tile_size), name in pixels.items():
        tasks = tasks_of(tmp_path / name, edge, detector=detector, tile_size=tile_size)
        assert len(tasks) == (edge // tile_size) ** 2
        graphs = [dict(task.dask) for task in tasks]
        assert all(len(graph) == 1 for graph in graphs)  # no task depends on another
        sizes[name] = max(len(pickle.dumps(task)) for graph in graphs for task in graph.values())
    assert max(sizes.values()) < 8000
    assert max(sizes.values()) - min(sizes.values()) < 100  # digits of numbers


def test_the_cluster_holds_one_number_per_tile_while_the_job_runs_and_nothing_afterwards(
    scenes, cluster, tmp_path
):
    sizes, scheduler = [], cluster.scheduler

    class Looking(distributed.SchedulerPlugin):
        name = "looking"

        def transition(self, key, start, finish, *_, **__):
            sizes.extend(task.nbytes for task in scheduler.tasks.values() if task.state == "memory")

    scheduler.add_plugin(Looking())
    try:
        rsdetect.detect(
            scenes.before, scenes.after, out=tmp_path / "out", scheduler=cluster.scheduler_address, **CVA
        )
        wait_until(lambda: not scheduler.tasks)
    finally:
        scheduler.remove_plugin("looking")
    assert len(sizes) > 35 and 0 < max(sizes) < 100  # bytes; a tile has 4096 pixels


def test_a_worker_process_loads_the_network_once(scenes, cluster, tmp_path, monkeypatch):
    """The model lies beside the scenes, under a path that counts from a folder the workers do not work in."""
    from rsdetect.nets.checkpoint import find_model

    def count_loads():
        import rsdetect.detectors.learned as learned

        genuine, learned.loads = learned.load_weights, 0

        def counting(model):
            learned.loads += 1
            return genuine(model)

        learned._loaded.clear()
        learned.load_weights = counting

    def loads():
        import rsdetect.detectors.learned as learned

        return learned.loads

    shutil.copy(find_model("siamese"), tmp_path / "mine.safetensors")
    monkeypatch.chdir(tmp_path)
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        client.run(count_loads)
        options = CVA | {"detector": "siamese", "model": "mine.safetensors", "tile_size": 128}
        options |= {"scheduler": cluster.scheduler_address}
        rsdetect.detect(scenes.before, scenes.after, out="out", **options)
        found = client.run(loads)
    assert len(found) == 2 and set(found.values()) <= {0, 1} and max(found.values()) == 1


def test_a_scheduler_that_goes_away_in_the_middle_is_reported_and_the_job_resumes(
    scenes, on_threads, tmp_path, monkeypatch
):
    with local_cluster(processes=False, protocol="tcp://") as other:
        scoring(monkeypatch, lambda *_: time.sleep(0.3), lambda count: count == 3 and other.close())
        told = run_here(
            *("detect", scenes.before, scenes.after, "--out", tmp_path / "out", "--detector", "cva"),
            *("--tile-size", 64, "--scheduler", other.scheduler_address, "--quiet"),
        )
    assert (told.status, told.err.count("\n")) == (3, 1)
    monkeypatch.undo()
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "out", **CVA)
    np.testing.assert_array_equal(read_raster(tmp_path / "out"), read_raster(on_threads))
