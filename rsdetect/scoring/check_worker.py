"""Check of a cluster's worker process: version of rsdetect, files, and its own GPU.

Workers join and leave during a job, so each one checks itself once per job, before its first tile.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from rsdetect.detectors.base import Scorer
from rsdetect.detectors.own_file import Unloaded
from rsdetect.devices import own_device
from rsdetect.errors import JobInterrupted
from rsdetect.installed import version
from rsdetect.scenes.band_files import file_version
from rsdetect.scenes.pair import Pair


@lru_cache(maxsize=8)
def check_worker(pair: Pair, work: Path, wanted: str) -> None:
    """Check that this worker can score tiles of `pair` and store them under `work`.

    Parameters
    ----------
    wanted
        Version of rsdetect that started the job; another one may give other scores.

    Raises
    ------
    JobInterrupted
        The version differs, or a local file or the folder is missing or differs.
    """
    here = f"the worker on {socket.gethostname()}"
    found = version("rsdetect")
    if found != wanted:
        raise JobInterrupted(
            f"{here} has rsdetect {found}, but {wanted} set the job up; install one version everywhere and "
            "run the same command to resume."
        )
    for path, expected in _local_files(pair):
        found_here = file_version(path)
        if found_here is None or found_here[0] != expected[0]:
            seen = "does not see" if found_here is None else "sees another file under"
            raise JobInterrupted(f"{here} {seen} {path}; {_REMEDY}")
    if not work.is_dir():
        raise JobInterrupted(f"{here} does not see the work store {work}; {_REMEDY}")


_REMEDY = (
    "scenes, masks, models and output folder must lie on storage that all workers see under the same path; "
    "fix this and run the same command to resume."
)


def ready_scorer(scorer: Scorer) -> Scorer:
    """Scorer on the device of this worker process; unchanged without a device.

    Raises
    ------
    JobInterrupted
        A file that it needs is not there, the file of its detector cannot be loaded, or no GPU is left.
    """
    if isinstance(scorer, Unloaded):
        raise JobInterrupted(scorer.reason)
    for file in scorer.files:
        if not Path(file).is_file():
            raise JobInterrupted(f"the worker on {socket.gethostname()} does not see {file}; {_REMEDY}")
    return scorer if scorer.device is None else scorer.on_device(own_device(scorer.device))


def _local_files(pair: Pair) -> Iterator[tuple[str, tuple[int, int]]]:
    """Path and version of each local or shared file that a worker requires."""
    for scene in (pair.before, pair.after):
        for file in scene.files.files if scene.files else (scene,):
            if file.version is not None:
                yield file.path, file.version
        if scene.mask is not None and scene.mask.version is not None:
            yield scene.mask.path, scene.mask.version
