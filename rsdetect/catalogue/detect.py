"""Detection between two periods: the flow from a catalogue or a folder of scenes to change polygons."""

from __future__ import annotations

import logging
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Unpack

import rasterio

from rsdetect.catalogue.candidates import Candidates, PeriodListing, find_candidates
from rsdetect.catalogue.compose import Composed, compose_period, held_copies
from rsdetect.catalogue.options import DetectPeriodsKeywords, ListPeriodsKeywords, PeriodOptions
from rsdetect.detectors import choose_device, make_detector
from rsdetect.detectors.base import Detector
from rsdetect.folders import LOCK
from rsdetect.jobs.change_map import ChangeMap
from rsdetect.jobs.detect import run_detect
from rsdetect.jobs.options import DetectOptions
from rsdetect.jobs.outputs import Outputs
from rsdetect.jsontypes import JsonObject
from rsdetect.memory import GDAL_CACHE_BYTES
from rsdetect.scenes.pair import PairOptions
from rsdetect.secrets import all_without_secrets
from rsdetect.validation import refuse_unknown

_log = logging.getLogger(__name__)


def detect_periods(*, out: str | Path, **options: Unpack[DetectPeriodsKeywords]) -> ChangeMap:
    """Find what changed between two periods: find the scenes of both, compose each, and compare them.

    Parameters
    ----------
    out
        Folder for the results, and for the composed scenes in `scenes`; created if missing.
    **options
        `stac` (URL or path of a catalogue) with `collection`, or `scenes` (pattern of local files and
        products: "DIR/**/*.SAFE"); `before_period` and `after_period` ("2023-05/2023-09"); `pick`:
        "composite" (the median of the clear observations) or "least-cloud" (the scene that shows most of the
        area); and all of `detect` but `masks`.

    Raises
    ------
    InputError
        The source, the area or the options are wrong, or a period has no clear scene.
    JobInterrupted
        A server does not answer, or the disk is full; the same call goes on from the copies it has.
    """
    asked, rest = _split(options, DetectPeriodsKeywords)
    return run_detect_periods(asked, Path(out), DetectOptions.from_keywords(**rest))


def list_periods(**options: Unpack[ListPeriodsKeywords]) -> PeriodListing:
    """List the scenes of two periods, with the share of the area that each shows clearly.

    Headers and masks are read at reduced resolution, and nothing is written.

    Parameters
    ----------
    **options
        As of `detect_periods`, without those on scoring and polygons.
    """
    asked, rest = _split(options, ListPeriodsKeywords)
    return run_list_periods(asked, DetectOptions.from_keywords(**rest))


def run_list_periods(asked: PeriodOptions, options: DetectOptions) -> PeriodListing:
    """Run `list_periods` with its options in groups."""
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        return find_candidates(asked, options.pair, _detector(options).bands).listing()


def run_detect_periods(asked: PeriodOptions, out: Path, options: DetectOptions) -> ChangeMap:
    """Run `detect_periods` with its options in groups."""
    if (out / Outputs.RECORD).exists() and not options.run.overwrite and not (out / LOCK).exists():
        raise Outputs.refusal(out)  # before anything is downloaded
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        found = find_candidates(asked, options.pair, _detector(options).bands)
        for sentence in found.left_out:
            _log.warning(sentence)
        with held_copies(out) as folder:
            before, after = (
                compose_period(found, which, folder, quiet=options.run.quiet) for which in ("before", "after")
            )
            _log_unused(before, after)
            pair = _pair_options(options.pair, before, after)
            periods = _record(asked, found, before, after)
            return run_detect(
                str(before.path), str(after.path), out, replace(options, pair=pair), periods=periods
            )


def _split(options: Any, kind: Any) -> tuple[PeriodOptions, Any]:
    """The options of the periods, and the others."""
    refuse_unknown(options, kind)
    names = {field.name for field in fields(PeriodOptions)}
    own = {name: value for name, value in options.items() if name in names}
    return PeriodOptions(**own), {name: value for name, value in options.items() if name not in names}


def _detector(options: DetectOptions) -> Detector:
    asked = options.score
    device = choose_device(
        asked.detector, asked.device, asked.backend, on_cluster=asked.scheduler is not None
    )
    return make_detector(asked.detector, asked.model, device, asked.backend, asked.detector_options)


def _log_unused(*composed: Composed) -> None:
    """Warn of scenes of a period that could not be read."""
    for scene in (each for one in composed for each in one.scenes):
        if scene.clear_share is None:
            _log.warning(f"{scene.scene} is not used: {scene.reason}")


def _pair_options(asked: PairOptions, before: Composed, after: Composed) -> PairOptions:
    """Options of the pair of composed scenes: what the scenes of the periods needed is done."""
    dates = asked.dates or (before.day, after.day)
    return replace(asked, dates=dates, nodata=(), mask_values=(), mask_bits=(), mask_kind=(), align=False)


def _record(asked: PeriodOptions, found: Candidates, before: Composed, after: Composed) -> JsonObject:
    """Content of the record on the periods."""
    periods = asked.periods
    content = {
        "stac": asked.stac,
        "collection": asked.collection,
        "scenes": None if asked.scenes is None else str(asked.scenes),
        "pick": asked.pick,
        **{
            which: {
                "first": periods[which].first.isoformat(),
                "last": periods[which].last.isoformat(),
                "scenes": [asdict(scene) for scene in composed.scenes],
            }
            for which, composed in (("before", before), ("after", after))
        },
        "left_out": list(found.left_out),
    }
    plain: JsonObject = all_without_secrets(content)
    return plain
