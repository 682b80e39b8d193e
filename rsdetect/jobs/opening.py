"""Pair of a job, opened for its detector."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from rsdetect.checks.scan import Scan
from rsdetect.checks.settle import open_settled
from rsdetect.detectors import Detector, Scorer, choose_device, make_detector
from rsdetect.detectors.fitting import fit_detector
from rsdetect.detectors.normalise import normalise
from rsdetect.devices import usable_cores
from rsdetect.jobs.options import DetectOptions
from rsdetect.jobs.prepare import register
from rsdetect.scenes.opening import require_sendable
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.source import SceneLike


def open_for_detector(
    before: SceneLike, after: SceneLike, options: DetectOptions
) -> tuple[Pair, str, Detector]:
    """Pair for a detector, name of the device, and the detector that the options ask for."""
    asked = options.score
    on_cluster = asked.scheduler is not None
    device = choose_device(asked.detector, asked.device, asked.backend, on_cluster=on_cluster)
    detector = make_detector(asked.detector, asked.model, device, asked.backend, asked.detector_options)
    pair = open_settled(before, after, options.pair, wanted=detector.bands)
    if on_cluster:
        require_sendable(pair.before.source, pair.after.source)
    return pair, device, detector


def load_meanwhile(load: Callable[[Pair], None], pair: Pair) -> Future[None]:
    """Load the detector in a thread during the check, because imports take a second or more."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="load")
    loading = pool.submit(load, pair)
    pool.shutdown(wait=False)  # after it has finished
    return loading


def fit_pair(before: SceneLike, after: SceneLike, options: DetectOptions) -> tuple[Pair, Scorer]:
    """Open a pair and fit its detector, to score any window of it as `detect` does."""
    pair, _, detector = open_for_detector(before, after, options)
    pair, _ = register(pair, wanted=options.pair.register)
    scan = normalise(Scan(pair, usable_cores()), options.pair.normalise)
    return scan.pair, fit_detector(detector, scan)
