"""Scenes that lie elsewhere: a small server that serves ranges, as HTTP and as S3."""

import numpy as np
import pytest
from rasterio.shutil import copy

import rsdetect
from rsdetect.scenes.handles import close_handles
from support.file_server import ServerApart
from support.jobs import changed_pair, read_raster, run_here

CVA = {"detector": "cva", "quiet": True, "tile_size": 256}


@pytest.fixture
def scenes(tmp_path):
    made = changed_pair(tmp_path / "made", 500, 600)
    (tmp_path / "bucket").mkdir()
    for name in ("before", "after"):
        copy(
            tmp_path / "made" / f"{name}.tif",
            tmp_path / "bucket" / f"{name}.tif",
            driver="COG",
            BLOCKSIZE=128,
        )
    return made


def address(kind, server, name):
    return {
        "vsicurl": f"/vsicurl/http://{server.place}/bucket/{name}",
        "http": f"http://{server.place}/bucket/{name}",
        "vsis3": f"/vsis3/bucket/{name}",
        "s3": f"s3://bucket/{name}",
    }[kind]


@pytest.fixture
def server(tmp_path, scenes, monkeypatch):
    monkeypatch.setattr("rsdetect.scenes.remote._PATIENCE_S", 2)  # a server that is down stays down here
    for name, value in {
        "AWS_NO_SIGN_REQUEST": "YES",
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "no_proxy": "127.0.0.1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    with ServerApart(tmp_path) as server:
        monkeypatch.setenv("AWS_S3_ENDPOINT", server.place)
        yield server


@pytest.mark.parametrize("kind", ["vsicurl", "http", "vsis3", "s3"])
def test_remote_scenes_give_what_local_ones_give(scenes, server, tmp_path, kind):
    pair = [address(kind, server, name) for name in ("before.tif", "after.tif")]
    changes = rsdetect.detect(*pair, out=tmp_path / "remote", **CVA)
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "local", **CVA)
    np.testing.assert_array_equal(read_raster(tmp_path / "remote"), read_raster(tmp_path / "local"))
    assert changes.record["inputs"]["before"]["path"] == pair[0]


def test_a_server_that_does_not_have_the_scene_is_bad_input(server, tmp_path):
    missing = address("http", server, "nowhere.tif")
    told = run_here("detect", missing, missing, "--out", tmp_path / "out", "--detector", "cva")
    assert (told.status, told.err.count("\n")) == (2, 1)
    assert missing in told.err
    assert not (tmp_path / "out").exists()


def test_a_server_that_goes_down_while_the_pair_is_checked_interrupts_the_job(
    scenes, server, tmp_path, monkeypatch
):
    import rsdetect.jobs.detect as change

    pair = [address("http", server, name) for name in ("before.tif", "after.tif")]
    monkeypatch.setenv("CPL_VSIL_CURL_NON_CACHED", f"/vsicurl/{pair[0].rpartition('/')[0]}")
    genuine = change.check_pair

    def checking(*arguments):
        server.is_down = True
        close_handles()
        return genuine(*arguments)

    monkeypatch.setattr(change, "check_pair", checking)
    told = run_here("detect", *pair, "--out", tmp_path / "out", "--detector", "cva", "--quiet")
    assert (told.status, told.err.count("\n")) == (3, 1), told.err
    assert "cannot be read" in told.err and "resumes" in told.err


def test_a_server_that_goes_down_in_the_middle_is_named_and_the_same_command_resumes(
    scenes, server, tmp_path, monkeypatch
):
    import rsdetect.scoring.engine as engine

    pair = [address("http", server, name) for name in ("before.tif", "after.tif")]
    # GDAL keeps what it read of an address, and could do without the server: so only while a file is open.
    monkeypatch.setenv("CPL_VSIL_CURL_NON_CACHED", f"/vsicurl/{pair[0].rpartition('/')[0]}")
    genuine, seen = engine.score_core, []

    def failing(pair, scorer, tile, *receivers):
        seen.append(tile)
        if len(seen) == 30:
            server.is_down = True
            close_handles()  # and with them what GDAL has in its cache
        return genuine(pair, scorer, tile, *receivers)

    command = (
        "detect",
        *pair,
        "--out",
        tmp_path / "out",
        "--detector",
        "cva",
        "--tile-size",
        64,
        "--workers",
        1,
    )
    with monkeypatch.context() as patch:
        patch.setattr(engine, "score_core", failing)
        told = run_here(*command, "--quiet")
    assert (told.status, told.err.count("\n")) == (3, 1), told.err
    assert pair[0] in told.err
    assert "resumes" in told.err
    kept = len(list(tmp_path.rglob("*.tile")))
    assert kept >= 29
    server.is_down = False
    close_handles()
    told = run_here(*command, "--json")
    assert told.status == 0, told.err
    assert f'"tiles_scored_in_this_run": {80 - kept}' in told.out
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "local", **CVA)
    np.testing.assert_array_equal(read_raster(tmp_path / "out"), read_raster(tmp_path / "local"))
