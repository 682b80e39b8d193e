"""Opening the sources of an evaluation: selecting labelled pairs, reading headers, assigning places."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from rsdetect.detectors import Detector
from rsdetect.evaluation.options import EvaluateOptions, LabelledSet
from rsdetect.evaluation.pair_scores import OpenedPair
from rsdetect.evaluation.split import Split
from rsdetect.grid import Window
from rsdetect.labelled import LabelledPair, find_pairs
from rsdetect.labelled.grouping import ADJOINING_M, GroupBy, adjoining_places

_log = logging.getLogger(__name__)


def open_source(
    source: LabelledSet, options: EvaluateOptions, detector: Detector, split: Split | None = None
) -> list[OpenedPair]:
    """Open the pairs of a source with their headers, so that errors are raised before scoring."""
    found = find_pairs(source.folder, options.layout)
    chosen = found
    if split is not None and options.part is not None:
        chosen = split.select(source.folder.name, found, options.part)
    opened = [_open_labelled_pair(labelled, source, detector) for labelled in chosen]
    if split is not None and any(each.pair.grid.crs is not None for each in opened):
        _warn_of_adjoining_parts(opened, found, source, detector)
    if options.group_by is None:
        return opened
    grids = [each.pair.grid for each in opened]
    grouped = GroupBy.parse(options.group_by).apply(chosen, grids)
    return [replace(each, labelled=labelled) for each, labelled in zip(opened, grouped, strict=True)]


def _open_labelled_pair(labelled: LabelledPair, source: LabelledSet, detector: Detector) -> OpenedPair:
    """Open a labelled pair of a source, and read one pixel of its label."""
    pair = labelled.open(source.pair_options, wanted=detector.bands)
    labelled.truth(pair, Window(0, 0, 1, 1))
    return OpenedPair(labelled, pair)


def _warn_of_adjoining_parts(
    opened: Sequence[OpenedPair], found: Sequence[LabelledPair], source: LabelledSet, detector: Detector
) -> None:
    """Warn of opened scenes that adjoin a scene in another part of the split."""
    mine = {each.labelled.name for each in opened}
    others = [
        _open_labelled_pair(labelled, source, detector) for labelled in found if labelled.name not in mine
    ]
    grids = [each.pair.grid for each in (*opened, *others)]
    near = adjoining_places([each.labelled.name for each in (*opened, *others)], grids)
    for name in sorted(mine & near.keys()):
        if neighbours := sorted(near[name] - mine):
            _log.warning(
                "%s: %s is less than %.0f m from %s in another part of the split: choices made on one "
                "part bias the figures of the other.",
                source.name,
                name,
                ADJOINING_M,
                neighbours[0],
            )
