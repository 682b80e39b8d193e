"""Journal file of a monitoring job: its SQLite tables, application id and version."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

from rsdetect.errors import JobInterrupted, OutputError
from rsdetect.reading import refuse_endless
from rsdetect.statuses import write_error

VERSION = 1
APPLICATION = 0x72736D6A  # "rsmj": identifies the file type
_SECONDS_TO_WAIT = 30.0  # for a reader such as `monitor status` to release the file
_HEADER_BYTES = 100

_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE scenes (
    id TEXT PRIMARY KEY, taken TEXT NOT NULL, fingerprint TEXT NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL, content TEXT NOT NULL, attempts INTEGER NOT NULL, listed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE baselines (request TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE steps (
    key TEXT PRIMARY KEY, scene TEXT NOT NULL, taken TEXT NOT NULL, baseline TEXT NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, content TEXT NOT NULL, attempts INTEGER NOT NULL,
    began TEXT NOT NULL, ended TEXT
) WITHOUT ROWID;
CREATE TABLE regions (
    step TEXT NOT NULL REFERENCES steps (key) ON DELETE CASCADE, number INTEGER NOT NULL,
    geometry BLOB NOT NULL, area_m2 REAL, probability REAL NOT NULL, PRIMARY KEY (step, number)
) WITHOUT ROWID;
CREATE TABLE looks (key TEXT PRIMARY KEY, content TEXT NOT NULL, geometry BLOB) WITHOUT ROWID;
CREATE TABLE events (id TEXT PRIMARY KEY, content TEXT NOT NULL, geometry BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE observations (
    event TEXT NOT NULL, taken TEXT NOT NULL, scene TEXT NOT NULL, content TEXT NOT NULL, geometry BLOB,
    PRIMARY KEY (event, taken, scene)
) WITHOUT ROWID;
CREATE TABLE runs (number INTEGER PRIMARY KEY, began TEXT NOT NULL, ended TEXT, status INTEGER, content TEXT);
"""
_TABLES_OF_THIS_VERSION = f"{_TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"


def open_journal(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open the journal file at `path`; with `write` it is created where it is missing.

    Raises
    ------
    OutputError
        Not a journal of a monitoring job, or one of a newer version; the file is not changed.
    JobInterrupted
        The disk has no room for another file.
    """
    if path.exists():
        _require_journal_file(path)
    elif write:
        try:
            path.touch()  # unlike SQLite, with the reason where this fails
        except OSError as error:
            raise write_error(str(path), error) from error
    try:
        return _open_to_write(path) if write else _open_to_read(path)
    except sqlite3.Error as error:
        if (
            write and getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_CANTOPEN
        ):  # the transaction's file beside it
            raise JobInterrupted(
                f"{path} cannot be written: {error}; make room and run the job again."
            ) from error
        raise OutputError(f"{path} cannot be opened: {error}.") from error


def is_journal(path: Path) -> bool:
    """True if the file at `path` is a journal file of this version of rsdetect, or of an older one."""
    try:
        _require_journal_file(path)
    except OutputError:
        return False
    return True


def _open_to_write(path: Path) -> sqlite3.Connection:
    """Open a journal file for a run, with its tables."""
    database, is_empty = _connect_journal(path, "rwc")
    if is_empty:
        try:
            # One transaction: the journal exists with all its tables or not at all.
            database.executescript(f"BEGIN; {_TABLES_OF_THIS_VERSION} COMMIT;")
        except sqlite3.Error:
            database.close()
            raise
    return database


def _open_to_read(path: Path) -> sqlite3.Connection:
    """Open a journal file for reading, after rolling back a killed run's transaction.

    A file without tables is one whose first run is about to write them, or was killed before: it is read as
    a journal without entries.
    """
    try:
        database, is_empty = _connect_journal(path, "ro")
    except sqlite3.OperationalError:
        # A run was killed within a transaction. The next connection rolls it back, and needs write access.
        database, is_empty = _connect_journal(path, "rw")
    if is_empty:
        database.close()
        database = sqlite3.connect(":memory:")
        database.executescript(_TABLES_OF_THIS_VERSION)
    return database


def _connect_journal(path: Path, mode: str) -> tuple[sqlite3.Connection, bool]:
    """Connect to a journal file with an SQLite URI `mode`; True if it has no tables yet."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    database = sqlite3.connect(uri, uri=True, timeout=_SECONDS_TO_WAIT)
    try:
        database.execute("PRAGMA foreign_keys = ON")
        return database, database.execute("PRAGMA user_version").fetchone()[0] == 0
    except sqlite3.Error:
        database.close()
        raise


def _require_journal_file(path: Path) -> None:
    """Raise for a file that is not a journal, or of a newer version; SQLite need not open it.

    The offsets of both numbers are those of the file format (https://www.sqlite.org/fileformat.html, 1.3).
    """
    refuse_endless(path, OutputError)
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not header:
        return  # a run was killed before its first write
    if len(header) < _HEADER_BYTES or not header.startswith(b"SQLite format 3\0"):
        raise OutputError(f"{path} is not a journal of a monitoring job.")
    version, application = (struct.unpack_from(">I", header, offset)[0] for offset in (60, 68))
    if (version, application) != (0, 0) and application != APPLICATION:
        raise OutputError(f"{path} is not a journal of a monitoring job.")
    if version > VERSION:
        raise OutputError(
            f"{path} was written by a newer rsdetect (journal version {version}, this one reads up to "
            f"{VERSION}); it was not changed: update rsdetect or choose another folder."
        )
