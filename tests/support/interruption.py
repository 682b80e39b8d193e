"""Jobs that are stopped in the middle."""

from __future__ import annotations

import pytest

import rsdetect
from rsdetect.errors import JobInterrupted
from rsdetect.folders import LOCK
from rsdetect.jobs.outputs import Outputs
from support.jobs import listing

HIDDEN = (Outputs.WORK, LOCK)  # what a run that is killed may leave beside results
CVA = {"detector": "cva", "quiet": True}


# Detect as users run it, but slow enough to be hit in the middle.
# A few brisk tiles, then slow ones: whatever else the machine does, the job is under way when it is stopped.
# A shell that runs the tests in the background lets them ignore Ctrl-C; a terminal does not.
SLOW = """
import itertools, os, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import rsdetect.scoring.engine as engine
genuine, started = engine.score_core, itertools.count()
brisk, seconds = int(os.environ["BRISK_TILES"]), float(os.environ["SECONDS_A_TILE"])
def slow(pair, scorer, tile, *receivers):
    time.sleep(0.01 if next(started) < brisk else seconds)
    return genuine(pair, scorer, tile, *receivers)
engine.score_core = slow
from rsdetect.cli import main
main()
"""


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
