"""Jobs that are stopped in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

import rsdetect
from rsdetect.errors import JobInterrupted
from rsdetect.folders import LOCK
from rsdetect.jobs.outputs import Outputs
from support.jobs import listing

HIDDEN = (Outputs.WORK, LOCK)  # what a run that is killed may leave beside results
CVA = {"detector": "cva", "quiet": True}


# A command as users run it, which is under way when the test stops it, even if the test itself pauses:
# after a few tiles all others are held until the run is interrupted, or the file $RELEASE is there.
# A shell that runs the tests in the background lets them ignore Ctrl-C; a terminal does not.
_HELD = """
import itertools, os, signal, time
from functools import partial
signal.signal(signal.SIGINT, signal.default_int_handler)
from rsdetect import cli, interruption
import rsdetect.scoring.engine as engine
genuine, started = engine.score_core, itertools.count()
def held(pair, scorer, tile, *receivers):
    if next(started) >= int(os.environ["TILES_BEFORE"]):
        while not (interruption._guard.received or os.path.exists(os.environ["RELEASE"])):
            time.sleep(0.01)
    return genuine(pair, scorer, tile, *receivers)
engine.score_core = held
cli.ending_in_time = partial(cli.ending_in_time, 600)  # the machine may be slow to clear up
cli.main()
"""


@contextmanager
def start_held(*arguments, tiles, release=""):
    """A process with a command that scores `tiles` tiles and then waits; it is killed at the end.

    Parameters
    ----------
    tiles
        Number of tiles that are not held.
    release
        File at whose creation the run goes on; without one it is held until it is interrupted.
    """
    with subprocess.Popen(
        [sys.executable, "-c", _HELD, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TILES_BEFORE": str(tiles), "RELEASE": str(release)},
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def wait_for_tiles(child, out, count):
    """Return once `count` tiles of the command are stored under `out`."""
    while len(finished_tiles(out)) < count:
        assert child.poll() is None, child.stderr.read()
        time.sleep(0.01)


def finished_tiles(out):
    """Names of finished tiles, also while the job renames its folders."""
    try:
        return sorted(path.name for path in out.rglob("*.tile"))
    except FileNotFoundError:
        return []


def stop_after(monkeypatch, tiles):
    """Stop the next job in this process, as Ctrl-C would, once it has stored some tiles."""
    import rsdetect.scoring.engine as engine

    genuine, seen = engine.score_core, []

    def counting(pair, scorer, tile, *receivers):
        if len(seen) == tiles:
            raise JobInterrupted("stopped on purpose")
        seen.append(tile)
        return genuine(pair, scorer, tile, *receivers)

    monkeypatch.setattr(engine, "score_core", counting)


def interrupt(scenes, out, tiles=10, **options):
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, tiles)
        with pytest.raises(JobInterrupted, match="on purpose"):
            rsdetect.detect(
                scenes.before, scenes.after, out=out, **{"tile_size": 64, "workers": 1} | CVA | options
            )
    assert len(finished_tiles(out)) == tiles
    assert listing(out)[0] == ".work"
    assert not [path for path in out.iterdir() if path.name not in HIDDEN]
