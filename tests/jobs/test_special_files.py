"""FIFOs, devices and sockets, where a file is expected: refused, wherever they stand."""

import os
import socket
from pathlib import Path

import pytest

from support.forked import forked_commands
from support.jobs import changed_pair

D = ("detect", "before.tif", "after.tif", "--detector", "cva", "--out", "out")
PLACES = {
    "scene": ("detect", "{}", "after.tif", "--detector", "cva", "--out", "out"),
    "band file": ("detect", "--before-band", "red={}", "after.tif", "--detector", "cva", "--out", "out"),
    "mask": (*D, "--mask", "{}"),
    "area of interest": (*D, "--aoi", "{}"),
    "model": (*D[:3], "--out", "out", "--model", "{}"),
    "list of pairs": ("batch", "{}", "--detector", "cva", "--out", "out"),
    "job file": ("monitor", "run", "{}"),
    "job's status": ("monitor", "status", "{}"),
    "recipe": ("train", "{}", "--out", "out"),
    "list of images": ("images", "{}", "--out", "out"),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changed_pair(tmp_path, 70, 70)
    os.mkfifo("fifo")
    os.mkfifo("fifo.toml")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        yield tmp_path


def refused(arguments):
    told = forked_commands().run(*arguments, timeout=60)
    assert told["status"] == 2, told["err"]
    assert told["err"].count("\n") == 1
    assert "defect" not in told["err"]
    assert not Path("out").exists()


@pytest.mark.parametrize("place", PLACES)
def test_a_fifo_is_refused(here, place):
    name = "fifo.toml" if place in ("recipe", "list of images") else "fifo"
    refused([each.format(name) for each in PLACES[place]])


@pytest.mark.parametrize("file", ["/dev/zero", "socket"])
def test_a_device_and_a_socket_are_refused(here, file):
    for place in ("scene", "job file"):
        refused([each.format(file) for each in PLACES[place]])


def test_text_without_an_end_is_refused(here):
    os.truncate(os.open("endless.csv", os.O_CREAT | os.O_WRONLY), 2**40)
    refused(["batch", "endless.csv", "--detector", "cva", "--out", "out"])
    refused(["monitor", "run", "endless.csv"])


@pytest.mark.parametrize("name", ["before.tif.aux.xml", "before.tif.msk", "before.tfw"])
def test_a_fifo_beside_a_scene_is_refused(here, name):
    os.mkfifo(name)
    refused(list(D))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("run.json", ("vectorize", "results")),
        ("run.json", ("info", "results")),
        ("batch.json", ("batch", "pairs.csv", "--detector", "cva", "--out", "results")),
    ],
)
def test_a_fifo_instead_of_a_record_is_refused(here, name, arguments):
    Path("pairs.csv").write_text("name,before,after\np,before.tif,after.tif\n")
    Path("results").mkdir()
    os.mkfifo(f"results/{name}")
    refused(arguments)
