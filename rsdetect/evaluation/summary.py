"""Which figures stand in which table, on the terminal and on the page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rsdetect.evaluation.results import Evaluation, Interval

if TYPE_CHECKING:
    from rsdetect.evaluation.comparison import Compared

_MISSING = "–"  # noqa: RUF001 (a dash for what is not defined)


@dataclass(frozen=True)
class Column:
    """One figure in a table."""

    title: str
    figure: str  # see rsdetect.evaluation.figures
    form: str = ".3f"
    has_interval: bool = False

    def text(self, figures: dict[str, Interval]) -> str:
        """The figure for people, and its interval where it has one.

        >>> Column("F1", "f1", has_interval=True).text({"f1": Interval(0.5, 0.4, 0.61)})
        '0.500 (0.40-0.61)'
        """
        figure = figures[self.figure]
        text = self._number(figure.value)
        if not self.has_interval or math.isnan(figure.low) or math.isnan(figure.high):
            return text
        return f"{text} ({figure.low:.2f}-{figure.high:.2f})"

    def of(self, figures: dict[str, float]) -> str:
        """The same for figures without intervals."""
        return self._number(figures[self.figure])

    def _number(self, value: float) -> str:
        return _MISSING if math.isnan(value) else format(value, self.form)


@dataclass(frozen=True)
class Summary:
    """One table: sources in rows, figures in columns, the macro means last."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]  # the source's name, then one text a column
    means: int  # rows at the end that are means


_AT = (
    Column("F1", "f1", has_interval=True),
    Column("precision", "precision"),
    Column("recall", "recall"),
    Column("IoU", "iou"),
    Column("kappa", "kappa"),
    Column("accuracy", "accuracy"),
)
_BEST = (
    Column("at", "threshold_best", ".2f"),
    *(Column(column.title, f"{column.figure}_best", has_interval=column.has_interval) for column in _AT),
)
_OVERALL = (
    Column("changed", "changed_share", ".1%"),
    Column("average precision", "average_precision", has_interval=True),
    Column("calibration error", "calibration_error", has_interval=True),
    Column("F1 of marking everything", "f1_marking_everything"),
)
_OBJECTS = (
    Column("objects found", "objects_found", ".0%"),
    Column("false per Mpx", "false_regions_per_mpx", ".0f"),
    Column("per km²", "false_regions_per_km2", ".2f"),
    Column("boundary F1", "boundary_f1"),
    Column("alarms without change", "false_alarm_share", ".2%"),
)
# What two evaluations are compared by.
COMPARED = (
    _AT[0],
    Column("F1 at the best threshold", "f1_best"),
    _OVERALL[1],
    _OVERALL[2],
    *_OBJECTS[:2],
    _OBJECTS[3],
    _OBJECTS[4],
)
SCENE_COLUMNS = (*_AT[:3], *_OVERALL[:3], *_OBJECTS[:2], _OBJECTS[3])


def summaries(evaluation: Evaluation) -> Iterator[Summary]:
    """The tables of an evaluation."""
    threshold = f"{evaluation.threshold:.2f}"
    tables = [
        (f"At the threshold {threshold} of the detector", _AT),
        ("At the best threshold, chosen afterwards", _BEST),
        ("At all thresholds", _OVERALL),
        (f"Objects and outlines, at {threshold}", _OBJECTS),
    ]
    if evaluation.shifts_px:
        tables.append((f"With the after scenes moved, at {threshold}", _shifted(evaluation.shifts_px)))
    for title, columns in tables:
        means = list(_means(evaluation))
        rows = [*((source.name, source.figures) for source in evaluation.sources), *means]
        texts = ((name, *(column.text(figures) for column in columns)) for name, figures in rows)
        yield Summary(title, columns, tuple(texts), len(means))


def difference_texts(row: Compared, column: Column) -> tuple[str, str, str, str]:
    """A figure in both evaluations, the difference, and the interval of the difference."""
    difference = row.difference[column.figure]
    signed = Column(column.title, column.figure, f"+{column.form}")
    ends = (signed.of({column.figure: end}) for end in (difference.low, difference.high))
    interval = _MISSING if math.isnan(difference.low) else " to ".join(ends)
    return column.of(row.first), column.of(row.second), signed.of({column.figure: difference.value}), interval


def _means(evaluation: Evaluation) -> Iterator[tuple[str, dict[str, Interval]]]:
    if len(evaluation.sources) > 1:
        yield "mean of sources", evaluation.macro
        if 0 < sum(len(source.scenes) > 1 for source in evaluation.sources) < len(evaluation.sources):
            yield "of several pairs", evaluation.macro_several


def _shifted(shifts_px: tuple[float, ...]) -> tuple[Column, ...]:
    columns = [Column("F1 as it is", "f1")]
    for shift in shifts_px:
        name = f"shift_{shift:g}_px"
        columns += [Column(f"{shift:g} px: F1", f"{name}_f1"), Column("loss", f"{name}_f1_loss", "+.3f")]
    return tuple(columns)
