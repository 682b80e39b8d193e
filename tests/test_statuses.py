"""Exit statuses of errors: 3 for what may pass, 2 for wrong input, 1 for the rest."""

from __future__ import annotations

import errno
import sqlite3
import sys
from io import BytesIO

import numpy as np
import pytest
import typer
from rasterio.errors import CRSError, RasterioIOError

from rsdetect import cli
from rsdetect.errors import GridMismatch, InputError, OutputError, ReadError, SceneError
from rsdetect.limited_memory import ADVICE
from rsdetect.statuses import status_of, write_error


def caused(error, cause):
    error.__cause__ = cause
    return error


def of_sqlite(code):
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.tif"), 3),
        (OSError(errno.EACCES, "Permission denied", "a.tif"), 2),
        (caused(OutputError("a.tif cannot be written."), OSError(errno.ENOSPC, "No space left")), 3),
        (caused(OutputError("a.tif cannot be written."), OSError(errno.EACCES, "Permission denied")), 2),
        (of_sqlite(sqlite3.SQLITE_FULL), 3),
        (of_sqlite(sqlite3.SQLITE_IOERR | 3 << 8), 3),
        (caused(OutputError("the journal cannot be opened."), of_sqlite(sqlite3.SQLITE_FULL)), 3),
        (caused(OutputError("the journal cannot be opened."), of_sqlite(sqlite3.SQLITE_NOTADB)), 2),
        (ImportError("librt.so.1: cannot close file descriptor: Input/output error"), 3),
        (ImportError("No module named 'numpy'"), 1),
        (MemoryError(), 3),
        (RuntimeError("std::bad_alloc"), 3),
        (RuntimeError("[CPU] Convolution node with name 't51/WithoutBiases' can't alloc "), 3),
        (RuntimeError("could not create a primitive"), 1),
        (caused(ReadError("a.tif cannot be read."), RuntimeError("Out of memory allocating 9 bytes")), 3),
        (SceneError("/data/out of memory/a.tif is not there."), 2),
        (FileNotFoundError(errno.ENOENT, "No such file", "/data/bad_alloc/a.tif"), 2),
        (ZeroDivisionError("division by zero"), 1),
    ],
    ids=repr,
)
def test_the_status_of_an_error(error, status):
    assert status_of(error)[0] == status


@pytest.mark.parametrize(
    ("cause", "status", "begins"),
    [
        (EOFError("No data left in file"), 2, "a file that was read ends too early"),
        (caused(EOFError(), MemoryError()), 3, "the memory"),
        (caused(EOFError(), KeyboardInterrupt()), 3, "interrupted"),
        (KeyboardInterrupt(), 3, "interrupted"),
        (None, 3, "interrupted"),
    ],
    ids=repr,
)
def test_of_what_typer_calls_aborted_a_file_that_ends_too_early_is_no_interruption(cause, status, begins):
    found, text = status_of(caused(typer.Abort(), cause))
    assert (found, text[: len(begins)]) == (status, begins)


def test_a_command_whose_file_ends_too_early_is_not_called_interrupted(monkeypatch, capsys):
    """Through typer, which converts the error."""
    app = typer.Typer()

    @app.command()
    def read():
        with np.load(BytesIO()):
            pass

    monkeypatch.setattr(cli, "app", app)
    monkeypatch.setattr(sys, "argv", ["rsdetect"])
    assert cli._run() == 2
    assert "Error: a file that was read ends too early" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["could not create a primitive", "Exception from src/plugins/node.cpp:823: failed"]
)
def test_under_a_limit_a_library_that_gives_no_reason_lacks_memory(monkeypatch, text):
    monkeypatch.setattr("rsdetect.statuses.address_space_left", lambda: 2**20)
    assert status_of(RuntimeError(text))[0] == 3


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (caused(ReadError("a.tif cannot be read."), CRSError("The WKT could not be parsed.")), 3),
        (caused(ReadError("tile 1: a.tif."), caused(ReadError("a.tif."), CRSError("The WKT"))), 3),
        (caused(SceneError("a.tif cannot be opened."), CRSError("The WKT could not be parsed.")), 2),
        (caused(ReadError("a.tif cannot be read."), RasterioIOError("the file ends before it")), 2),
    ],
    ids=repr,
)
def test_under_a_limit_a_crs_that_was_known_when_a_file_was_opened_lacks_memory(monkeypatch, error, status):
    """While other threads had the memory: there may be enough before and after."""
    assert status_of(error) == (2, str(error))
    monkeypatch.setattr("rsdetect.statuses.address_space_left", lambda: 2**30)
    assert status_of(error) == (status, ADVICE if status == 3 else str(error))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ReadError("tile at row 0, column 0: a.tif cannot be read at rows 0 to 255."), 2),
        (caused(ReadError("a.tif cannot be read."), CRSError("The WKT could not be parsed.")), 2),
        (caused(SceneError("a.tif cannot be opened."), RasterioIOError("not recognized")), 2),
        (GridMismatch("a.tif is in EPSG:32631 and b.tif names no CRS."), 2),
        (SystemError("error return without exception set"), 1),
    ],
    ids=repr,
)
def test_a_library_that_fails_for_want_of_memory_is_not_taken_for_a_damaged_file(monkeypatch, error, status):
    assert status_of(error)[0] == status
    monkeypatch.setattr("rsdetect.statuses.was_short", lambda: True)
    assert status_of(error) == (3, ADVICE)


@pytest.mark.parametrize(
    "error",
    [
        InputError("`threshold` 2 is not between 0 and 1."),
        caused(SceneError("a.tif cannot be opened."), RasterioIOError("a.tif: No such file or directory")),
        caused(OutputError("a.tif cannot be written."), OSError(errno.EACCES, "Permission denied")),
        caused(InputError("wrong date."), ValueError("2024-13-01")),
    ],
    ids=repr,
)
def test_what_has_another_reason_is_refused_without_much_memory_too(monkeypatch, error):
    monkeypatch.setattr("rsdetect.statuses.was_short", lambda: True)
    assert status_of(error)[0] == 2


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 3), (errno.EIO, 3), (errno.EROFS, 2)])
def test_a_file_that_cannot_be_written_is_transient_or_not(number, status):
    error = write_error("a.tif", OSError(number, "the reason"))
    assert error.exit_status == status
    assert str(error).startswith("a.tif cannot be written: the reason")
