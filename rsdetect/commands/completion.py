"""Values that the shell completes: names of detectors, models, backends and normalisations."""

from __future__ import annotations

from collections.abc import Iterable


def detector_names(incomplete: str) -> list[str]:
    """Names of detectors that begin as typed; of packages too."""
    from rsdetect.detectors.registry import DETECTORS

    return _beginning(DETECTORS, incomplete)


def model_names(incomplete: str) -> list[str]:
    """Names of shipped models that begin as typed."""
    from rsdetect.nets.checkpoint import shipped_models

    return _beginning(shipped_models(), incomplete)


def backend_names(incomplete: str) -> list[str]:
    """Names of backends that begin as typed."""
    from rsdetect.backends.select import BACKENDS

    return _beginning(BACKENDS, incomplete)


def normalisation_names(incomplete: str) -> list[str]:
    """Names of normalisations that begin as typed."""
    from rsdetect.scenes.normalisation import NORMALISATIONS

    return _beginning(NORMALISATIONS, incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    """Names in any case, as the options take them."""
    return [name for name in names if name.startswith(incomplete.lower())]
