"""Command line: the commands and their exit status."""

from __future__ import annotations

import os
import re
import sys
import threading
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

import rsdetect
from rsdetect.commands.batch import batch
from rsdetect.commands.check import check
from rsdetect.commands.command_help import GroupedCommand
from rsdetect.commands.compare import compare
from rsdetect.commands.detect import detect
from rsdetect.commands.detectors import check_detector, detectors
from rsdetect.commands.evaluate import evaluate
from rsdetect.commands.examples import EXAMPLES
from rsdetect.commands.images import images
from rsdetect.commands.info import info
from rsdetect.commands.messages import for_the_terminal, note_message, print_message, print_warnings
from rsdetect.commands.monitor import app as monitor
from rsdetect.commands.quantise import quantise
from rsdetect.commands.report import report
from rsdetect.commands.simulate import simulate
from rsdetect.commands.train import train
from rsdetect.commands.vectorize import vectorize
from rsdetect.errors import InputError
from rsdetect.interruption import ending_in_time, leave_threads, require_last_word
from rsdetect.limited_memory import (
    ADVICE,
    INTERRUPTED,
    ends_by_itself,
    has_parent,
    leave_to_parent,
    run_in_child,
)
from rsdetect.statuses import status_of
from rsdetect.stderr import without_libraries

# Typer vendors click, and exports only this one of its errors.
_UsageError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
_WRONG_TYPE = re.compile(r"^Invalid value for '(-[\w-]+)': Input should be a valid (number|integer), .*")
_GEODATA_VARIABLES = ("PROJ_DATA", "PROJ_LIB", "GDAL_DATA")  # of rsdetect.geodata, which imports SQLite
_TYPER_INTERRUPTED = 130  # typer's status after Ctrl-C

app = typer.Typer(
    name="rsdetect",
    help="What changed between two satellite scenes, as polygons for QGIS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    *(detect, batch, check, vectorize, report, simulate, images, train, evaluate, compare, quantise, info),
    *(detectors, check_detector),
):
    name = command.__name__.replace("_", "-")
    app.command(name, cls=GroupedCommand, epilog=EXAMPLES[name])(command)
app.add_typer(monitor)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"rsdetect {rsdetect.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit with the status that design and README promise."""
    earlier = set(threading.enumerate())
    try:
        status = run_in_child()
        if status is None:
            with nullcontext() if "--debug" in sys.argv else without_libraries(), ending_in_time():
                status = _run()
    except Exception:
        leave_to_parent()  # not even the message could be written
        raise
    except KeyboardInterrupt as error:  # of a signal while the command began or ended
        status = _fail(error)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    ends_by_itself(status)
    if status:
        leave_threads(earlier, status)
    sys.exit(status)


def _run() -> int:
    try:
        _require_text(sys.argv[1:])
        _leave_out_foreign_data()
        status = app(standalone_mode=False)
        if status == _TYPER_INTERRUPTED:
            raise KeyboardInterrupt
        if sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit:
        raise
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            return 2
        status = _end(error, 2, _WRONG_TYPE.sub(r"\1 takes one \2.", error.format_message()))
    except BrokenPipeError:
        status = 0  # the reader of stdout has closed it
    except BaseException as error:
        status = _fail(error)
    _close_streams()
    return status if isinstance(status, int) else 0


def _fail(error: BaseException) -> int:
    """End the command line with an error; its parent, if it has one, knows a signal from a lack of memory."""
    status, text = status_of(error)
    if text in (ADVICE, INTERRUPTED) and "--debug" not in sys.argv:
        leave_to_parent()
    return _end(error, status, text)


def _leave_out_foreign_data() -> None:
    if not any(name in os.environ for name in _GEODATA_VARIABLES):
        return
    from rsdetect.geodata import leave_out_foreign_data

    warnings = leave_out_foreign_data()
    if "--quiet" not in sys.argv:
        print_warnings(warnings)


def _require_text(arguments: list[str]) -> None:
    """Records and tables are UTF-8, and could not hold such a name at the end of the job."""
    for each in arguments:
        try:
            each.encode()
        except UnicodeEncodeError:
            raise InputError(f"the name {os.fsencode(each)!r} is no UTF-8; rename it.") from None


def _end(error: BaseException, status: int, text: str) -> int:
    """End the command line with an error in one line; returns the exit status."""
    from rsdetect.secrets import without_secrets

    require_last_word()
    if "--debug" in sys.argv:
        told = "".join(traceback.format_exception(error))
        sys.stderr.write(without_secrets(told))
        ends_by_itself(status)
        return status
    line = "Error: " + " ".join(text.split())
    if has_parent():
        ends_by_itself(status, for_the_terminal(line))
        note_message(line)
    else:
        print_message(line)
    return status


def _close_streams() -> None:
    """Flush what can be; Python would complain of the rest, with a status of its own, when it ends."""
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except (OSError, ValueError, AttributeError):
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115


if __name__ == "__main__":
    main()
