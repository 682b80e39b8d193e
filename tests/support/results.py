"""Everything that a folder of results holds, in a form that compares: but for times and memory."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing

import rasterio

from rsdetect.jobs.outputs import Outputs
from support.jobs import OUTPUTS

# Of a run, not of its results.
_OF_RUN = ("seconds", "machine", "finished", "reading", "tiles_scored_in_this_run")
_TIMES = ("last_change", "timestamp", "update_time")
_RECORD_ON_PAGE = re.compile(r"<pre[^>]*>.*?</pre>", re.S)


def everything(out):
    """Record, page, project, styles, every table of the GeoPackage, and all pixels of the raster."""
    names = sorted(path.name for path in out.iterdir() if path.is_file() and path.name in OUTPUTS)
    return {
        "names": names,
        "record": _without_run(json.loads((out / Outputs.RECORD).read_text())),
        "page": page(out / Outputs.PAGE) if Outputs.PAGE in names else "",
        "tables": tables(out / Outputs.POLYGONS),
        "pixels": _pixels(out / Outputs.RASTER),
        **{name: (out / name).read_bytes() for name in (Outputs.PROJECT, Outputs.RASTER_STYLE)},
    }


def page(path):
    """The report page without the record, which it shows at its end; a page that is cut off fails."""
    text = path.read_text()
    assert text.rstrip().endswith("</html>")
    return _RECORD_ON_PAGE.sub("", text)


def tables(path):
    """Rows of every table of a GeoPackage: layers, styles, metadata, projects."""
    found = {}
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            known = [row[1] for row in database.execute(f'PRAGMA table_info("{name}")')]
            wanted = ", ".join(f'"{column}"' for column in known if column not in _TIMES)
            found[name] = database.execute(f'SELECT {wanted} FROM "{name}"').fetchall()
    return found


def _pixels(path):
    with rasterio.open(path) as raster:
        levels = [None, *range(len(raster.overviews(1)))]
        tags = raster.tags()
    pixels = []
    for level in levels:
        options = {} if level is None else {"overview_level": level}
        with rasterio.open(path, **options) as raster:
            pixels.append(raster.read(1).tobytes())
    return tags, pixels


def _without_run(content):
    if isinstance(content, dict):
        return {key: _without_run(value) for key, value in content.items() if key not in _OF_RUN}
    return content
