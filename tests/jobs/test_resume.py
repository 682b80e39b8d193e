"""Interruption at any time: no partial files, no finished tile is lost, the same command resumes the job."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest

import rsdetect
from rsdetect.jobs.outputs import Outputs
from rsdetect.scenes.handles import close_handles
from support.interruption import CVA, HIDDEN, finished_tiles, interrupt, start_held, wait_for_tiles
from support.jobs import OUTPUTS, changed_pair, contents, listing, read_raster, run_here
from support.scenes import write_scene

TILES = 35  # of 64 pixels in 300 x 420


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def whole(scenes, tmp_path_factory):
    """What a run without any interruption leaves."""
    out = tmp_path_factory.mktemp("whole")
    rsdetect.detect(scenes.before, scenes.after, out=out, tile_size=64, **CVA)
    return out


def start(scenes, out, *options, tiles=TILES, release=""):
    arguments = ("detect", scenes.before, scenes.after, "--out", out, "--detector", "cva", "--tile-size", 64)
    return start_held(*arguments, "--workers", 2, *options, tiles=tiles, release=release)


def assert_same_results(out, whole):
    assert listing(out) == OUTPUTS
    np.testing.assert_array_equal(read_raster(out), read_raster(whole))
    for name in ("changes", "footprint"):
        found, wanted = (geopandas.read_file(each / "changes.gpkg", layer=name) for each in (out, whole))
        assert found.equals(wanted)


def scored(out):
    return json.loads((out / "run.json").read_text())["counts"]["tiles_scored_in_this_run"]


def resume(scenes, out, **options):
    rsdetect.detect(scenes.before, scenes.after, out=out, **{"tile_size": 64} | CVA | options)
    return scored(out)


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_results(scenes, whole, tmp_path):
    kept = []
    for more in (3, 9, 1, 6):
        with start(scenes, tmp_path / "out", tiles=more) as child:
            wait_for_tiles(child, tmp_path / "out", len(kept) + more)
            child.send_signal(signal.SIGKILL)
            child.wait()
        assert not [path for path in (tmp_path / "out").iterdir() if path.name not in HIDDEN]
        now = finished_tiles(tmp_path / "out")
        assert set(kept) <= set(now)
        kept = now
        beside = {path.stem for path in (tmp_path / "out").rglob("*.differences")}
        assert {Path(name).stem for name in now} <= beside  # stored before the tile
    with start(scenes, tmp_path / "out") as child:
        _, told = child.communicate()
        assert child.returncode == 0, told
    assert scored(tmp_path / "out") == TILES - len(kept)
    assert_same_results(tmp_path / "out", whole)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_run_that_is_asked_to_stop_ends_with_status_3_and_keeps_its_tiles(scenes, tmp_path, how):
    with start(scenes, tmp_path / "out", tiles=4) as child:
        wait_for_tiles(child, tmp_path / "out", 4)
        child.send_signal(how)
        out, told = child.communicate(timeout=60)
    assert (child.returncode, out) == (3, "")
    assert told == "Error: interrupted; the same command resumes the job.\n"
    kept = len(finished_tiles(tmp_path / "out"))
    assert kept >= 4
    assert resume(scenes, tmp_path / "out") == TILES - kept


def test_a_run_that_is_stopped_before_its_first_tile_leaves_nothing(scenes, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("rsdetect.jobs.detect.check_pair", stop)
    told = run_here("detect", scenes.before, scenes.after, "--out", tmp_path / "out", "--detector", "cva")
    assert (told.status, told.err) == (3, "Error: interrupted; the same command resumes the job.\n")
    assert listing(tmp_path) == []


def test_finished_tiles_are_not_scored_again(scenes, whole, tmp_path):
    interrupt(scenes, tmp_path / "out", tiles=10)
    interrupt(scenes, tmp_path / "again", tiles=10)
    assert resume(scenes, tmp_path / "out") == TILES - 10
    assert_same_results(tmp_path / "out", whole)


def test_a_resumed_run_may_have_another_threshold_and_another_number_of_workers(scenes, tmp_path):
    interrupt(scenes, tmp_path / "out")
    assert resume(scenes, tmp_path / "out", threshold=0.9, min_area=500, workers=3) == TILES - 10
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["threshold"], record["min_area"]) == (0.9, 500)


def test_no_resume_starts_again(scenes, whole, tmp_path):
    interrupt(scenes, tmp_path / "out")
    assert resume(scenes, tmp_path / "out", resume=False) == TILES
    assert_same_results(tmp_path / "out", whole)


@pytest.mark.parametrize("changed", [{"bands": (1, 2)}, {"tile_size": 128}], ids=["bands", "tile size"])
def test_tiles_of_other_options_are_not_used(scenes, tmp_path, changed):
    interrupt(scenes, tmp_path / "out")
    count = {"bands": TILES, "tile_size": 12}[next(iter(changed))]
    assert resume(scenes, tmp_path / "out", **changed) == count
    assert listing(tmp_path / "out") == OUTPUTS


def test_tiles_of_a_mask_that_was_redrawn_are_not_used(scenes, tmp_path):
    mask = np.zeros((300, 420), np.uint8)
    path = write_scene(tmp_path / "mask.tif", mask)
    interrupt(scenes, tmp_path / "out", masks=(path,))
    mask[100:200] = 1
    write_scene(tmp_path / "mask.tif", mask)
    assert resume(scenes, tmp_path / "out", masks=(path,)) == TILES


@pytest.mark.parametrize("what", ["pixels", "time stamp"])
def test_tiles_of_a_scene_that_was_replaced_are_not_used(tmp_path, what):
    scenes = changed_pair(tmp_path)
    stamp = Path(scenes.after).stat()
    interrupt(scenes, tmp_path / "out")
    if what == "pixels":  # of the same number of bytes, and dated back
        write_scene(scenes.after, np.flip(scenes.arrays[1], axis=1), nodata=0)
        os.utime(scenes.after, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    else:
        os.utime(scenes.after, (1, 1))
    assert resume(scenes, tmp_path / "out") == TILES


def test_damaged_tiles_are_scored_again_by_the_same_command(scenes, whole, tmp_path):
    interrupt(scenes, tmp_path / "out")
    tiles = sorted((tmp_path / "out").rglob("*.tile"))
    tiles[0].write_bytes(b"")
    tiles[3].write_bytes(tiles[3].read_bytes()[:-1])
    tiles[5].write_bytes(tiles[6].read_bytes()[::-1])
    assert resume(scenes, tmp_path / "out") == TILES - 7
    assert_same_results(tmp_path / "out", whole)


def test_a_bad_command_does_not_cost_the_tiles_of_an_interrupted_one(scenes, tmp_path):
    interrupt(scenes, tmp_path / "out")
    told = run_here("detect", scenes.before, tmp_path / "nowhere.tif", "--out", tmp_path / "out")
    assert told.status == 2
    assert resume(scenes, tmp_path / "out") == TILES - 10


@pytest.mark.parametrize("stage", ["finish_raster", "write_polygons", "write_record"])
def test_a_disk_that_fills_up_after_scoring_is_reported_and_resumed_from(
    scenes, whole, tmp_path, monkeypatch, stage
):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    command = (
        "detect",
        scenes.before,
        scenes.after,
        "--out",
        tmp_path / "out",
        "--detector",
        "cva",
        "--tile-size",
    )
    with monkeypatch.context() as patch:
        patch.setattr(f"rsdetect.jobs.detect.{stage}", full)
        told = run_here(*command, 64, "--quiet")
    assert told.status == 3
    assert told.err.count("\n") == 1
    assert "No space left on device" in told.err
    assert not [path for path in (tmp_path / "out").iterdir() if path.name not in HIDDEN]
    assert resume(scenes, tmp_path / "out") == 0
    assert_same_results(tmp_path / "out", whole)


@pytest.mark.parametrize("kib", [16, 120, 240])
def test_on_a_disk_that_is_really_full_the_job_stops_with_one_sentence_and_resumes(
    scenes, whole, tmp_path, kib
):
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(disk)]
    if subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        arguments = ("detect", scenes.before, scenes.after, "--out", disk / "out", "--detector", "cva")
        told = run_here(*arguments, "--tile-size", 64)
        assert (told.status, told.out) == (3, "")
        assert told.err.count("\n") == 1
        assert "cannot be written" in told.err or "could not be written" in told.err
        kept = len(finished_tiles(disk))
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        assert resume(scenes, disk / "out") == TILES - kept
        assert_same_results(disk / "out", whole)
    finally:
        close_handles()  # of this process, which has read the results
        subprocess.run(["umount", str(disk)], check=True)


# --- the last step: files to their final names ----------------------------------------------------------


RENAMES = [
    "publish",
    "change_probability.tif",
    "change_probability.qml",
    "changes.gpkg",
    "changes.qgz",
    "report.html",
    "run.json",
]


@pytest.mark.stress
@pytest.mark.parametrize(
    ("step", "overwrite"),
    [
        (step, overwrite)
        for step in range(len(RENAMES))
        for overwrite in (False, True)
        if os.environ.get("RSDETECT_STRESS") or overwrite == step % 2
    ],
)
def test_a_run_that_dies_between_two_files_is_finished_by_the_same_command(
    scenes, whole, tmp_path, monkeypatch, step, overwrite
):
    if overwrite:
        rsdetect.detect(scenes.before, scenes.after, out=tmp_path, bands=(1,), tile_size=64, **CVA)
    old = contents(tmp_path)
    options = {"tile_size": 64, "overwrite": overwrite} | CVA
    moved = []
    genuine = Path.replace

    def dying(path, target):
        if path.suffix != ".part" and len(moved) == step:
            raise MemoryError("dying here")
        moved.extend([target.name] * (path.suffix != ".part"))
        return genuine(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying)
        with pytest.raises(MemoryError):
            rsdetect.detect(scenes.before, scenes.after, out=tmp_path, **options)
    assert moved == RENAMES[:step]
    if step == 0:
        assert contents(tmp_path) == old
    assert (tmp_path / "run.json").exists() == overwrite
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path, **options)
    assert scored(tmp_path) == (TILES if step and not overwrite else 0)
    assert_same_results(tmp_path, whole)


def test_old_results_stay_until_the_new_ones_are_complete(scenes, tmp_path):
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "out", bands=(1,), **CVA)
    kept = contents(tmp_path / "out")
    with start(scenes, tmp_path / "out", "--overwrite", tiles=3) as child:
        wait_for_tiles(child, tmp_path / "out", 3)
        child.send_signal(signal.SIGKILL)
        child.wait()
    left = contents(tmp_path / "out")
    assert {name: left[name] for name in kept} == kept


# --- two at a time -----------------------------------------------------------------------------------------


def test_a_second_run_in_the_same_folder_leaves_and_the_first_is_not_disturbed(scenes, whole, tmp_path):
    with start(scenes, tmp_path / "out", tiles=2, release=tmp_path / "release") as first:
        wait_for_tiles(first, tmp_path / "out", 2)
        for overwrite in ((), ("--overwrite",)):
            arguments = (
                "detect",
                scenes.before,
                scenes.after,
                "--out",
                tmp_path / "out",
                "--detector",
                "cva",
            )
            told = run_here(*arguments, *overwrite)
            assert (told.status, told.err.count("\n")) == (3, 1)
            assert "another run is active" in told.err
        (tmp_path / "release").touch()
        _, said = first.communicate(timeout=60)
        assert first.returncode == 0, said
    assert_same_results(tmp_path / "out", whole)


def test_the_lock_of_a_run_that_was_killed_blocks_no_other(tmp_path):
    code = "from pathlib import Path; import os, signal; from rsdetect.jobs.outputs import Outputs\n"
    code += f"Outputs.claim(Path({str(tmp_path)!r}), overwrite=False); os.kill(os.getpid(), signal.SIGKILL)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert {path.name for path in tmp_path.iterdir()} == set(HIDDEN)
    with Outputs.claim(tmp_path, overwrite=False):
        pass
    assert listing(tmp_path) == []


def test_finished_results_are_not_taken_for_those_of_a_job_that_adds_to_them(whole):
    fingerprint = rsdetect.ChangeMap.open(whole).record["fingerprint"]
    as_asked = {"kinds": False, "zones": None}
    assert rsdetect.ChangeMap.of_same_job(whole, fingerprint, {}, as_asked) is not None
    for added in ({"kinds": True}, {"zones": "parcels.gpkg"}):
        with pytest.raises(rsdetect.InputError, match="overwrite"):
            rsdetect.ChangeMap.of_same_job(whole, fingerprint, {}, as_asked | added)
