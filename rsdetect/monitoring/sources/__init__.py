"""Where scenes come from: a folder, a list, a STAC catalogue. A source names scenes; it opens none."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from rsdetect.monitoring.job import FolderSource, ListSource, SourceSection, StacSource
from rsdetect.monitoring.scenes import SceneFeed
from rsdetect.monitoring.sources.folder import FolderOfScenes
from rsdetect.monitoring.sources.table import TableOfScenes
from rsdetect.paths import from_folder

__all__ = ["make_source"]


def make_feed(section: SourceSection, folder: Path, aoi: Path | None = None) -> SceneFeed:
    """The source that a job file describes.

    Parameters
    ----------
    folder
        The folder that the job file lies in, from which its relative paths count.
    aoi
        The job's area of interest; a catalogue is asked for scenes that touch it.

    Raises
    ------
    InputError
        The section says what cannot be; nothing was listed yet.
    """
    if isinstance(section, FolderSource):
        return FolderOfScenes.from_section(section, folder)
    if isinstance(section, ListSource):
        return TableOfScenes(Path(from_folder(section.path, folder)))
    if isinstance(section, StacSource):
        from rsdetect.monitoring.sources.stac import StacScenes

        return StacScenes(section, from_folder(section.url, folder), aoi)
    assert_never(section)
