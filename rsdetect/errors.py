"""Exceptions that rsdetect raises.

::

    RsdetectError
    ├── InputError              refused; nothing was written              exit status 2
    │   ├── SceneError          a scene cannot be opened, or is no raster to compare
    │   ├── GridMismatch        the scenes lie on different grids
    │   ├── NothingToCompare    no overlap, or no pixel valid on both dates
    │   ├── DoubtError          place, validity or units are not certain; `accept` goes on
    │   ├── ModelError          a model file is unreadable or does not fit the pair
    │   ├── DetectorError       a detector of others cannot be loaded, or breaks its contract
    │   └── OutputError         the output exists already or cannot be written
    ├── ReadError               a file is damaged; finished parts remain  exit status 2
    └── JobInterrupted          the job stopped and can be resumed        exit status 3
        ├── SourceUnavailable   a remote file became unavailable
        ├── SourceChanged       a scene was replaced while the job ran
        └── ResultMismatch      a finished file differs from what was computed

`rsdetect.scenes.handles.read_failure` classifies a failed read as one of the last two kinds.

A message gives the conflicting values, the file, and what to do, in one or two sentences. Options are in
backticks, as arguments of a Python call: `min_area`, `device='cpu'`. The command line shows them as its
options (`rsdetect.commands.wording`).
"""

from __future__ import annotations


class RsdetectError(Exception):
    """Base class of all errors that rsdetect raises."""

    exit_status = 1

    def __init__(self, *arguments: object) -> None:
        from rsdetect.secrets import without_secrets  # its patterns take time to compile

        super().__init__(*(without_secrets(each) if isinstance(each, str) else each for each in arguments))


class InputError(RsdetectError):
    """The input or the options are wrong; nothing was written."""

    exit_status = 2


class SceneError(InputError):
    """A scene cannot be opened, or is not a raster that can be compared."""


class GridMismatch(InputError):
    """The two scenes lie on different grids, and alignment was not requested."""


class NothingToCompare(InputError):
    """The scenes do not overlap, or no pixel is valid on both dates."""


class DoubtError(InputError):
    """Place, validity or units of a scene are not certain, and `accept` does not name the doubt."""


class ModelError(InputError):
    """A model file is unreadable, or the model does not fit the scenes."""


class DetectorError(InputError):
    """A detector of others cannot be loaded, fails, or breaks the contract of `rsdetect.detectors.base`."""


class OutputError(InputError):
    """The output exists already, or its folder cannot be written."""


class ReadError(RsdetectError):
    """A file could be opened and is damaged; the message names the file and the place.

    The job may already be running. No result appears; finished parts remain for the same command once the
    file is repaired.
    """

    exit_status = 2


class JobInterrupted(RsdetectError):
    """The job stopped before its end (disk, worker, interruption); the same command resumes it."""

    exit_status = 3


class SourceUnavailable(JobInterrupted):
    """A file on another machine could not be read; its server may be temporarily unavailable."""


class SourceChanged(JobInterrupted):
    """A scene or a mask was replaced while the job ran; the same command reads it as it is now."""


class ResultMismatch(JobInterrupted):
    """A finished file differs from what was computed; the message names stage and tile.

    The work folder is kept, and the same command writes the file again.
    """
