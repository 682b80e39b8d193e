"""Index page of a batch: its pairs in a table, with links to their report pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rsdetect.batches.pair_results import PairResult
from rsdetect.batches.pairs import INDEX
from rsdetect.files import write_text
from rsdetect.jobs.outputs import Outputs
from rsdetect.pages.templates import render


def write_index(out: Path, results: Sequence[PairResult]) -> None:
    """Write the index page of a batch into its folder; a pair without a report page has no link."""
    with_page = {row.name for row in results if (out / row.name / Outputs.PAGE).exists()}
    areas = [row.changed_area_m2 for row in results if row.changed_area_m2 is not None]
    page = render(
        "batch.html",
        results=results,
        with_page=with_page,
        page=Outputs.PAGE,
        total=sum(areas) if areas else None,
        regions=sum(row.regions or 0 for row in results),
    )
    write_text(out / INDEX, page)
