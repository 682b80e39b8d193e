"""The command `rsdetect vectorize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rsdetect.commands.messages import log_to_stderr, print_json, print_message, result_message
from rsdetect.commands.parameters import Debug, Json
from rsdetect.jobs.parse import parse_threshold


def vectorize(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Results of an earlier detect.")],
    threshold: Annotated[
        str | None, typer.Option(metavar="P|auto", help="Another threshold; default: as before.")
    ] = None,
    min_area: Annotated[float | None, typer.Option(help="Another minimum area in m².")] = None,
    simplify: Annotated[float | None, typer.Option(help="Another tolerance in m.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Polygonize the raster in DIR again, with another threshold, minimum area or simplification."""
    from rsdetect.jobs.vectorize import vectorize_run

    log_to_stderr(quiet=False)
    chosen: Any = threshold if threshold in (None, "auto") else parse_threshold(str(threshold))
    changes = vectorize_run(directory, threshold=chosen, min_area=min_area, simplify=simplify)
    if as_json:
        print_json(changes)
        return
    print_message(result_message(changes["counts"], directory / "changes.gpkg"))
