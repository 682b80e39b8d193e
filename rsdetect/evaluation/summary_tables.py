"""Summary tables of an evaluation, for the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rsdetect.evaluation.results import Evaluation, Interval

if TYPE_CHECKING:
    from rsdetect.evaluation.comparison import ComparedRow

_MISSING = "–"  # noqa: RUF001 (a dash for undefined values)


@dataclass(frozen=True)
class FigureColumn:
    """Column of a summary table: one figure."""

    title: str
    figure: str  # see rsdetect.evaluation.figures
    form: str = ".3f"
    has_interval: bool = False

    def text(self, figures: dict[str, Interval]) -> str:
        """Text of a figure in a summary table, with its interval where it has one.

        >>> FigureColumn("F1", "f1", has_interval=True).text({"f1": Interval(0.5, 0.4, 0.61)})
        '0.500 (0.40-0.61)'
        """
        figure = figures[self.figure]
        text = self._format_figure(figure.value)
        if not self.has_interval or math.isnan(figure.low) or math.isnan(figure.high):
            return text
        return f"{text} ({figure.low:.2f}-{figure.high:.2f})"

    def value_text(self, figures: dict[str, float]) -> str:
        """Text of a figure without interval in a summary table."""
        return self._format_figure(figures[self.figure])

    def _format_figure(self, value: float) -> str:
        return _MISSING if math.isnan(value) else format(value, self.form)


@dataclass(frozen=True)
class SummaryTable:
    """Summary table: sources in rows, figures in columns, macro means last."""

    title: str
    columns: tuple[FigureColumn, ...]
    rows: tuple[tuple[str, ...], ...]  # name of the source, then one text per column
    means: int  # number of mean rows at the end


_AT_THRESHOLD = (
    FigureColumn("F1", "f1", has_interval=True),
    FigureColumn("precision", "precision"),
    FigureColumn("recall", "recall"),
    FigureColumn("IoU", "iou"),
    FigureColumn("kappa", "kappa"),
    FigureColumn("accuracy", "accuracy"),
)
_AT_BEST_THRESHOLD = (
    FigureColumn("at", "threshold_best", ".2f"),
    *(
        FigureColumn(column.title, f"{column.figure}_best", has_interval=column.has_interval)
        for column in _AT_THRESHOLD
    ),
)
_OVERALL = (
    FigureColumn("changed", "changed_share", ".1%"),
    FigureColumn("average precision", "average_precision", has_interval=True),
    FigureColumn("calibration error", "calibration_error", has_interval=True),
    FigureColumn("F1 if all marked", "f1_marking_everything"),
)
_OBJECTS = (
    FigureColumn("objects found", "objects_found", ".0%"),
    FigureColumn("false per Mpx", "false_regions_per_mpx", ".0f"),
    FigureColumn("per km²", "false_regions_per_km2", ".2f"),
    FigureColumn("boundary F1", "boundary_f1"),
    FigureColumn("alarms without change", "false_alarm_share", ".2%"),
)
# Columns in the comparison of two evaluations.
COMPARED = (
    _AT_THRESHOLD[0],
    FigureColumn("F1 at the best threshold", "f1_best"),
    _OVERALL[1],
    _OVERALL[2],
    *_OBJECTS[:2],
    _OBJECTS[3],
    _OBJECTS[4],
)
SCENE_COLUMNS = (*_AT_THRESHOLD[:3], *_OVERALL[:3], *_OBJECTS[:2], _OBJECTS[3])


def summary_tables(evaluation: Evaluation) -> Iterator[SummaryTable]:
    """Summary tables of an evaluation."""
    threshold = f"{evaluation.threshold:.2f}"
    tables = [
        (f"At the threshold {threshold} of the detector", _AT_THRESHOLD),
        ("At the best threshold, chosen in hindsight", _AT_BEST_THRESHOLD),
        ("At all thresholds", _OVERALL),
        (f"Objects and boundaries, at {threshold}", _OBJECTS),
    ]
    if evaluation.shifts_px:
        tables.append(
            (
                f"With synthetic misregistration, at {threshold}",
                _condition_columns({f"{px:g} px": f"shift_{px:g}_px" for px in evaluation.shifts_px}),
            )
        )
    if evaluation.disturb:
        names = {name: name for name in evaluation.disturb}
        tables.append((f"With synthetic disturbances, at {threshold}", _condition_columns(names)))
    for title, columns in tables:
        means = list(_mean_rows(evaluation))
        rows = [*((source.name, source.figures) for source in evaluation.sources), *means]
        texts = ((name, *(column.text(figures) for column in columns)) for name, figures in rows)
        yield SummaryTable(title, columns, tuple(texts), len(means))


def comparison_texts(row: ComparedRow, column: FigureColumn) -> tuple[str, str, str, str]:
    """Table texts of a figure in a comparison: both values, the difference, and its interval."""
    difference = row.difference[column.figure]
    signed = FigureColumn(column.title, column.figure, f"+{column.form}")
    ends = (signed.value_text({column.figure: end}) for end in (difference.low, difference.high))
    interval = _MISSING if math.isnan(difference.low) else " to ".join(ends)
    return (
        column.value_text(row.first),
        column.value_text(row.second),
        signed.value_text({column.figure: difference.value}),
        interval,
    )


def _mean_rows(evaluation: Evaluation) -> Iterator[tuple[str, dict[str, Interval]]]:
    """Mean rows of the summary tables."""
    if len(evaluation.sources) > 1:
        yield "mean of sources", evaluation.macro
        if 0 < sum(len(source.scenes) > 1 for source in evaluation.sources) < len(evaluation.sources):
            yield "sources of several pairs", evaluation.macro_several


def _condition_columns(conditions: Mapping[str, str]) -> tuple[FigureColumn, ...]:
    """Columns of a summary table on conditions such as a shift: title -> name of the figures."""
    columns = [FigureColumn("F1 without", "f1")]
    for title, name in conditions.items():
        columns += [
            FigureColumn(f"{title}: F1", f"{name}_f1"),
            FigureColumn("loss", f"{name}_f1_loss", "+.3f"),
        ]
    return tuple(columns)
