"""Command line: the commands and their exit status."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

import rsdetect
from rsdetect.commands.batch import batch
from rsdetect.commands.check import check
from rsdetect.commands.compare import compare
from rsdetect.commands.detect import detect
from rsdetect.commands.detectors import check_detector, detectors
from rsdetect.commands.evaluate import evaluate
from rsdetect.commands.images import images
from rsdetect.commands.info import info
from rsdetect.commands.messages import print_message
from rsdetect.commands.monitor import app as monitor
from rsdetect.commands.quantise import quantise
from rsdetect.commands.simulate import simulate
from rsdetect.commands.train import train
from rsdetect.commands.vectorize import vectorize
from rsdetect.errors import RsdetectError

# Typer vendors click, and exports only this one of its errors.
_UsageError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
_TYPER_INTERRUPTED = 130  # typer's status after Ctrl-C

app = typer.Typer(
    name="rsdetect",
    help="What changed between two satellite scenes, as polygons for QGIS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    *(detect, batch, check, vectorize, simulate, images, train, evaluate, compare, quantise, info),
    *(detectors, check_detector),
):
    app.command()(command)
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
    """Run the command line and exit with the documented status."""
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
        status = _end(error, 3, "interrupted; the same command resumes the job.")
    except BrokenPipeError:
        # The reader of stdout has closed it; without this Python reports an error at exit.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
        status = 0
    except Exception as error:
        status = _end(
            error, 1, f"a defect of rsdetect ({type(error).__name__}: {error}); --debug shows where."
        )
    sys.exit(status if isinstance(status, int) else 0)


def _end(error: BaseException, status: int, text: str) -> int:
    """End the command line with an error in one line; returns the exit status."""
    if "--debug" in sys.argv:
        traceback.print_exception(error)
    else:
        print_message("Error: " + " ".join(text.split()))
    return status


def _stop_on_sigterm() -> None:
    """Handle SIGTERM on the command line like Ctrl-C, so that the job can be resumed."""
    with contextlib.suppress(ValueError):  # not the main thread, as in a program that calls main()
        signal.signal(signal.SIGTERM, signal.default_int_handler)


if __name__ == "__main__":
    main()
