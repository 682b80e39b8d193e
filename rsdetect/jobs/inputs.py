"""Refuse results that would replace an input file of the job."""

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
    """Raise if an input would be replaced, whether named by its path, a link or a hard link.

    Parameters
    ----------
    folder
        The output folder.
    inputs
        Local paths; names of no local file are ignored.
    names
        File names of the results in it.
    within
        A folder in the output folder that is cleared.

    Raises
    ------
    OutputError
        An input is such a file, is a sidecar file of one, or lies in the folder that is cleared.
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
