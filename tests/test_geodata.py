"""Data of another PROJ or GDAL in the environment are ignored with a warning; those that fit are kept."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

from rsdetect.geodata import leave_out_foreign_data
from support.jobs import run_apart

RASTERIO = Path(find_spec("rasterio").submodule_search_locations[0])


def database(folder, minor):
    """A folder with a proj.db of version 1.`minor`."""
    folder.mkdir(exist_ok=True)
    with closing(sqlite3.connect(folder / "proj.db")) as db, db:
        db.execute("CREATE TABLE metadata (key TEXT, value TEXT)")
        values = (("DATABASE.LAYOUT.VERSION.MAJOR", "1"), ("DATABASE.LAYOUT.VERSION.MINOR", str(minor)))
        db.executemany("INSERT INTO metadata VALUES (?, ?)", values)
    return folder


@pytest.fixture
def environment(monkeypatch):
    """Sets one of the variables; the others are not set."""
    for name in ("PROJ_DATA", "PROJ_LIB", "GDAL_DATA"):
        monkeypatch.delenv(name, raising=False)
    return lambda name, value: monkeypatch.setenv(name, str(value))


@pytest.mark.skipif(not (RASTERIO / "proj_data").is_dir(), reason="rasterio is no wheel, and has no data")
@pytest.mark.parametrize("name", ["PROJ_DATA", "PROJ_LIB"])
def test_an_older_missing_or_broken_database_of_proj_is_ignored(environment, tmp_path, name):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "proj.db").write_text("no database")
    for folder, reason in (
        (database(tmp_path / "older", 2), "another version of PROJ (layout 1.2; 1."),
        (tmp_path / "nothing", "no proj.db"),
        (tmp_path / "broken", "cannot be read"),
    ):
        environment(name, folder)
        (warning,) = leave_out_foreign_data()
        assert warning.startswith(f"{name}={folder} is ignored: ") and reason in warning
        assert name not in os.environ


def test_a_database_that_fits_is_kept_whatever_comes_before_it(environment, tmp_path):
    (tmp_path / "grids").mkdir()
    value = os.pathsep.join(map(str, (tmp_path / "grids", database(tmp_path / "newer", 99))))
    environment("PROJ_DATA", value)
    assert leave_out_foreign_data() == ()
    assert os.environ["PROJ_DATA"] == value


@pytest.mark.skipif(not (RASTERIO / "gdal_data").is_dir(), reason="rasterio is no wheel, and has no data")
def test_data_of_another_gdal_are_ignored(environment, tmp_path):
    own = RASTERIO / "gdal_data"
    environment("GDAL_DATA", own)
    assert leave_out_foreign_data() == ()
    other = shutil.copytree(own, tmp_path / "other")
    min(other.iterdir()).unlink()
    environment("GDAL_DATA", other)
    (warning,) = leave_out_foreign_data()
    assert "another version of GDAL" in warning


def test_commands_say_so_and_work(environment, tmp_path):
    environment("PROJ_DATA", database(tmp_path / "older", 2))
    told = run_apart("info", tmp_path / "none")
    assert told.status == 2
    assert told.err.splitlines()[0].startswith(f"Warning: PROJ_DATA={tmp_path / 'older'} is ignored: ")
