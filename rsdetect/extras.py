"""Extras: errors for missing optional packages, with the command that installs them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from rsdetect.errors import InputError

_PACKAGE = Path(__file__).parent


def missing_extra(extra: str, wanted_by: str) -> InputError:
    """Error for a package of an extra that cannot be imported.

    Parameters
    ----------
    extra
        Name of the extra in `pyproject.toml`.
    wanted_by
        Option, command or file that requires it; begins the sentence.
    """
    return InputError(f"{wanted_by} needs the extra '{extra}': {install_command(extra)}.")


def missing_torch(wanted_by: str) -> InputError:
    """Error for missing PyTorch, as of a missing extra; all jobs except int8 and `cva` require it."""
    return InputError(
        f"{wanted_by} needs PyTorch, which is not installed: pip install torch. Without it, `detector` "
        "cva runs, and int8 networks with `backend` openvino or onnx."
    )


def require_training() -> None:
    """Raise `InputError` if the extra of training is missing: PyTorch or Lightning."""
    if find_spec("torch") is None:
        raise missing_torch("train")
    if find_spec("lightning") is None:
        raise missing_extra("train", "train")


def install_command(extra: str) -> str:
    """Command to install an extra into the environment of this copy of rsdetect.

    A checkout is given by its path, because pip would search the name in a package index.
    """
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file():
        import shlex

        return f"pip install -e {shlex.quote(f'{checkout}[{extra}]')}"
    return f"pip install 'rsdetect[{extra}]'"
