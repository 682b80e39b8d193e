"""Tables on the terminal: the check report, and printing of tables."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rsdetect.amounts import shortened_text
from rsdetect.checks.described import SceneDescription
from rsdetect.checks.report import CheckReport

_UNBOUNDED = 10_000  # columns
_LABELS = 17  # columns of the first table that its labels and lines take


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # handled in one place, where rich would exit


def print_check(report: CheckReport) -> None:
    """Print the tables of a report on stdout."""
    console = _Console()
    for table in check_tables(report, console.width if console.is_terminal else _UNBOUNDED):
        print_table(table)


def print_table(table: Table) -> None:
    """Print a table on stdout; outside of a terminal at its own width, so that no number is cut."""
    console = _Console()
    if not console.is_terminal:
        console.width = console.measure(table, options=console.options.update_width(_UNBOUNDED)).maximum
    console.print(table)


def check_tables(report: CheckReport, columns: int = _UNBOUNDED) -> Iterator[Table]:
    """Tables of a check report: the scenes side by side, the bands, overlap and shift.

    Paths are cut in the middle where the first table would be wider than `columns`.
    """
    yield _scenes(report, (columns - _LABELS) // 2)
    yield _bands(report)
    yield _summary(report)


def _scenes(report: CheckReport, room: int) -> Table:
    table = Table("", "before", "after", title="Scenes", title_justify="left")
    scenes = report.before, report.after
    table.add_row("file", *(Text(shortened_text(scene["path"], room)) for scene in scenes))
    table.add_row("date", *(str(scene["date"]) for scene in scenes))
    table.add_row("bands", *(str(scene["band_numbers"]) for scene in scenes))
    table.add_row("type", *(scene["dtype"] for scene in scenes))
    table.add_row("nodata", *(_nodata(scene) for scene in scenes))
    grids = [scene["grid"] for scene in scenes]
    table.add_row("CRS", *(grid["crs"] for grid in grids))
    table.add_row("size", *(f"{grid['width']} x {grid['height']}" for grid in grids))
    table.add_row("pixel", *(" x ".join(f"{edge:.7g}" for edge in grid["pixel_size"]) for grid in grids))
    table.add_row("origin", *(f"{grid['transform'][2]:.9g}, {grid['transform'][5]:.9g}" for grid in grids))
    return table


def _nodata(scene: SceneDescription) -> str:
    return "NaN" if scene["nodata_is_nan"] else str(scene["nodata"])


def _bands(report: CheckReport) -> Table:
    table = Table("band", "date", "minimum", "maximum", "mean", "std", title="Bands", title_justify="left")
    for row in sorted(report.bands, key=lambda row: [band.band for band in report.bands].index(row.band)):
        numbers = (row.minimum, row.maximum, row.mean, row.std)
        table.add_row(row.band, row.scene, *(f"{number:.6g}" for number in numbers))
    return table


def _summary(report: CheckReport) -> Table:
    table = Table("", "", title="Together", title_justify="left", show_header=False)
    table.add_row("overlap", f"{report.overlap['width']} x {report.overlap['height']} pixels")
    table.add_row("valid on both dates", f"{report.valid_share:.2%}")
    table.add_row("valid before, after", f"{report.before_valid_share:.2%}, {report.after_valid_share:.2%}")
    if report.statistics_cover < 1:
        table.add_row("sampled", f"{report.statistics_cover:.1%} of the overlap, evenly spread")
    shift = report.shift
    if shift is None:
        table.add_row("shift", "no tile has enough texture to measure it")
        return table
    metres = "" if shift.distance_m is None else f" = {shift.distance_m:.3g} m"
    table.add_row(
        "shift of after",
        f"{shift.cols_px:+.2f} columns, {shift.rows_px:+.2f} rows ({shift.distance_px:.2f} px{metres})",
    )
    table.add_row("spread", f"{shift.spread_px:.2f} px over {shift.tiles} tiles, {shift.agreement:.0%} agree")
    if not shift.is_reliable:
        table.add_row("", "too few tiles agree: this shift is unreliable")
    return table
