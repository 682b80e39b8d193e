"""Feeds of scenes: a folder, a table or a STAC catalogue. A feed lists scenes and opens none."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from rsdetect.feeds.folder import FolderOfScenes
from rsdetect.feeds.scene_refs import SceneFeed
from rsdetect.feeds.sections import FolderSource, ListSource, SourceSection, StacSource
from rsdetect.feeds.table import TableOfScenes
from rsdetect.paths import from_folder

__all__ = ["make_feed"]


def make_feed(section: SourceSection, folder: Path, aoi: str | None = None) -> SceneFeed:
    """Make the feed of scenes for a job's source section.

    Parameters
    ----------
    folder
        Folder of the job file, where its relative paths start.
    aoi
        The job's area of interest; a catalogue is searched for scenes that touch it.

    Raises
    ------
    InputError
        The section is invalid; nothing was listed yet.
    """
    if isinstance(section, FolderSource):
        return FolderOfScenes.from_section(section, folder)
    if isinstance(section, ListSource):
        return TableOfScenes(Path(from_folder(section.path, folder)))
    if isinstance(section, StacSource):
        from rsdetect.feeds.stac import StacScenes

        return StacScenes(section, from_folder(section.url, folder), aoi)
    assert_never(section)
