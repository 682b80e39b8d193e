"""No output of any command holds what opens an address."""

import io
import json
import re
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

import rsdetect
from rsdetect.errors import InputError
from rsdetect.feeds.table import TableOfScenes
from rsdetect.secrets import name_of_address, without_secrets, without_signatures
from support.file_server import ServerApart
from support.forked import forked_commands
from support.jobs import changed_pair, run_here

SECRET = "TOPSECRET"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    changed_pair(tmp_path / "served", 120, 140)
    with ServerApart(tmp_path / "served") as server:
        yield server.place


def found(*texts):
    """Texts and files below this folder that contain the secret, without the test's own input."""
    leaks = [text for text in texts if re.search(SECRET, text, re.I)]
    given = ("pairs.csv", "scenes.csv", "job.yaml")
    files = [path for path in Path().rglob("*") if path.is_file() and path.name not in given]
    return leaks + [str(path) for path in files if any(SECRET.encode() in each for each in contents(path))]


def contents(path):
    """Bytes of a file, and of what it holds compressed: a QGIS project, or that in a GeoPackage."""
    yield path.read_bytes()
    archives = []
    if path.suffix == ".qgz":
        archives.append(path.read_bytes())
    if path.name == "changes.gpkg":
        with closing(sqlite3.connect(path)) as database:
            if database.execute("SELECT name FROM sqlite_master WHERE name = 'qgis_projects'").fetchall():
                found = database.execute("SELECT content FROM qgis_projects").fetchall()
                archives += [bytes.fromhex(content) for (content,) in found]
    for archive in archives:
        with zipfile.ZipFile(io.BytesIO(archive)) as inside:
            yield from (inside.read(name) for name in inside.namelist())


def signed(place, name):
    return f"http://user:{SECRET}@{place}/{name}?X-Amz-Signature={SECRET}&sig={SECRET}"


def test_no_command_lets_a_secret_out(here):
    scenes = [signed(here, "before.tif"), f"/vsicurl/{signed(here, 'after.tif')}"]
    cva = ("--detector", "cva")
    Path("pairs.csv").write_text('name,before,after\np,"{}","{}"\n'.format(*scenes))
    Path("bad").mkdir()
    Path("bad/pairs.csv").write_text(f'name,before,after\np,"{scenes[0]}","{signed(here, "none.tif")}"\n')
    rows = [f'"{signed(here, name)}",2024-0{n}-01\n' for n, name in enumerate(("before.tif", "after.tif"), 1)]
    Path("scenes.csv").write_text("scene,date\n" + "".join(rows))
    Path("job.yaml").write_text(
        "site: s\nsource: {kind: list, path: scenes.csv}\nout: watched\n"
        "detector: {name: cva, min_area: 1000}\nconfirm: {seen: 1, of: 1}\n"
    )
    said = []
    for status, command in (
        (0, ("check", *scenes)),
        (0, ("check", *scenes, "--json")),
        (0, ("detect", *scenes, *cva, "--out", "out", "--log-file", "log.txt")),
        (0, ("report", "out")),
        (
            0,
            (
                "detect",
                *scenes,
                *cva,
                "--out",
                "json",
                "--json",
                "--mask",
                signed(here, "before.tif"),
                "--mask-values",
                0,
            ),
        ),
        (0, ("vectorize", "out", "--threshold", "0.9")),
        (0, ("info", "out")),
        (0, ("info", "out", "--json")),
        (0, ("batch", "pairs.csv", *cva, "--out", "batch", "--shard", "1/1")),
        (0, ("batch", "pairs.csv", "--out", "batch", "--collect", "--log-file", "log.txt")),
        (2, ("batch", "bad/pairs.csv", *cva, "--out", "failed", "--log-file", "log.txt")),
        (0, ("batch", "--status", "failed")),
        (0, ("batch", "--status", "failed", "--json")),
        (0, ("monitor", "run", "job.yaml")),
        (0, ("monitor", "status", "job.yaml", "--json")),
        (2, ("detect", signed(here, "none.tif"), scenes[1], *cva, "--out", "no")),
        (2, ("detect", *scenes, *cva, "--out", "no", "--aoi", signed(here, "none.gpkg"), "--debug")),
        (2, ("detect", *scenes, *cva, "--out", "no", "--bands", "7")),
        (2, ("detect", "--before-band", f"red={signed(here, 'none.tif')}", scenes[1], *cva, "--out", "no")),
    ):
        told = run_here(*command)
        assert told.status == status, (command, told.err)
        said += [told.out, told.err]
    assert found(*said) == []
    assert Path("log.txt").stat().st_size and Path("failed/index.html").exists()
    _, project = contents(Path("out/changes.qgz"))
    assert b"before.tif" in project


X = f"http://user:{SECRET}@127.0.0.1:9/a.tif?X-Amz-Signature={SECRET}&sig={SECRET}"


@pytest.mark.parametrize(
    "command",
    [
        ("info", X),
        ("compare", X, X),
        ("evaluate", X, "--out", "e"),
        ("train", X, "--out", "m.safetensors"),
        ("train", "--recipe", X, "--out", "m.safetensors"),
        ("train", "--images", X, "--out", "m.safetensors"),
        ("train", "--out", X),
        ("images", X, "--out", "i"),
        ("vectorize", X),
        ("quantise", X),
        ("batch", X, "--out", "b"),
        ("monitor", "run", X),
        ("monitor", "status", X),
        ("monitor", "init", X),
        ("monitor", "serve", X, "--every", "1d"),
        ("monitor", "timeline", X, "--event", "e1", "--out", "t"),
        ("check-detector", X),
        ("detect", "a.tif", "b.tif", "--out", "no", "--model", X),
        ("detect", "a.tif", "b.tif", "--out", "no", "--detector", X),
        ("simulate", "--out", X, "--size", "64"),
    ],
    ids=lambda command: " ".join(command[:2]).partition("http")[0],
)
def test_an_address_where_a_file_is_expected_is_refused_without_its_secret(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    forked = (
        forked_commands("rsdetect.training.run") if command[0] in ("train", "quantise") else forked_commands()
    )
    told = forked.run(*command)
    assert told["status"] in (2, 3), told["err"]
    assert SECRET not in told["out"] + told["err"]
    assert [path for path in Path().rglob("*") if path.is_file()] == []


def test_exceptions_hold_none_either(here):
    with pytest.raises(InputError) as error:
        rsdetect.check(signed(here, "none.tif"), signed(here, "after.tif"))
    assert found(str(error.value)) == []
    assert "none.tif" in str(error.value)


def test_another_signature_is_the_same_scene(here):
    def run(signature, out, *more):
        pair = [f"http://{here}/{name}?scene=1&sig={signature}" for name in ("before.tif", "after.tif")]
        assert run_here("detect", *pair, "--detector", "cva", "--out", out, *more).status == 0
        return json.loads(Path(out, "run.json").read_text())

    assert run("a", "one")["fingerprint"] == run("b", "two")["fingerprint"]


def test_another_signature_makes_a_batch_do_nothing_again(here):
    for signature in "ab":
        pair = [f"http://{here}/{name}?sig={signature}" for name in ("before.tif", "after.tif")]
        Path("pairs.csv").write_text('name,before,after\np,"{}","{}"\n'.format(*pair))
        assert run_here("batch", "pairs.csv", "--detector", "cva", "--out", "batch").status == 0
    assert json.loads(Path("batch/batch.json").read_text())["pairs"][0]["state"] == "done before"


def test_ids_of_a_list_do_not_depend_on_signatures(tmp_path):
    ids = []
    for signature in "ab":
        (tmp_path / "scenes.csv").write_text(
            f"scene,date\nhttps://host/a.tif?sig={signature},2024-01-01\n"
            f"https://host/get?scene=1&sig={signature},2024-01-02\n"
            f"https://host/get?scene=2&sig={signature},2024-01-03\n"
        )
        ids.append([scene.id for scene in TableOfScenes(tmp_path / "scenes.csv").list_scenes()])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3


@pytest.mark.parametrize(
    "text",
    [
        f"http://{SECRET}@host/a.tif",
        f"http://u:{SECRET}@host/a.tif",
        f"https://host/a.tif?{SECRET}",
        f"https://host/a.tif?a=1&amp;sig={SECRET}",
        f"https://host/a.tif#access_token={SECRET}",
        f"/vsicurl/https://host/a.tif?sig={SECRET}",
        f"/vsicurl?empty_dir=yes&url=https%3A%2F%2Fu%3A{SECRET}%40host%2Fa.tif%3Fsig%3D{SECRET}",
        f"/vsicurl?url=https%3A%2F%2Fhost%2Fa.tif&header.Authorization={SECRET}",
        f"s3://{SECRET}@bucket/a.tif",
        f"http:/u:{SECRET}@host/a.tif?sig={SECRET}",  # as a path
        f"/vsicurl/http:///u:{SECRET}@host/a.tif",
        f"'/vsizip//vsicurl/https://host/a.zip?sig={SECRET}/a.tif' not found; see 'https://host/b?t={SECRET}'.",
    ],
)
def test_addresses_are_cut(text):
    assert SECRET not in without_secrets(text)
    assert SECRET not in name_of_address(text)
    assert "host/a" in without_secrets(text) or "bucket/a" in without_secrets(text)


@pytest.mark.parametrize("text", ["/data/a?b=c.tif", r"C:\a?b", "a.tif", "https://host/a.tif", "1 < 2 ? 3"])
def test_what_is_no_secret_stays(text):
    assert without_secrets(text) == text
    assert without_signatures(text) == text
