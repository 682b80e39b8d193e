"""A folder of files whose names hold the date."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rsdetect.errors import InputError
from rsdetect.monitoring.job import FolderSource
from rsdetect.monitoring.scenes import SceneRef
from rsdetect.monitoring.sources.pattern import NamePattern
from rsdetect.paths import from_folder

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderOfScenes:
    """The files of a folder that fit a pattern, one scene each, or one band each."""

    folder: Path
    pattern: NamePattern
    mask_pattern: NamePattern | None = None
    bands: tuple[str, ...] = ()  # what stands at {band} in the pattern, in the order of the bands

    @classmethod
    def from_section(cls, section: FolderSource, base: Path) -> FolderOfScenes:
        """The folder that a job file describes; `InputError` where its patterns cannot be."""
        pattern = NamePattern.parse(section.pattern)
        masks = NamePattern.parse(section.mask_pattern) if section.mask_pattern else None
        if pattern.has_band != bool(section.bands):
            raise InputError(
                f"the pattern {section.pattern!r} and source.bands go together: write {{band}} into the "
                "pattern and name the bands in their order."
            )
        if masks is not None and masks.has_band:
            raise InputError(
                f"the pattern {section.mask_pattern!r} has {{band}}; a mask is one for all bands."
            )
        return cls(Path(from_folder(section.path, base)), pattern, masks, section.bands)

    def list_scenes(self) -> Sequence[SceneRef]:
        """The scenes that are whole: with all their bands, and with their mask where there are masks.

        Raises
        ------
        InputError
            The folder is not there, or nothing in it fits the pattern.
        """
        files: dict[tuple[datetime, str], dict[str | None, str]] = defaultdict(dict)
        masks: dict[datetime, list[str]] = defaultdict(list)
        for name in self._names():
            if self.mask_pattern is not None and (mask := self.mask_pattern.match(name)):
                masks[mask.taken].append(name)
            elif found := self.pattern.match(name):
                files[found.taken, found.rest][found.band] = name
        if not files:
            raise InputError(f"no file in {self.folder} is named like {self.pattern.text}.")
        scenes = (self._scene(taken, rest, found, masks) for (taken, rest), found in sorted(files.items()))
        return [scene for scene in scenes if scene is not None]

    def _names(self) -> Iterator[str]:
        """Every file, with its folders below this one; what is hidden is passed by."""
        if not self.folder.is_dir():
            raise InputError(f"the folder {self.folder} of the job's scenes is not there.")
        patterns = [self.pattern] + ([self.mask_pattern] if self.mask_pattern else [])
        deep = any(pattern.has_folders for pattern in patterns)
        for place, folders, names in os.walk(self.folder, followlinks=True):
            folders[:] = sorted(name for name in folders if deep and not name.startswith("."))
            for name in sorted(names):
                yield (Path(place) / name).relative_to(self.folder).as_posix()

    def _scene(
        self,
        taken: datetime,
        rest: str,
        found: dict[str | None, str],
        masks: dict[datetime, list[str]],
    ) -> SceneRef | None:
        wanted: tuple[str | None, ...] = self.bands or (None,)
        missing = [str(band) for band in wanted if band not in found]
        if missing:
            _log.warning(
                f"{self.folder / rest} is left out: its band {', '.join(missing)} is not there (yet)."
            )
            return None
        mask = None
        if self.mask_pattern is not None:
            fitting = masks.get(taken, [])
            if len(fitting) > 1:
                raise InputError(f"{' and '.join(fitting)} in {self.folder} are masks of one date.")
            if not fitting:
                _log.warning(f"{self.folder / rest} is left out: its mask is not there (yet).")
                return None
            mask = str(self.folder / fitting[0])
        files = tuple(str(self.folder / found[band]) for band in wanted)
        return SceneRef(
            id=rest,
            taken=taken,
            files=files,
            band_names=tuple(band.lower() for band in self.bands),
            mask=mask,
            source=str(self.folder / rest),
        )
