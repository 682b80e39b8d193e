"""What Windows does otherwise, as far as it can be tried on another system.

It has no modules of POSIX, no user numbers, drives with a colon and backslashes, and neither renames nor
removes a file that is open. Renames that it refuses are tried in test_files.py.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest

import rsdetect
from rsdetect.errors import InputError
from rsdetect.evaluation.options import EvaluateOptions, labelled_sets
from rsdetect.grid import Window
from rsdetect.memory import peak_memory
from rsdetect.paths import as_gdal_path, from_folder, split_path
from rsdetect.scenes.dates import date_in_name
from rsdetect.scoring.raster import ProbabilityRaster
from support.jobs import run_here

PACKAGE = Path(rsdetect.__file__).parent
ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "sample"
POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
# Run with the modules and functions of POSIX hidden from rsdetect; others choose by the name of the system.
WITHOUT_POSIX = f"""
import builtins, os, pkgutil, sys

genuine = builtins.__import__

def importing(name, names=None, *rest, **more):
    own = str((names or {{}}).get("__name__", "")).partition(".")[0] == "rsdetect"
    if own and name.partition(".")[0] in {sorted(POSIX_ONLY)}:
        raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
    return genuine(name, names, *rest, **more)

builtins.__import__ = importing
for name in ("getuid", "geteuid", "getgid", "getegid"):
    delattr(os, name)
"""


def without_posix(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"USERNAME": "somebody"},  # by which Windows knows people
    )


def test_every_module_is_imported_without_posix():
    code = """
import rsdetect
for found in pkgutil.walk_packages(rsdetect.__path__, "rsdetect."):
    if not found.name.endswith("__main__"):
        __import__(found.name)
print("all")
"""
    done = without_posix(code)
    assert (done.returncode, done.stdout) == (0, "all\n"), done.stderr


@pytest.mark.parametrize("command", ["check", "detect"])
def test_a_job_ends_without_posix(command, tmp_path):
    options = () if command == "check" else ("--detector", "cva", "--quiet", "--out", tmp_path / "out")
    scenes = (SAMPLE / "before.tif", SAMPLE / "after.tif")
    code = "import rsdetect.cli; sys.argv[0] = 'rsdetect'; rsdetect.cli.main()"
    done = without_posix(code, command, *scenes, *options)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: "/".join(path.parts[-2:]))
def test_no_module_of_posix_is_imported_at_the_top(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert not names & POSIX_ONLY


def test_peak_memory_is_known_without_posix():
    done = without_posix("from rsdetect.memory import peak_memory; print(peak_memory())")
    assert done.returncode == 0, done.stderr
    assert 10 * 2**20 < int(done.stdout) < 2**36
    assert 10 * 2**20 < peak_memory() < 2**36


# --- paths -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "leads_to"),
    [
        ("a.tif", r"D:\lists\a.tif"),
        ("../a.tif", r"D:\lists\..\a.tif"),
        (r"dates\a.tif", r"D:\lists\dates\a.tif"),
        ("C:/x.tif", "C:/x.tif"),
        (r"C:\x.tif", r"C:\x.tif"),
        (r"\\server\share\x.tif", r"\\server\share\x.tif"),
        ("//server/share/x.tif", "//server/share/x.tif"),
        ("/vsicurl/https://host/x.tif", "/vsicurl/https://host/x.tif"),
        ("https://host/x.tif", "https://host/x.tif"),
        ('NETCDF:"C:/x.nc":red', 'NETCDF:"C:/x.nc":red'),
    ],
)
def test_paths_in_a_list_on_drive_d(text, leads_to):
    assert from_folder(text, PureWindowsPath("D:/lists")) == leads_to


def test_a_colon_in_a_name_makes_no_driver():
    assert from_folder("2024-05-03T10:30.tif", Path("/lists")) == "/lists/2024-05-03T10:30.tif"


@pytest.mark.parametrize(
    "path", [PureWindowsPath(r"C:\data\a b.tif"), PureWindowsPath(r"\\server\share\a b.tif")], ids=str
)
def test_addresses_of_files_on_windows_come_back_as_their_paths(path):
    assert PureWindowsPath(as_gdal_path(path.as_uri())) == path
    assert as_gdal_path(str(path)) == str(path)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (r"C:\pairs", (r"C:\pairs", None)),
        ("C:/pairs", ("C:/pairs", None)),
        (r"C:\pairs:red,green", (r"C:\pairs", "red,green")),
        (r"\\server\share\pairs:1,2", (r"\\server\share\pairs", "1,2")),
        ("pairs:red", ("pairs", "red")),
        ("p:red", ("p", "red")),
    ],
)
def test_a_drive_is_no_folder_with_bands(text, parts):
    assert split_path(text) == parts


def test_a_folder_on_a_drive_that_is_not_there_is_named_whole():
    (source,) = labelled_sets([r"C:\pairs"], EvaluateOptions())
    assert source.folder.name == r"C:\pairs"
    with pytest.raises(InputError, match="band"):
        labelled_sets([r"C:\pairs:"], EvaluateOptions())


def test_dates_are_read_from_names_behind_backslashes():
    assert date_in_name(r"C:\2019-01-01\scene_20240503.tif") == "2024-05-03"


# --- open files --------------------------------------------------------------------------------------------


@pytest.fixture
def open_files(monkeypatch):
    """Files that this process held open while they, or folders above them, were renamed or removed."""
    if not Path("/proc/self/fd").is_dir():
        pytest.fail("this test reads what is open from /proc")
    found = []
    genuine = {name: getattr(os, name) for name in ("rename", "replace", "unlink", "remove")}

    def held():
        for entry in Path("/proc/self/fd").iterdir():
            try:
                yield entry.readlink()
            except FileNotFoundError:
                continue

    def watch(name):
        def watched(path, *arguments, dir_fd=None, **options):
            folder = Path.cwd() if dir_fd is None else Path(f"/proc/self/fd/{dir_fd}").readlink()
            whole = folder / path
            targets = {whole, *(Path(each).absolute() for each in arguments if name in ("rename", "replace"))}
            # The lock's file cannot be removed while it is open; on Windows filelock removes it on release.
            found.extend((name, each) for each in held() if each in targets and each.name != ".rsdetect.lock")
            if dir_fd is not None:
                options["dir_fd"] = dir_fd
            return genuine[name](path, *arguments, **options)

        return watched

    for name in genuine:
        monkeypatch.setattr(os, name, watch(name))
    return found


def test_an_open_file_is_noticed(tmp_path, open_files):
    (tmp_path / "a").write_text("x")
    with (tmp_path / "a").open():
        (tmp_path / "a").replace(tmp_path / "b")
        shutil.rmtree(tmp_path)
    assert open_files == [("replace", tmp_path / "a"), ("unlink", tmp_path / "b")]


@pytest.mark.parametrize("workers", [1, 2])
def test_no_job_renames_or_removes_a_file_that_it_holds_open(tmp_path, open_files, workers):
    out = ("--out", tmp_path / "out", "--overwrite", "--quiet")
    scenes = (SAMPLE / "before.tif", SAMPLE / "after.tif")
    for _ in range(2):
        told = run_here("detect", *scenes, "--detector", "cva", "--workers", workers, *out)
        assert told.status == 0, told.err
        # As monitoring does before it compares a pair again.
        ProbabilityRaster(tmp_path / "out" / "change_probability.tif").read(Window(0, 0, 64, 64))
    assert run_here("vectorize", tmp_path / "out", "--threshold", "0.5").status == 0
    assert (tmp_path / "out" / "changes.gpkg").exists()
    assert open_files == []
