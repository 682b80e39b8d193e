"""The flow of an evaluation: find pairs, score them, count, draw places, write."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Unpack

import numpy as np
import rasterio

from rsdetect.detectors import Detector, choose_device, make_detector
from rsdetect.errors import InputError
from rsdetect.evaluation.figures import figures_of
from rsdetect.evaluation.intervals import DRAWS, Draws, draw_places, macro, macro_several, with_ends
from rsdetect.evaluation.looks import log_of
from rsdetect.evaluation.measure import WORST, Measured, Opened, measure_pair
from rsdetect.evaluation.opening import open_source
from rsdetect.evaluation.options import EvaluateKeywords, EvaluateOptions, LabelledSet, labelled_sets
from rsdetect.evaluation.results import Evaluation, SceneScores, SourceScores
from rsdetect.evaluation.split import read_split
from rsdetect.evaluation.tally import Tally
from rsdetect.evaluation.write import claim, write_evaluation
from rsdetect.memory import GDAL_CACHE_BYTES
from rsdetect.progress import show_progress
from rsdetect.validation import as_items, text

_log = logging.getLogger(__name__)
# Of a detector; the first are always there.
_TOLD = ("name", "model", "model_version", "model_sha256", "bands", "backend", "precision")
_TOLD_OF_OTHERS = ("parameters", "source")


def evaluate(
    folders: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    **options: Unpack[EvaluateKeywords],
) -> Evaluation:
    """Score a detector on folders of labelled pairs, through the pipeline that `detect` runs.

    Parameters
    ----------
    folders
        One or several. Each is one source, in any layout that `rsdetect.labelled` reads; FOLDER:BANDS gives
        it its own bands.
    out
        Folder for `evaluation.json` and `evaluation.html`; None = nothing is written.
    overwrite
        Replace results that are there.
    **options
        The fields of `EvaluateOptions`.

    Raises
    ------
    InputError
        Folders, labels, scenes, model or options that cannot be used.
    ReadError
        A scene or a label is damaged.
    JobInterrupted
        The results could not be written, or a scene that lies elsewhere went away.
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
    """`evaluate`, with its options in one piece."""
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        device = choose_device(options.detector, options.device, options.backend)
        detector = make_detector(options.detector, options.model, device, options.backend)
        split, log = None, None
        if options.split is not None and options.part is not None:
            split = read_split(options.split)
            log = log_of(split, options.split, options.part, options.log_look)
        sources = [
            (source, open_source(source, options, detector, split))
            for source in labelled_sets(folders, options)
        ]
        with claim(out, overwrite=overwrite) if out is not None else nullcontext() as work:
            evaluation = _measure(sources, detector, options, quiet)
            if log is not None:
                log.append(evaluation)
            if out is not None and work is not None:
                write_evaluation(evaluation, work, out)
    return evaluation


def _measure(
    sources: Sequence[tuple[LabelledSet, list[Opened]]],
    detector: Detector,
    options: EvaluateOptions,
    quiet: bool,
) -> Evaluation:
    pixels = sum(opened.pixels for _, pairs in sources for opened in pairs) * (1 + len(options.shifts_px))
    found, draws = [], []
    with show_progress("scoring", pixels, quiet=quiet) as progress:
        for number, (source, pairs) in enumerate(sources):
            measured = [measure_pair(pair, detector, options.shifts_px, progress) for pair in pairs]
            scores, drawn = summarise(source, measured, options, number)
            found.append(scores)
            draws.append(drawn)
    provenance = measured[0].provenance
    several = [len(source.scenes) > 1 for source in found]
    return Evaluation(
        detector={key: provenance.get(key) for key in _TOLD}
        | {key: provenance[key] for key in _TOLD_OF_OTHERS if key in provenance},
        threshold=measured[0].threshold,
        sources=tuple(found),
        macro=macro([source.figures for source in found], draws),
        macro_several=macro_several([source.figures for source in found], draws, several),
        shifts_px=options.shifts_px,
        seed=options.seed,
        draws=DRAWS,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        split=options.split.name if options.split else None,
        part=options.part,
    )


def summarise(
    source: LabelledSet, measured: Sequence[Measured], options: EvaluateOptions, number: int
) -> tuple[SourceScores, Draws]:
    """The figures of a source, and the draws of places that its intervals come from."""
    threshold, shifts = measured[0].threshold, options.shifts_px
    tallies = [pair.tally for pair in measured]
    places = [pair.opened.labelled.place for pair in measured]
    pooled = Tally.total(tallies)
    if not pooled.pixels:
        raise InputError(f"no labelled pixel in {source.folder} is valid on both dates.")
    draws = draw_places(tallies, places, threshold, shifts, (options.seed, number))
    figures = figures_of(pooled, threshold, shifts)
    pair = measured[0].opened.pair
    # Labelled pictures rarely know where they lie, and nobody is surprised by it.
    notes = tuple(note for note in pair.notes if "no georeference" not in note)
    if len(set(places)) == 1:
        notes += ("all pairs are of one place: their figures have no interval.",)
    if not pooled.counts.unchanged.any():
        notes += (
            "nothing is labelled as unchanged, so there is no precision, only recall (what a label declares "
            "as nodata is not labelled; gdal_edit.py -unsetnodata makes a background of it again).",
        )
    for note in notes:
        _log.warning("%s: %s", source.name, note)
    scores = SourceScores(
        name=source.name,
        folder=str(source.folder),
        places=len(set(places)),
        figures={name: with_ends(float(value), draws[name]) for name, value in figures.items()},
        reliability=_reliability(pooled),
        curve=_curve(pooled),
        scenes=tuple(_scene(pair, threshold, shifts) for pair in measured),
        notes=notes,
        worst=tuple(
            sorted((tile for pair in measured for tile in pair.worst), key=lambda tile: -tile.wrong_px)[
                :WORST
            ]
        ),
    )
    return scores, draws


def _scene(pair: Measured, threshold: float, shifts_px: Sequence[float]) -> SceneScores:
    figures = figures_of(pair.tally, threshold, shifts_px)
    labelled = pair.opened.labelled
    return SceneScores(
        name=labelled.name,
        place=labelled.place,
        figures={name: float(value) for name, value in figures.items()},
        tally=pair.tally,
    )


def _reliability(tally: Tally) -> tuple[tuple[float, float, int], ...]:
    said, changed, pixels = tally.counts.reliability()
    return tuple(
        (float(said[i] / pixels[i]), float(changed[i] / pixels[i]), int(pixels[i]))
        for i in np.flatnonzero(pixels)
    )


def _curve(tally: Tally) -> tuple[tuple[float, float, float], ...]:
    precision, recall = tally.counts.curve()
    steps = tally.counts.steps
    return tuple((i / steps, float(precision[i]), float(recall[i])) for i in range(steps + 1))
