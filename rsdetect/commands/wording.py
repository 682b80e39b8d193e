"""Wording of messages on the command line: arguments of Python calls in backticks become options."""

from __future__ import annotations

import re

# Arguments whose option has another name. All others differ by dashes only.
OPTIONS = {
    "base": "from",
    "changes": "set",
    "masks": "mask",
    "shifts_px": "shifts",
    "stop_at_defects": "debug",
}
_ARGUMENT = re.compile(r"`([a-z][a-z_]*)(?:=([^`]+))?`")


def as_options(message: str) -> str:
    """Wording on the command line: rewrite the arguments in a message as options.

    >>> as_options("`min_area` -1 is not an area; the scenes differ: add `align=True` or `device='cpu'`.")
    '--min-area -1 is not an area; the scenes differ: add --align or --device cpu.'
    """
    return _ARGUMENT.sub(_as_option, message)


def option_of(argument: str) -> str:
    """Wording of an argument on the command line: its option.

    >>> option_of("tile_size"), option_of("masks")
    ('--tile-size', '--mask')
    """
    return "--" + OPTIONS.get(argument, argument).replace("_", "-")


def _as_option(found: re.Match[str]) -> str:
    option, value = option_of(found[1]), found[2]
    if value is None or value == "True":
        return option
    return f"{option} {value.strip('[]').replace(', ', ',').strip(chr(39))}"
