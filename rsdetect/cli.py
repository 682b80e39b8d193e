"""Arguments to calls; no logic. Whatever is slow to import is imported by the command that needs it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from rsdetect.arguments import parse_pair_options, parse_shift, parse_size, parse_threshold
from rsdetect.errors import RsdetectError

# Typer carries a click of its own, and shows this one of its errors only.
_UsageError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
_TYPER_INTERRUPTED = 130  # what typer makes of Ctrl-C

app = typer.Typer(
    name="rsdetect",
    help="What changed between two satellite scenes, as polygons for QGIS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Before = Annotated[str, typer.Argument(metavar="BEFORE", help="The earlier scene: anything GDAL opens.")]
After = Annotated[str, typer.Argument(metavar="AFTER", help="The later scene, of the same place.")]
Bands = Annotated[
    str | None, typer.Option(help="Bands to compare, by number or name: 3,2,1 or red,green,blue.")
]
Mask = Annotated[
    str | None,
    typer.Option(metavar="FILE[,FILE]", help="Cloud or quality mask, one for both dates or one each."),
]
MaskValues = Annotated[str | None, typer.Option(help="Mask values that hide the ground, e.g. 3,8,9,10.")]
MaskBits = Annotated[str | None, typer.Option(help="Mask bits that hide the ground, 0 = lowest, e.g. 3,4.")]
Aoi = Annotated[str | None, typer.Option(metavar="FILE", help="Polygons to which the job is limited.")]
Align = Annotated[bool, typer.Option("--align", help="Warp AFTER onto the grid of BEFORE where they differ.")]
Resampling = Annotated[str, typer.Option(help="Resampling for --align: nearest, bilinear, cubic, ...")]
Dates = Annotated[str | None, typer.Option(help="Dates of both scenes: 2020-06-01,2021-06-03.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no warnings.")]
Threshold = Annotated[
    str, typer.Option(metavar="P|auto", help="Change probability above 0, up to 1, or the detector's own.")
]
MinArea = Annotated[float, typer.Option(help="Leave out smaller regions; in m² (pixels without a CRS).")]
Simplify = Annotated[float, typer.Option(help="Tolerance for simpler outlines; in m (pixels without a CRS).")]


@app.command()
def detect(
    before: Before,
    after: After,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")],
    detector: Annotated[str, typer.Option(help="siamese or cva.")] = "siamese",
    model: Annotated[str | None, typer.Option(metavar="FILE|NAME", help="Model of the detector.")] = None,
    bands: Bands = None,
    threshold: Threshold = "auto",
    min_area: MinArea = 0.0,
    simplify: Simplify = 0.0,
    mask: Mask = None,
    mask_values: MaskValues = None,
    mask_bits: MaskBits = None,
    aoi: Aoi = None,
    align: Align = False,
    resampling: Resampling = "bilinear",
    dates: Dates = None,
    tile_size: Annotated[
        int, typer.Option(help="Edge of a tile in pixels; does not change the result.")
    ] = 512,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:i.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Tiles in flight; default: one for each core.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A running Dask scheduler.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")] = False,
    no_resume: Annotated[
        bool, typer.Option("--no-resume", help="Start again after an interruption.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find what changed between BEFORE and AFTER; write raster, polygons and record into DIR."""
    from rsdetect.change import run_detect
    from rsdetect.options import DetectOptions, PolygonOptions, RunOptions, ScoreOptions

    options = DetectOptions(
        pair=parse_pair_options(bands, mask, mask_values, mask_bits, aoi, align, resampling, dates),
        score=ScoreOptions(detector, model, tile_size, device, workers, scheduler),
        polygons=PolygonOptions(parse_threshold(threshold), min_area, simplify),
        run=RunOptions(overwrite, not no_resume, quiet or as_json),
    )
    _log_to_stderr(quiet=quiet)
    changes = run_detect(before, after, out, options)
    if as_json:
        _print_json(changes.record)
        return
    _say(_summary(changes.record["counts"], changes.polygons))


@app.command()
def check(
    before: Before,
    after: After,
    bands: Bands = None,
    mask: Mask = None,
    mask_values: MaskValues = None,
    mask_bits: MaskBits = None,
    aoi: Aoi = None,
    align: Align = False,
    resampling: Resampling = "bilinear",
    dates: Dates = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check a pair without scoring it: grids, overlap, valid share, band statistics, measured shift."""
    from rsdetect.change import run_check
    from rsdetect.tables import print_check

    _log_to_stderr(quiet=False)
    report = run_check(
        before, after, parse_pair_options(bands, mask, mask_values, mask_bits, aoi, align, resampling, dates)
    )
    if as_json:
        _print_json(report.as_json())
        return
    print_check(report)
    _warn(report.warnings)


@app.command()
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
    """Make the polygons of DIR anew, with another threshold, minimum area or simplification."""
    from rsdetect.vectorize import vectorize_run

    _log_to_stderr(quiet=False)
    chosen: Any = threshold if threshold in (None, "auto") else parse_threshold(str(threshold))
    changes = vectorize_run(directory, threshold=chosen, min_area=min_area, simplify=simplify)
    if as_json:
        _print_json(changes)
        return
    _say(_summary(changes["counts"], directory / "changes.gpkg"))


@app.command()
def simulate(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the scenes, their masks and the truth.")
    ],
    kind: Annotated[str, typer.Option(help="vhr: RGB, 8 bit, 0.5 m. s2: four bands, 16 bit, 10 m.")] = "vhr",
    size: Annotated[str, typer.Option(metavar="N|WIDTHxHEIGHT", help="Size in pixels.")] = "1024",
    seed: Annotated[int, typer.Option(help="Equal seeds make equal scenes.")] = 0,
    gsd: Annotated[
        float | None, typer.Option(help="Ground size of a pixel in m; default: as the kind.")
    ] = None,
    change: Annotated[float, typer.Option(help="Share of the ground that changes, 0 to 0.5.")] = 0.08,
    cloud: Annotated[float, typer.Option(help="Share of each date under cloud, 0 to 0.6.")] = 0.04,
    shift: Annotated[
        str | None, typer.Option(metavar="ROWS,COLS", help="Shift of AFTER in pixels; default: by the seed.")
    ] = None,
    nodata_edge: Annotated[bool, typer.Option(help="Slanted swath edges without data.")] = True,
    workers: Annotated[
        int | None, typer.Option(help="Processes that draw; default: one for each core.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier scenes.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a georeferenced pair of scenes with known change, and much that is no change."""
    from rsdetect.devices import usable_cores
    from rsdetect.simulate import SceneSpec
    from rsdetect.simulate.write import simulate_pair

    width, height = parse_size(size)
    spec = SceneSpec(
        kind=kind,
        height=height,
        width=width,
        seed=seed,
        gsd_m=gsd,
        change=change,
        cloud=cloud,
        shift_px=parse_shift(shift),
        nodata_edge=nodata_edge,
    )
    made = simulate_pair(out, spec, overwrite=overwrite, workers=workers or usable_cores())
    if as_json:
        _print_json(made)
        return
    _say(f"Scenes, masks and truth: {out}")


@app.command()
def info(
    what: Annotated[
        str, typer.Argument(metavar="MODEL|DIR", help="A model's name or file, or a result folder.")
    ],
    debug: Debug = False,
) -> None:
    """Print the card of a model, or the record of a run, as JSON."""
    if Path(what).is_dir():
        from rsdetect.vectorize import read_run

        _print_json(read_run(Path(what)))
        return
    from rsdetect.nets.checkpoint import model_hash, read_card

    _print_json(read_card(what).model_dump(mode="json") | {"sha256": model_hash(what)})


def main() -> None:
    """Run the command line and exit with the status that design and README promise."""
    _stop_on_sigterm()
    try:
        status = app(standalone_mode=False)
        if status == _TYPER_INTERRUPTED:
            raise KeyboardInterrupt
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            sys.exit(2)
        status = _end(error, 2, error.format_message())
    except RsdetectError as error:
        status = _end(error, error.exit_status, str(error))
    except (KeyboardInterrupt, typer.Abort) as error:
        status = _end(error, 3, "interrupted; the same command carries on.")
    except BrokenPipeError:
        # Whoever read our output has seen enough; without this Python complains when it closes stdout.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
        status = 0
    except Exception as error:
        status = _end(
            error, 1, f"a defect of rsdetect ({type(error).__name__}: {error}); --debug shows where."
        )
    sys.exit(status if isinstance(status, int) else 0)


def _end(error: BaseException, status: int, text: str) -> int:
    """Say in one line what went wrong."""
    if "--debug" in sys.argv:
        traceback.print_exception(error)
    else:
        _say("Error: " + " ".join(text.split()))
    return status


def _stop_on_sigterm() -> None:
    """Let a job that a batch system ends stop as by Ctrl-C: said, cleared up, and ready to be resumed."""
    with contextlib.suppress(ValueError):  # not the main thread, as in a program that calls main()
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _summary(counts: dict[str, Any], polygons: Path) -> str:
    regions, area = counts["regions"], counts["changed_area_m2"]
    size = f"{counts['changed_pixels']:,} pixels" if area is None else f"{area / 1e4:,.2f} ha"
    if not regions:
        return f"Nothing changed above the threshold; {polygons} says where was looked."
    return f"{regions:,} region{'s' if regions != 1 else ''} changed, {size}: {polygons}"


def _print_json(content: dict[str, Any]) -> None:
    from rsdetect.record import as_json

    sys.stdout.write(as_json(content))
    sys.stdout.flush()


def _log_to_stderr(*, quiet: bool) -> None:
    import logging

    log = logging.getLogger("rsdetect")
    log.handlers = [logging.StreamHandler(sys.stderr)]
    log.handlers[0].setFormatter(logging.Formatter("Warning: %(message)s"))
    log.setLevel(logging.ERROR if quiet else logging.WARNING)
    log.propagate = False
    # What libraries complain of is either said by us in words of our own, or nothing to a user.
    logging.getLogger().handlers = [logging.NullHandler()]


def _warn(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        _say(f"Warning: {warning}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
