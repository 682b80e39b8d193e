"""Data of PROJ and GDAL that the environment names: those of another version are found, and left out.

Installations of QGIS, PostGIS and Conda set `PROJ_DATA`, `PROJ_LIB` and `GDAL_DATA` for their own versions.
The wheels of rasterio, pyproj and pyogrio have the data that fit them; with an older database PROJ knows no
CRS by its code.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path

_VARIABLES = ("PROJ_DATA", "PROJ_LIB", "GDAL_DATA")
_OWN_PROJ = {
    "rasterio": "proj_data",
    "pyproj": "proj_dir/share/proj",
    "pyogrio": "proj_data",
}
_OWN_GDAL = {"rasterio": "gdal_data"}  # another version than pyogrio's, which reads vectors only


def leave_out_foreign_data() -> tuple[str, ...]:
    """Remove variables that name data of another PROJ or GDAL from the environment; returns warnings.

    Call it before rasterio, pyproj and pyogrio are imported. Installations without data of their own, as
    Conda's, need what the environment names, and nothing is removed.
    """
    warnings = []
    for name in _VARIABLES:
        if name not in os.environ:
            continue
        value = os.environ[name]
        reason = _foreign_gdal(value) if name == "GDAL_DATA" else _foreign_proj(value)
        if reason is not None:
            del os.environ[name]
            warnings.append(f"{name}={value} is ignored: {reason}.")
    return tuple(warnings)


def _foreign_proj(value: str) -> str | None:
    """Why the database of PROJ in the folders of a variable fits no installed package; None if it does."""
    needed = [version for each in _own(_OWN_PROJ) if (version := _layout(each)) is not None]
    if not needed:
        return None
    there = next((each for each in map(Path, value.split(os.pathsep)) if (each / "proj.db").is_file()), None)
    if there is None:
        return "it has no proj.db"
    layout = _layout(there)
    if layout is None:
        return "its proj.db cannot be read"
    if any(layout[0] != major or layout[1] < minor for major, minor in needed):
        versions = (".".join(map(str, each)) for each in (layout, max(needed)))
        return "its proj.db belongs to another version of PROJ (layout {}; {} is needed)".format(*versions)
    return None


def _foreign_gdal(value: str) -> str | None:
    """Why the folder of a variable has not the data of an installed GDAL; None if it has."""
    for own in _own(_OWN_GDAL):
        missing = {each.name for each in own.iterdir()} - {each.name for each in _entries(Path(value))}
        if missing:
            return f"it belongs to another version of GDAL ({min(missing)} is missing)"
    return None


def _own(folders: dict[str, str]) -> list[Path]:
    """Existing data folders of installed packages, which are not imported."""
    found = []
    for package, inner in folders.items():
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec is not None else ():
            if (Path(root) / inner).is_dir():
                found.append(Path(root) / inner)
    return found


def _entries(folder: Path) -> list[Path]:
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def _layout(folder: Path) -> tuple[int, int] | None:
    """Version of the tables of a folder's proj.db: major, minor."""
    query = "SELECT value FROM metadata WHERE key = 'DATABASE.LAYOUT.VERSION.' || ?"
    try:
        with closing(sqlite3.connect(f"{(folder / 'proj.db').absolute().as_uri()}?mode=ro", uri=True)) as db:
            major, minor = (int(db.execute(query, (part,)).fetchone()[0]) for part in ("MAJOR", "MINOR"))
    except (sqlite3.Error, TypeError, ValueError):
        return None
    return major, minor
