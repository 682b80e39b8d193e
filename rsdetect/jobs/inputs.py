"""Refuse results that would take the place of a file that the job reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rsdetect.errors import OutputError
from rsdetect.files import SIDECARS
from rsdetect.jobs.outputs import Outputs


def refuse_inputs(
    folder: Path,
    inputs: Iterable[str | Path],
    names: Iterable[str] = Outputs.RESULTS,
    *,
    within: str | None = Outputs.WORK,
) -> None:
    """Raise where an input would be replaced, by whatever path, link or hard link it is named.

    Parameters
    ----------
    folder
        Where the results go.
    inputs
        Local paths; what is no local file is passed over.
    names
        Names of the results in it.
    within
        A folder in it that is cleared.

    Raises
    ------
    OutputError
        One of the inputs is such a file, lies beside one under a name that goes with it, or lies in the
        folder that is cleared.
    """
    replaced = {
        found: path
        for name in names
        for path in (
            folder / name,
            *(folder / (name + suffix) for suffix in SIDECARS.get(Path(name).suffix, ())),
        )
        if (found := _identity(path)) is not None
    }
    cleared = None if within is None else (folder / within).resolve()
    for each in inputs:
        found = _identity(each)
        if found is None:
            continue
        if found in replaced:
            raise OutputError(
                f"{each} is read by this job, and its result {replaced[found]} would replace it; choose "
                "another folder."
            )
        if cleared is not None and Path(each).resolve().is_relative_to(cleared):
            raise OutputError(
                f"{each} is read by this job and lies in {cleared}, which is cleared; choose another folder."
            )


def _identity(path: str | Path) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
