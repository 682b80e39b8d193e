"""Which pairs of a source are evaluated, and of which place each is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from rsdetect.detectors import Detector
from rsdetect.evaluation.measure import Opened
from rsdetect.evaluation.options import EvaluateOptions, LabelledSet
from rsdetect.evaluation.split import Split
from rsdetect.grid import Window
from rsdetect.labelled import LabelledPair, find_pairs
from rsdetect.labelled.grouping import ADJOINING_M, GroupBy, adjoining_places

_log = logging.getLogger(__name__)


def open_source(
    source: LabelledSet, options: EvaluateOptions, detector: Detector, split: Split | None = None
) -> list[Opened]:
    """The pairs of a source, their headers read: what is wrong is said before hours of work."""
    found = find_pairs(source.folder, options.layout)
    chosen = found
    if split is not None and options.part is not None:
        chosen = split.select(source.folder.name, found, options.part)
    opened = [_open(labelled, source, detector) for labelled in chosen]
    if split is not None and any(each.pair.grid.crs is not None for each in opened):
        _warn_of_neighbours(opened, found, source, detector)
    if options.group_by is None:
        return opened
    grids = [each.pair.grid for each in opened]
    grouped = GroupBy.parse(options.group_by).apply(chosen, grids)
    return [replace(each, labelled=labelled) for each, labelled in zip(opened, grouped, strict=True)]


def _open(labelled: LabelledPair, source: LabelledSet, detector: Detector) -> Opened:
    pair = labelled.open(source.pair_options, wanted=detector.bands)
    labelled.truth(pair, Window(0, 0, 1, 1))
    return Opened(labelled, pair)


def _warn_of_neighbours(
    opened: Sequence[Opened], found: Sequence[LabelledPair], source: LabelledSet, detector: Detector
) -> None:
    """Say which scenes of this part adjoin one of another part."""
    mine = {each.labelled.name for each in opened}
    others = [_open(labelled, source, detector) for labelled in found if labelled.name not in mine]
    grids = [each.pair.grid for each in (*opened, *others)]
    near = adjoining_places([each.labelled.name for each in (*opened, *others)], grids)
    for name in sorted(mine & near.keys()):
        if strangers := sorted(near[name] - mine):
            _log.warning(
                "%s: %s lies less than %.0f m from %s, which is of another part: what is chosen on one looks "
                "better on the other than it is.",
                source.name,
                name,
                ADJOINING_M,
                strangers[0],
            )
