"""The command line as a stranger meets it: what goes where, and the status it ends with."""

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version
from types import SimpleNamespace

import pytest

import rsdetect.progress
from rsdetect.progress import show_progress
from support.jobs import COMMAND, OUTPUTS, changed_pair, listing, run_apart, run_here
from support.scenes import random_scene, write_plain, write_scene


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"))


def strict(text):
    """Strict JSON, one object and nothing else."""

    def never(word):
        raise AssertionError(f"{word} is no JSON")

    content = json.loads(text, parse_constant=never)
    assert isinstance(content, dict)
    return content


def test_detect_ends_with_0_reports_on_stderr_and_nothing_on_stdout(scenes, tmp_path):
    told = run_apart("detect", scenes.before, scenes.after, "--out", tmp_path / "out", "--detector", "cva")
    assert (told.status, told.out) == (0, "")
    found, *kinds, largest, files, how = told.err.splitlines()
    least = r"\(\d+ smaller than 9 pixels left out\)"
    assert re.fullmatch(rf"\d+ regions changed, [\d.]+ ha {least}: .*changes\.gpkg", found)
    assert re.fullmatch(r"Largest: change \d+, [\d.]+ ha, at 50\d{4}, 529\d{4}", largest)
    out = tmp_path / "out"
    written = "changes.gpkg, change_probability.tif, changes.qgz, report.html, run.json"
    assert files == f"Files in {out}: {written}"
    assert len(kinds) <= 1 and all(line.startswith("Kinds: ") for line in kinds)
    opening = f"Open {out / 'changes.qgz'} in QGIS, or {out / 'report.html'}"
    assert how.startswith(opening) and "; another threshold or minimum area: " in how
    assert listing(tmp_path / "out") == OUTPUTS


def test_json_is_one_strict_object_on_stdout(scenes, tmp_path):
    out = tmp_path / "out"
    told = run_apart("detect", scenes.before, scenes.after, "--out", out, "--detector", "cva", "--json")
    assert (told.status, told.err) == (0, "")
    assert strict(told.out) == strict((out / "run.json").read_text())


def test_json_of_a_pair_without_georeference_warns_on_stderr_only(tmp_path):
    pair = [write_plain(tmp_path / f"{i}.png", random_scene(i)) for i in range(2)]
    told = run_here("detect", *pair, "--out", tmp_path / "out", "--detector", "cva", "--json")
    assert told.status == 0
    assert strict(told.out)["counts"]["changed_area_m2"] is None
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d Warning: ", told.err)


def test_json_of_scenes_with_nan_and_infinity_is_strict(tmp_path):
    scene = random_scene(1, dtype="float32")
    scene[:, 3, :7] = float("nan")
    scene[:, 4, :7] = float("inf")
    pair = [write_scene(tmp_path / f"{i}.tif", scene + i, nodata=float("nan")) for i in range(2)]
    told = run_here("check", *pair, "--json")
    assert told.status == 0
    strict(told.out)
    told = run_here("detect", *pair, "--out", tmp_path / "out", "--detector", "cva", "--json")
    assert told.status == 0
    strict(told.out)


def test_check_prints_tables_or_json(scenes):
    tables = run_here("check", scenes.before, scenes.after)
    assert tables.status == 0
    assert "valid on both dates" in tables.out
    told = run_here("check", scenes.before, scenes.after, "--json")
    report = strict(told.out)
    assert (told.status, told.err) == (0, "")
    assert report["overlap"]["crs"] == "EPSG:32632"
    assert report["valid_share"] == pytest.approx(293 / 300)


def test_vectorize_and_info_print_the_record(scenes, tmp_path):
    out = tmp_path / "out"
    run_here("detect", scenes.before, scenes.after, "--out", out, "--detector", "cva", "--quiet")
    told = run_here("vectorize", out, "--threshold", "0.7", "--min-area", "100", "--simplify", "15", "--json")
    assert told.status == 0
    record = strict(told.out)
    assert (record["threshold"], record["min_area"], record["simplify"]) == (0.7, 100, 15)
    assert strict(run_here("info", out, "--json").out) == record


def test_quiet_says_only_what_was_found(tmp_path):
    pair = [write_plain(tmp_path / f"{i}.png", random_scene(i)) for i in range(2)]
    told = run_here("detect", *pair, "--out", tmp_path / "out", "--detector", "cva", "--quiet")
    assert told.status == 0
    least = r"\(\d+ smaller than 9 pixels left out\)"
    assert re.fullmatch(rf"\d+ regions? changed, [\d,]+ pixels {least}: .*changes\.gpkg\n", told.err)


def test_no_change_is_reported_in_a_sentence_with_status_0(tmp_path):
    same = write_scene(tmp_path / "same.tif", random_scene(1))
    told = run_here("detect", same, same, "--out", tmp_path / "out", "--detector", "cva", "--quiet")
    assert told.status == 0
    assert "Nothing changed" in told.err


def test_help_names_every_command_and_loads_nothing_heavy():
    seen = "import sys; sys.argv = ['rsdetect', '--help']\n"
    seen += "import rsdetect.cli\n"
    seen += "try: rsdetect.cli.main()\nexcept SystemExit as e: status = e.code\n"
    seen += (
        "print(status, [m for m in ('torch', 'dask', 'rasterio', 'numpy', 'geopandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    for command in ("detect", "check", "vectorize", "simulate", "info"):
        assert f"  {command} " in done.stdout


@pytest.mark.parametrize("command", ["detect", "check", "vectorize", "simulate", "info"])
def test_every_command_has_help(command):
    told = run_here(command, "--help")
    assert told.status == 0
    assert "Usage:" in told.out


def test_without_arguments_the_help_is_shown():
    told = run_here()
    assert told.status == 2
    assert "Commands:" in told.out + told.err


def test_the_version_is_that_of_the_installed_package():
    told = run_here("--version")
    assert (told.status, told.out, told.err) == (0, f"rsdetect {version('rsdetect')}\n", "")
    assert rsdetect.__version__ == version("rsdetect")


def test_dir_shows_what_is_public_and_all_of_it_is_there():
    assert set(dir(rsdetect)) == {*rsdetect.__all__, "__version__"}
    assert all(hasattr(rsdetect, name) for name in dir(rsdetect))


def test_importing_the_package_reads_no_metadata():
    seen = "import sys; held = set(sys.modules); import rsdetect; dir(rsdetect)\n"
    seen += "print('importlib.metadata' in set(sys.modules) - held)"
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("detect",),
        ("detect", "a.tif"),
        ("detect", "a.tif", "b.tif"),
        ("detect", "a.tif", "b.tif", "--out"),
        ("detect", "a.tif", "b.tif", "--out", "o", "--tile-size", "big"),
        ("detect", "a.tif", "b.tif", "--out", "o", "--nonsense"),
        ("check", "a.tif", "b.tif", "c.tif"),
        ("vectorize", "o", "--min-area", "much"),
    ],
    ids=" ".join,
)
def test_a_command_that_is_not_understood_gets_one_line_and_status_2(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = run_here(*arguments)
    assert (told.status, told.out) == (2, "")
    assert re.fullmatch(r"Error: .+\n", told.err)
    assert listing(tmp_path) == []


def test_debug_shows_the_traceback_and_keeps_the_status():
    told = run_here("check", "nowhere.tif", "nowhere.tif", "--debug")
    assert told.status == 2
    assert "Traceback" in told.err


def test_a_defect_of_ours_is_called_one_with_status_1(scenes, monkeypatch):
    monkeypatch.setattr("rsdetect.jobs.check.check_pair", lambda *_: 1 / 0)
    told = run_here("check", scenes.before, scenes.after)
    assert told.status == 1
    assert re.fullmatch(r"Error: a defect of rsdetect \(ZeroDivisionError.*\n", told.err)


def test_a_reader_that_stops_listening_is_no_error(scenes):
    command = [*COMMAND, "check", scenes.before, scenes.after]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() == 0


# --- progress ------------------------------------------------------------------------------------------


def test_without_a_terminal_and_a_notebook_nothing_is_shown(capsys):
    with show_progress("scoring", 100) as progress:
        progress.advance(100)
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def notebook(monkeypatch):
    """What a kernel's IPython offers; the pages that it was given to show."""
    pages = []
    handle = SimpleNamespace(update=pages.append)
    display = SimpleNamespace(
        HTML=str, display=lambda page, display_id: pages.append(page) or (handle if display_id else None)
    )
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return SimpleNamespace(pages=pages, shell=shell)


def test_in_a_notebook_one_bar_is_brought_up_to_date(monkeypatch, capsys, notebook):
    now = [1000.0]
    monkeypatch.setattr(rsdetect.progress.time, "monotonic", lambda: now[0])
    with show_progress("scoring", 10_000_000) as progress:
        for _ in range(100):  # 0.1 s and 0.1 Mpx each; no more than five updates a second
            now[0] += 0.1
            progress.advance(100_000)
    assert 40 <= len(notebook.pages) <= 60
    assert notebook.pages[0] == 'scoring <progress value="0" max="10000000"></progress> 0%'
    assert notebook.pages[-1].endswith("</progress> 100%, 1.00 Mpx/s")
    assert capsys.readouterr() == ("", "")


def test_ipython_on_a_terminal_is_no_notebook(notebook):
    notebook.shell.kernel = None
    with show_progress("scoring", 10) as progress:
        progress.advance(10)
    assert notebook.pages == []


def test_nothing_to_do_shows_nothing(capsys):
    with show_progress("scoring", 0) as progress:
        progress.advance(0)
    assert capsys.readouterr().err == ""


def on_a_terminal(code):
    """What a Python program writes to a terminal of 100 columns."""
    leader, follower = pty.openpty()
    environment = os.environ | {"COLUMNS": "100", "TERM": "xterm-256color"}
    with subprocess.Popen([sys.executable, "-c", code], stderr=follower, env=environment) as child:
        os.close(follower)
        written = b""
        with suppress(OSError):  # the other end is closed
            while part := os.read(leader, 65536):
                written += part
        assert child.wait() == 0
    os.close(leader)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())


def test_on_a_terminal_a_bar_shows_share_rate_and_time_left():
    code = """
import time
from rsdetect.progress import show_progress
with show_progress("scoring", 40_000_000) as progress:
    for _ in range(20):
        time.sleep(0.05)
        progress.advance(1_000_000)
    time.sleep(0.3)
"""
    told = on_a_terminal(code)
    assert "scoring" in told
    assert "50%" in told
    assert re.search(r"\d+\.\d\d Mpx/s", told)
    assert re.search(r"\d+:\d\d:\d\d", told)


def test_on_a_terminal_detect_shows_the_bar_and_reports(scenes, tmp_path):
    arguments = [
        "rsdetect",
        "detect",
        scenes.before,
        scenes.after,
        "--out",
        str(tmp_path),
        "--detector",
        "cva",
    ]
    code = f"import sys; sys.argv = {arguments}\nfrom rsdetect.cli import main\nmain()"
    told = on_a_terminal(code)
    assert "100%" in told
    assert "regions changed" in told
