"""The command `rsdetect check`."""

from __future__ import annotations

from typing import Annotated

import typer

from rsdetect.commands.messages import log_to_stderr, print_json, print_warnings
from rsdetect.commands.parameters import (
    Accept,
    After,
    AfterBand,
    Align,
    Aoi,
    Bands,
    Before,
    BeforeBand,
    Dates,
    Debug,
    Json,
    Mask,
    MaskBits,
    MaskKindOption,
    MaskValues,
    NodataOption,
    Register,
    Resampling,
)
from rsdetect.jobs.parse import parse_pair_options, parse_scenes


def check(
    before: Before = None,
    after: After = None,
    before_band: BeforeBand = None,
    after_band: AfterBand = None,
    bands: Bands = None,
    mask: Mask = None,
    mask_values: MaskValues = None,
    mask_bits: MaskBits = None,
    mask_kind: MaskKindOption = None,
    nodata: NodataOption = None,
    aoi: Aoi = None,
    align: Align = False,
    resampling: Resampling = "bilinear",
    register: Register = False,
    dates: Dates = None,
    accept: Accept = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Verify checksums or lengths of all blocks of the scenes too.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check a pair without scoring it: grids, overlap, valid share, band statistics, measured shift."""
    from rsdetect.commands.tables import print_check
    from rsdetect.jobs.detect import run_check

    log_to_stderr(quiet=False)
    report = run_check(
        *parse_scenes(before, after, before_band, after_band),
        parse_pair_options(
            bands=bands,
            mask=mask,
            mask_values=mask_values,
            mask_bits=mask_bits,
            mask_kind=mask_kind,
            nodata=nodata,
            aoi=aoi,
            align=align,
            resampling=resampling,
            register=register,
            dates=dates,
            accept=accept,
        ),
        deep=deep,
    )
    if as_json:
        print_json(report.as_json())
        return
    print_check(report)
    print_warnings(report.warnings)
