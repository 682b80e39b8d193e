"""A PostGIS server of Debian's packages on a socket in a folder of its own, without fsync."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def is_installed():
    """Whether PostgreSQL with PostGIS, and psycopg 3 for Python of the system, are there."""
    extensions = list(Path("/usr/share/postgresql").glob("*/extension/postgis.control"))
    client = subprocess.run(["/usr/bin/python3", "-c", "import psycopg"], check=False, capture_output=True)
    return bool(_PROGRAMS and extensions) and client.returncode == 0


@contextmanager
def postgis():
    """The environment of a client of an empty database with the extension."""
    folder = Path(tempfile.mkdtemp(prefix="postgis-"))  # short enough for a socket's name
    is_root = os.getuid() == 0
    if is_root:  # as which PostgreSQL does not run
        shutil.chown(folder, "postgres")
    own = ["runuser", "-u", "postgres", "--"] if is_root else []
    data, programs = folder / "data", _PROGRAMS[-1]
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"

    def server(program, *arguments):
        command = [*own, programs / program, "-D", data, *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/")

    try:
        server("initdb", "-U", "rsdetect", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        server("pg_ctl", "-o", options, "-l", folder / "log", "-w", "-t", "600", "start")
        try:
            client = {"PGHOST": str(folder), "PGUSER": "rsdetect", "PGDATABASE": "postgres"}
            query(client, "CREATE EXTENSION postgis")
            yield client
        finally:
            server("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def query(client, statement):
    """Rows of a statement, as text."""
    command = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1"]
    done = subprocess.run(
        [*command, "-c", statement],
        env={**os.environ, **client},
        check=True,
        capture_output=True,
        text=True,
    )
    return [tuple(line.split("|")) for line in done.stdout.splitlines()]
