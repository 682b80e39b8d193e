"""The command `rsdetect vectorize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rsdetect.commands.messages import log_to_stderr, print_json, print_summary
from rsdetect.commands.parameters import Debug, Json, LogFile, Quiet
from rsdetect.jobs.parse import parse_min_area, parse_threshold


def vectorize(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Results of an earlier detect.")],
    threshold: Annotated[
        str | None, typer.Option(metavar="P|auto", help="Another threshold; default: as before.")
    ] = None,
    opening: Annotated[
        int | None, typer.Option(metavar="PX", help="Take off what is narrower than 2 PX + 1 pixels.")
    ] = None,
    min_area: Annotated[
        str | None, typer.Option(metavar="M2|auto", help="Another minimum area in m²; auto = nine pixels.")
    ] = None,
    fill_holes: Annotated[
        float | None, typer.Option(metavar="M2", help="Fill holes of less area in m².")
    ] = None,
    min_width: Annotated[
        float | None,
        typer.Option(metavar="M", help="Drop regions in which no circle of this diameter in m fits."),
    ] = None,
    merge_gap: Annotated[
        float | None, typer.Option(metavar="M", help="Make regions nearer than this in m one feature.")
    ] = None,
    simplify: Annotated[float | None, typer.Option(help="Another tolerance in m.")] = None,
    shape_attributes: Annotated[
        bool | None,
        typer.Option(
            "--shape-attributes/--no-shape-attributes",
            help="Columns: compactness, length, width, orientation, number of holes.",
        ),
    ] = None,
    quiet: Quiet = False,
    log_file: LogFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Polygonize the raster in DIR again; options that are not given stay as before, 0 takes one back."""
    from rsdetect.jobs.vectorize import vectorize_run

    log_to_stderr(quiet=quiet, log_file=log_file)
    chosen: Any = threshold if threshold in (None, "auto") else parse_threshold(str(threshold))
    asked: Any = {
        "opening": opening,
        "min_area": None if min_area is None else parse_min_area(min_area),
        "fill_holes": fill_holes,
        "min_width": min_width,
        "merge_gap": merge_gap,
        "simplify": simplify,
        "shape_attributes": shape_attributes,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    changes = vectorize_run(directory, threshold=chosen, **given)
    if as_json:
        print_json(changes)
        return
    print_summary(changes, directory, quiet=quiet)
