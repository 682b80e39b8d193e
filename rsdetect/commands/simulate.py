"""The command `rsdetect simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsdetect.commands.messages import print_json, print_message
from rsdetect.commands.parameters import Debug, Json, Quiet
from rsdetect.errors import InputError
from rsdetect.jobs.parse import parse_shift, parse_size

# Written out, because the simulator is slow to import; a test holds it to the table of sensors.
_KINDS = (
    "vhr: satellite RGB, 8 bit, 0.5 m. aerial: aerial RGB, 8 bit, 0.5 m. rgbn: RGB and NIR, 8 bit, 1 m. "
    "smallsat: 4 bands, 16 bit, 3 m. s2: 4 bands, 16 bit, 10 m. s2-swir: 7 bands, 16 bit, 10 m. "
    "landsat: 6 bands, 16 bit, 30 m. tm: 6 bands, 8 bit, 30 m."
)


def simulate(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the scenes, their masks and the truth.")
    ],
    kind: Annotated[str, typer.Option(help=_KINDS)] = "vhr",
    size: Annotated[str, typer.Option(metavar="N|WIDTHxHEIGHT", help="Size in pixels.")] = "1024",
    seed: Annotated[int, typer.Option(help="Equal seeds give equal scenes.")] = 0,
    gsd: Annotated[
        float | None, typer.Option(help="Ground size of a pixel in m; default: typical of the kind.")
    ] = None,
    change: Annotated[float, typer.Option(help="Share of the ground that changes, 0 to 0.5.")] = 0.08,
    cloud: Annotated[float, typer.Option(help="Share of each date under cloud, 0 to 0.6.")] = 0.04,
    shift: Annotated[
        str | None, typer.Option(metavar="ROWS,COLS", help="Shift of AFTER in pixels; default: random.")
    ] = None,
    nodata_edge: Annotated[bool, typer.Option(help="Slanted swath edges without data.")] = True,
    workers: Annotated[int | None, typer.Option(help="Number of processes; default: one per core.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing scenes.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Simulate a georeferenced pair of scenes with known change."""
    from rsdetect.devices import usable_cores
    from rsdetect.simulation import SceneSpec
    from rsdetect.simulation.write_pair import simulate_pair

    if workers is not None and workers < 1:
        raise InputError(f"`workers` {workers} is not a number of processes from 1.")
    width, height = parse_size(size)
    spec = SceneSpec(
        kind=kind.lower(),
        height=height,
        width=width,
        seed=seed,
        gsd_m=gsd,
        change=change,
        cloud=cloud,
        shift_px=parse_shift(shift),
        nodata_edge=nodata_edge,
    )
    made = simulate_pair(
        out, spec, overwrite=overwrite, workers=usable_cores() if workers is None else workers
    )
    if as_json:
        print_json(made)
        return
    if not quiet:
        print_message(f"Scenes, masks and truth: {out}")
