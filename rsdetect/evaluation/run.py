"""Run of an evaluation: open sources, score pairs, count, bootstrap, write."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Unpack, cast

import numpy as np
import rasterio

from rsdetect.detectors import Detector, choose_device, make_detector
from rsdetect.errors import InputError
from rsdetect.evaluation.bootstrap import (
    DRAWS,
    Draws,
    bootstrap_places,
    macro,
    macro_several,
    percentile_interval,
)
from rsdetect.evaluation.figures import evaluation_figures
from rsdetect.evaluation.look_log import open_look_log
from rsdetect.evaluation.open_sources import open_source
from rsdetect.evaluation.options import EvaluateKeywords, EvaluateOptions, LabelledSet, labelled_sets
from rsdetect.evaluation.output_files import claim_output, write_evaluation
from rsdetect.evaluation.pair_scores import WORST, OpenedPair, ScoredPair, measure_pair
from rsdetect.evaluation.results import DetectorDescription, Evaluation, SceneScores, SourceScores
from rsdetect.evaluation.split import read_split
from rsdetect.evaluation.tally import Tally
from rsdetect.memory import GDAL_CACHE_BYTES
from rsdetect.progress import show_progress
from rsdetect.validation import as_items, text

_log = logging.getLogger(__name__)
# Keys of a detector's provenance in the results; the first are always present.
_DETECTOR_KEYS = ("name", "model", "model_version", "model_sha256", "bands", "backend", "precision")
_OPTIONAL_DETECTOR_KEYS = ("parameters", "source")


def evaluate(
    folders: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    **options: Unpack[EvaluateKeywords],
) -> Evaluation:
    """Evaluate a detector on folders of labelled pairs, through the pipeline of `detect`.

    Parameters
    ----------
    folders
        One or more. Each is one source, in any layout that `rsdetect.labelled` reads; FOLDER:BANDS sets its
        bands.
    out
        Folder for `evaluation.json` and `evaluation.html`; None = nothing is written.
    overwrite
        Replace existing results.
    **options
        The fields of `EvaluateOptions`.

    Raises
    ------
    InputError
        A folder, label, scene, model or option cannot be used.
    ReadError
        A scene or a label is damaged.
    JobInterrupted
        The results could not be written, or a remote scene became unavailable.
    """
    chosen = EvaluateOptions.from_keywords(**options)
    named = as_items("folders", folders, text)
    return run_evaluate(named, Path(out) if out else None, chosen, overwrite=overwrite)


def run_evaluate(
    folders: Sequence[str | Path],
    out: Path | None,
    options: EvaluateOptions,
    *,
    overwrite: bool = False,
    quiet: bool = True,
) -> Evaluation:
    """Run an evaluation with its options as one object."""
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        device = choose_device(options.detector, options.device, options.backend)
        detector = make_detector(
            options.detector, options.model, device, options.backend, options.detector_options
        )
        split, log = None, None
        if options.split is not None and options.part is not None:
            split = read_split(options.split)
            log = open_look_log(split, options.split, options.part, options.log_look)
        sources = [
            (source, open_source(source, options, detector, split))
            for source in labelled_sets(folders, options)
        ]
        with claim_output(out, overwrite=overwrite) if out is not None else nullcontext() as work:
            evaluation = _evaluate_sources(sources, detector, options, quiet)
            if log is not None:
                log.append(evaluation)
            if out is not None and work is not None:
                write_evaluation(evaluation, work, out)
    return evaluation


def _evaluate_sources(
    sources: Sequence[tuple[LabelledSet, list[OpenedPair]]],
    detector: Detector,
    options: EvaluateOptions,
    quiet: bool,
) -> Evaluation:
    """Run an evaluation over its opened sources: score all pairs and summarize them."""
    pixels = sum(opened.pixels for _, pairs in sources for opened in pairs) * (1 + len(options.conditions))
    found, draws = [], []
    with show_progress("scoring", pixels, quiet=quiet) as progress:
        for number, (source, pairs) in enumerate(sources):
            measured = [measure_pair(pair, detector, options.conditions, progress) for pair in pairs]
            scores, drawn = summarize_source(source, measured, options, number)
            found.append(scores)
            draws.append(drawn)
    provenance = measured[0].provenance
    several = [len(source.scenes) > 1 for source in found]
    described = {key: provenance.get(key) for key in _DETECTOR_KEYS}
    described |= {key: provenance[key] for key in _OPTIONAL_DETECTOR_KEYS if key in provenance}
    return Evaluation(
        detector=cast(DetectorDescription, described),
        threshold=measured[0].threshold,
        sources=tuple(found),
        macro=macro([source.figures for source in found], draws),
        macro_several=macro_several([source.figures for source in found], draws, several),
        shifts_px=options.shifts_px,
        disturb=options.disturb,
        seed=options.seed,
        draws=DRAWS,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        split=options.split.name if options.split else None,
        part=options.part,
    )


def summarize_source(
    source: LabelledSet, measured: Sequence[ScoredPair], options: EvaluateOptions, number: int
) -> tuple[SourceScores, Draws]:
    """Summarize a source in the evaluation run: its scores, and the bootstrap resamples of its intervals."""
    threshold, conditions = measured[0].threshold, tuple(options.conditions)
    tallies = [pair.tally for pair in measured]
    places = [pair.opened.labelled.place for pair in measured]
    pooled = Tally.total(tallies)
    if not pooled.pixels:
        raise InputError(f"no labelled pixel in {source.folder} is valid on both dates.")
    draws = bootstrap_places(tallies, places, threshold, conditions, (options.seed, number))
    figures = evaluation_figures(pooled, threshold, conditions)
    pair = measured[0].opened.pair
    # Labelled images often lack a georeference; a warning would be noise.
    notes = tuple(note for note in pair.notes if "no georeference" not in note)
    if len(set(places)) == 1:
        notes += ("all pairs belong to one place: their figures have no interval.",)
    if not pooled.counts.unchanged.any():
        notes += (
            "nothing is labelled as unchanged, so there is no precision, only recall (label pixels equal to "
            "nodata are unlabelled; gdal_edit.py -unsetnodata makes them background again).",
        )
    for note in notes:
        _log.warning("%s: %s", source.name, note)
    scores = SourceScores(
        name=source.name,
        folder=str(source.folder),
        places=len(set(places)),
        figures={name: percentile_interval(float(value), draws[name]) for name, value in figures.items()},
        reliability=_reliability_points(pooled),
        curve=_precision_recall_points(pooled),
        scenes=tuple(_scene_scores(pair, threshold, conditions) for pair in measured),
        notes=notes,
        worst=tuple(
            sorted((tile for pair in measured for tile in pair.worst), key=lambda tile: -tile.wrong_px)[
                :WORST
            ]
        ),
    )
    return scores, draws


def _scene_scores(pair: ScoredPair, threshold: float, conditions: Sequence[str]) -> SceneScores:
    """Scores of one pair in the results of an evaluation run."""
    figures = evaluation_figures(pair.tally, threshold, conditions)
    labelled = pair.opened.labelled
    return SceneScores(
        name=labelled.name,
        place=labelled.place,
        figures={name: float(value) for name, value in figures.items()},
        tally=pair.tally,
    )


def _reliability_points(tally: Tally) -> tuple[tuple[float, float, int], ...]:
    """Points of the reliability diagram in an evaluation run: mean probability, changed share, pixels."""
    predicted, changed, pixels = tally.counts.reliability()
    return tuple(
        (float(predicted[i] / pixels[i]), float(changed[i] / pixels[i]), int(pixels[i]))
        for i in np.flatnonzero(pixels)
    )


def _precision_recall_points(tally: Tally) -> tuple[tuple[float, float, float], ...]:
    """Points of the precision-recall curve in an evaluation run: threshold, precision, recall."""
    precision, recall = tally.counts.curve()
    steps = tally.counts.steps
    return tuple((i / steps, float(precision[i]), float(recall[i])) for i in range(steps + 1))
