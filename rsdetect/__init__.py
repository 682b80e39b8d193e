"""rsdetect: two co-registered satellite scenes in, polygons of what changed out.

>>> import rsdetect
>>> sorted(rsdetect.__all__)[:4]
['ChangeMap', 'PairOptions', 'check', 'detect']

Importing this imports neither torch nor dask; what is slow to import comes with the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsdetect.evaluation.run import evaluate
    from rsdetect.jobs.detect import ChangeMap, check, detect, score
    from rsdetect.scenes.pair import PairOptions, open_pair

    __version__: str

__all__ = ["ChangeMap", "PairOptions", "check", "detect", "evaluate", "open_pair", "score"]

_HOMES = {
    "ChangeMap": "rsdetect.jobs.detect",
    "check": "rsdetect.jobs.detect",
    "detect": "rsdetect.jobs.detect",
    "score": "rsdetect.jobs.detect",
    "evaluate": "rsdetect.evaluation.run",
    "PairOptions": "rsdetect.scenes.pair",
    "open_pair": "rsdetect.scenes.pair",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name == "__version__":
        from importlib.metadata import version

        return version("rsdetect")
    if name not in _HOMES:
        raise AttributeError(f"module 'rsdetect' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
