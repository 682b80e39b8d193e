"""What is missing where an optional package is not installed, and the command that installs it."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from pathlib import Path

from rsdetect.errors import InputError

_PACKAGE = Path(__file__).parent


def missing_extra(extra: str, wanted_by: str) -> InputError:
    """The error to raise where a package of an extra cannot be imported.

    Parameters
    ----------
    extra
        Its name in `pyproject.toml`.
    wanted_by
        The option, command or file that needs it; begins the sentence.
    """
    return InputError(f"{wanted_by} needs the extra '{extra}': {install_command(extra)}.")


def missing_torch(wanted_by: str) -> InputError:
    """The error to raise where PyTorch, which only jobs in 8 bits and `cva` can do without, is missing."""
    return InputError(
        f"{wanted_by} needs PyTorch, which is not installed: pip install torch. Without it, `detector` "
        "cva runs, and networks in 8 bits do with `backend` openvino or onnx."
    )


def require_training() -> None:
    """Raise `InputError` where PyTorch or Lightning, which training needs, is missing."""
    if find_spec("torch") is None:
        raise missing_torch("train")
    if find_spec("lightning") is None:
        raise missing_extra("train", "train")


def install_command(extra: str) -> str:
    """How to install an extra into the environment that runs this copy of rsdetect.

    A checkout is named by its path: pip would look for the name in a package index.
    """
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file():
        return f"pip install -e {shlex.quote(f'{checkout}[{extra}]')}"
    return f"pip install 'rsdetect[{extra}]'"
