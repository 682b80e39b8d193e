"""Messages of commands: results on stdout, everything else on stderr."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsdetect.deprecation import replace_deprecated
from rsdetect.errors import JobInterrupted

if TYPE_CHECKING:
    import logging

    from rsdetect.regions.generalise import PolygonStep


def result_message(counts: Mapping[str, Any], polygons: Path) -> str:
    """Message with a summary of the found changes in one line."""
    regions, area = counts["regions"], counts["changed_area_m2"]
    size = f"{counts['changed_pixels']:,} pixels" if area is None else f"{area / 1e4:,.2f} ha"
    steps = _steps_text(counts.get("polygon_steps", ()))
    if not regions:
        nothing = "Nothing changed above the threshold" if not steps else f"No region is left{steps}"
        return f"{nothing}; {polygons} has the observed area."
    return f"{regions:,} region{'s' if regions != 1 else ''} changed, {size}{steps}: {polygons}"


def _steps_text(steps: Iterable[PolygonStep]) -> str:
    """What the options of polygons added and took, for the message on a result; "" if nothing."""
    told = []
    for step in steps:
        numbers = (step["regions"], "regions"), (step["pixels"], "px"), (step["filled_pixels"], "px filled")
        parts = [f"{number:+,} {unit}" for number, unit in numbers if number]
        if step["step"] == "simplify" and step["area_m2"]:
            parts.append(f"{step['area_m2']:+,.0f} m²")
        if parts and step["step"] != "threshold":
            told.append(f"`{step['step']}` {', '.join(parts)}")
    return f" ({'; '.join(told)})" if told else ""


def print_json(content: Mapping[str, Any]) -> None:
    """Print one strict JSON object on stdout, instead of messages."""
    from rsdetect.files import as_json

    try:
        sys.stdout.write(as_json(content))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError, AttributeError) as error:  # full disk, or closed from the start
        told = getattr(error, "strerror", None) or "it is closed"
        raise JobInterrupted(f"stdout cannot be written: {told}; what was computed is kept.") from error


def log_to_stderr(*, quiet: bool) -> None:
    """Log warnings of the package as messages on stderr, one line each."""
    import logging

    log = logging.getLogger("rsdetect")
    log.handlers = [logging.StreamHandler(sys.stderr)]
    log.handlers[0].setFormatter(_formatter())
    log.setLevel(logging.ERROR if quiet else logging.WARNING)
    log.propagate = False
    # Warnings of libraries are suppressed; rsdetect reports what is relevant to users.
    logging.getLogger().handlers = [logging.NullHandler()]


def print_warnings(warnings: tuple[str, ...]) -> None:
    """Print the warnings of a report as messages on stderr."""
    for warning in warnings:
        print_message(f"Warning: {warning}")


def current_options(*, quiet: bool, **given: Any) -> dict[str, Any]:
    """Options under their current names; the warnings of deprecated ones are printed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        options = replace_deprecated(given)
    if not quiet:
        print_warnings(tuple(str(each.message) for each in caught))
    return options


def print_message(text: str) -> None:
    """Print a message of one line on stderr, if it can be written: stdout is for results."""
    with suppress(OSError, ValueError, AttributeError):
        print(_for_the_terminal(text), file=sys.stderr, flush=True)


def _formatter() -> logging.Formatter:
    import logging

    class _AsOptions(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return _for_the_terminal(super().format(record))

    return _AsOptions("Warning: %(message)s")


def _for_the_terminal(text: str) -> str:
    # Imported with the first message: `--help` has none, and their patterns take time to compile.
    from rsdetect.commands.wording import as_options
    from rsdetect.secrets import without_secrets

    return as_options(without_secrets(text))
