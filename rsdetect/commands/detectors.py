"""The commands `rsdetect detectors` and `rsdetect check-detector`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsdetect.commands.messages import print_json, print_message
from rsdetect.commands.parameters import Debug, DetectorOptions, Json, Quiet

if TYPE_CHECKING:
    from rsdetect.detectors.base import Detector


def detectors(quiet: Quiet = False, as_json: Json = False, debug: Debug = False) -> None:
    """List the detectors for --detector: bands, passes over the pair, core-seconds per megapixel.

    Measured on one core of a server, four bands of 16 bits; blank = not measured.
    """
    from rich.table import Table

    from rsdetect.commands.tables import print_table
    from rsdetect.commands.wording import as_options
    from rsdetect.detectors import DETECTORS
    from rsdetect.errors import RsdetectError

    rows: list[dict[str, Any]] = []
    for name in DETECTORS:
        try:
            rows.append(_row(name, DETECTORS[name].configure(None, "cpu", "auto")))
        except RsdetectError as error:  # a broken package does not hide the others
            if not quiet:
                print_message(f"Warning: {error}")
    if as_json:
        print_json({"detectors": rows})
        return
    table = Table("name", "description", "bands", "passes", "core-s per Mpx")
    for row in rows:
        bands = "any" if row["bands"] is None else _bands_text(row["bands"], row["bands_required"])
        cost = "" if row["seconds_per_mpx"] is None else f"{row['seconds_per_mpx']:g}"
        table.add_row(row["name"], as_options(row["description"]), bands, str(row["passes"]), cost)
    print_table(table)


def check_detector(
    detector: Annotated[
        str, typer.Argument(metavar="NAME|FILE.py:Class", help="As --detector of rsdetect detect.")
    ],
    detector_options: DetectorOptions = None,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Test a detector against the contract, on small simulated pairs: seams, invariance, probabilities.

    Status 0: it passes all; 2: it fails, and the first sentence gives the reason.
    """
    from rsdetect.detectors import make_detector
    from rsdetect.detectors.settings import as_settings
    from rsdetect.jobs.check_detector import check_contract

    checked = make_detector(detector, settings=as_settings(detector_options or ()))
    done = check_contract(checked, (lambda _: None) if quiet or as_json else print_message)
    if as_json:
        print_json({"detector": checked.name, "passed": done})


def _row(name: str, detector: Detector) -> dict[str, Any]:
    bands = detector.bands
    return {
        "name": name,
        "description": detector.description,
        "bands": None if bands is None else list(bands.names),
        "bands_required": None if bands is None else bands.required,
        "passes": detector.passes,
        "seconds_per_mpx": detector.seconds_per_mpx,
    }


def _bands_text(names: list[str], required: int) -> str:
    needed, helpful = ", ".join(names[:required]), ", ".join(names[required:])
    return f"{needed}; optional: {helpful}" if helpful else needed
