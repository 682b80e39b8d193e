"""rsdetect: two co-registered satellite scenes in, polygons of what changed out.

>>> import rsdetect
>>> rsdetect.detect, rsdetect.InputError  # doctest: +ELLIPSIS
(<function detect at ...>, <class 'rsdetect.errors.InputError'>)

Importing this imports neither torch nor dask; what is slow to import comes with the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rsdetect.api import batch, monitor, report, simulate, train, vectorize
    from rsdetect.catalogue.detect import detect_periods, list_periods
    from rsdetect.errors import (
        GridMismatch,
        InputError,
        JobInterrupted,
        ModelError,
        NothingToCompare,
        OutputError,
        ReadError,
        RsdetectError,
        SceneError,
        SourceUnavailable,
    )
    from rsdetect.evaluation.detector_comparison import compare
    from rsdetect.evaluation.run import evaluate
    from rsdetect.jobs.change_map import ChangeMap
    from rsdetect.jobs.check import check
    from rsdetect.jobs.detect import detect, score
    from rsdetect.scenes.pair import PairOptions, open_pair

    __version__: str

_ERRORS = (
    "GridMismatch",
    "InputError",
    "JobInterrupted",
    "ModelError",
    "NothingToCompare",
    "OutputError",
    "ReadError",
    "RsdetectError",
    "SceneError",
    "SourceUnavailable",
)
_HOMES = {
    "ChangeMap": "rsdetect.jobs.change_map",
    "PairOptions": "rsdetect.scenes.pair",
    "batch": "rsdetect.api",
    "check": "rsdetect.jobs.check",
    "compare": "rsdetect.evaluation.detector_comparison",
    "detect": "rsdetect.jobs.detect",
    "detect_periods": "rsdetect.catalogue.detect",
    "evaluate": "rsdetect.evaluation.run",
    "list_periods": "rsdetect.catalogue.detect",
    "monitor": "rsdetect.api",
    "open_pair": "rsdetect.scenes.pair",
    "report": "rsdetect.api",
    "score": "rsdetect.jobs.detect",
    "simulate": "rsdetect.api",
    "train": "rsdetect.api",
    "vectorize": "rsdetect.api",
    **dict.fromkeys(_ERRORS, "rsdetect.errors"),
}

__all__ = [
    "ChangeMap",
    "GridMismatch",
    "InputError",
    "JobInterrupted",
    "ModelError",
    "NothingToCompare",
    "OutputError",
    "PairOptions",
    "ReadError",
    "RsdetectError",
    "SceneError",
    "SourceUnavailable",
    "batch",
    "check",
    "compare",
    "detect",
    "detect_periods",
    "evaluate",
    "list_periods",
    "monitor",
    "open_pair",
    "report",
    "score",
    "simulate",
    "train",
    "vectorize",
]


def __getattr__(name: str) -> object:
    import importlib

    if name == "__version__":
        from rsdetect.installed import version

        return version("rsdetect")
    if name not in _HOMES:
        raise AttributeError(f"module 'rsdetect' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
