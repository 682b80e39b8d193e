"""Plot of a timeline: PNG file and HTML page."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from rsdetect.extras import missing_extra
from rsdetect.files import atomic_path
from rsdetect.folders import refuse_place
from rsdetect.monitoring.timeline import Timeline
from rsdetect.pages.templates import render
from rsdetect.statuses import write_error

_SIZE_IN = (10.0, 5.6)
_DPI = 120
_COLOURS = {"NDVI": "#2e7d32", "NDWI": "#1565c0", "NDBI": "#a0522d"}
_MARKS = {
    "first_seen": ("first seen", "#c8570c"),
    "confirmed_on": ("confirmed", "#7b1fa2"),
    "resolved_on": ("over", "#2e7d4f"),
}


def write_timeline(timeline: Timeline, folder: Path) -> tuple[Path, Path]:
    """Write a timeline's plot as `<title>.png` and `<title>.html` into `folder`; returns both paths.

    Raises
    ------
    InputError
        Matplotlib is not installed.
    OutputError
        The folder cannot be written.
    """
    refuse_place(folder)
    figure = _draw_timeline(timeline)
    name = timeline_file(timeline.title)
    picture, page = folder / f"{name}.png", folder / f"{name}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in (
            (picture, _timeline_png(figure)),
            (page, _timeline_page(timeline, figure).encode()),
        ):
            with atomic_path(path) as unfinished:
                unfinished.write_bytes(content)
    except OSError as error:
        raise write_error(str(error.filename or folder), error) from error
    return picture, page


def timeline_file(title: str) -> str:
    """File name of a timeline, without its suffix.

    >>> timeline_file("20240503-1f9a03c2"), timeline_file("500000,5.2e+06")
    ('20240503-1f9a03c2', '500000_5.2e_06')
    """
    return re.sub("[^A-Za-z0-9._-]+", "_", title)


def _draw_timeline(timeline: Timeline) -> Any:
    """Draw a timeline as a Matplotlib figure: probability above, bands or indices below."""
    try:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
        from matplotlib.figure import Figure
    except ImportError:
        raise missing_extra("monitor", "a timeline") from None
    figure = Figure(figsize=_SIZE_IN, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    figure.suptitle(f"{timeline.site}: {timeline.title}", fontsize=11, parse_math=False)
    _draw_timeline_probability(above, timeline)
    _draw_timeline_bands(below, timeline)
    for axes in (above, below):
        _draw_timeline_marks(axes, timeline)
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    locator: Any = AutoDateLocator()  # type: ignore[no-untyped-call]
    below.xaxis.set_major_locator(locator)
    below.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    return figure


def _draw_timeline_probability(axes: Any, timeline: Timeline) -> None:
    """Draw the change probability of a timeline by date."""
    known = [moment for moment in timeline.moments if moment.probability is not None]
    axes.plot(
        [m.taken for m in known], [m.probability for m in known], color="#5c6570", linewidth=1, zorder=1
    )
    for seen, colour, label in (
        (True, "#d400a0", "event present"),
        (False, "#2e7d4f", "event absent"),
        (None, "#5c6570", "against the baseline"),
    ):
        of_kind = [m for m in known if m.seen is seen]
        if of_kind:
            axes.scatter(
                [m.taken for m in of_kind],
                [m.probability for m in of_kind],
                s=22,
                c=colour,
                label=label,
                zorder=2,
            )
    if timeline.threshold is not None:
        axes.axhline(timeline.threshold, color="#5c6570", linewidth=0.8, linestyle=":", label="threshold")
    clouded = [moment for moment in timeline.moments if moment.bands is None]
    if clouded:
        axes.scatter(
            [m.taken for m in clouded], [0.02] * len(clouded), marker="x", s=18, c="#9aa4af", label="not seen"
        )
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("change probability")


def _draw_timeline_bands(axes: Any, timeline: Timeline) -> None:
    """Draw the band indices of a timeline; the bands where their names allow no index."""
    known = [moment for moment in timeline.moments if moment.bands is not None]
    names = list(dict.fromkeys(name for moment in known for name in moment.indices))
    when = [moment.taken for moment in known]
    for name in names:
        values = [moment.indices[name] for moment in known]
        axes.plot(when, values, marker="o", markersize=3.5, linewidth=1.2, color=_COLOURS[name], label=name)
    if names:
        axes.set_ylabel("index")
        return
    for number, name in enumerate(timeline.names):
        values = [moment.bands[number] for moment in known if moment.bands is not None]
        axes.plot(when, values, marker="o", markersize=3.5, linewidth=1.2, label=name or f"band {number + 1}")
    axes.set_ylabel("mean value")


def _draw_timeline_marks(axes: Any, timeline: Timeline) -> None:
    """Draw vertical lines at the milestones of a timeline's event."""
    if timeline.event is None:
        return
    for field, (label, colour) in _MARKS.items():
        moment = getattr(timeline.event, field)
        if moment is not None:
            axes.axvline(moment, color=colour, linewidth=1, linestyle="--", label=label, zorder=0)


def _timeline_png(figure: Any) -> bytes:
    """Encode a timeline's figure as PNG."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    return content.getvalue()


def _timeline_page(timeline: Timeline, figure: Any) -> str:
    """Render a timeline's figure and values as HTML."""
    from markupsafe import Markup
    from matplotlib import rc_context

    drawn = io.StringIO()
    # Text stays text, and equal runs give equal files.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "rsdetect"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    svg = drawn.getvalue()
    return render(
        "timeline.html",
        timeline=timeline,
        # Matplotlib escapes its text; the XML header before the element belongs to files only.
        figure=Markup(svg[svg.index("<svg") :]),  # noqa: S704
        indices=list(dict.fromkeys(name for moment in timeline.moments for name in moment.indices)),
    )
