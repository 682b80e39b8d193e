"""Folder of scenes: files whose names contain the date."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rsdetect.amounts import names_text
from rsdetect.errors import InputError
from rsdetect.feeds.pattern import NameMatch, NamePattern
from rsdetect.feeds.scene_refs import SceneListing, SceneRef
from rsdetect.feeds.sections import FolderSource
from rsdetect.paths import from_folder

# Sentinel-2 has the resolution in the names of its files and folders: _10m, R20m.
_RESOLUTION = re.compile(r"(?<![A-Za-z0-9])R?(\d{2})m(?![A-Za-z0-9])")

# Beside rasters: statistics, overviews, masks, world files, colour tables.
_BESIDE = (".aux.xml", ".ovr", ".msk", ".tfw", ".wld", ".prj", ".clr")


@dataclass(frozen=True)
class FolderOfScenes:
    """Folder of scenes: the files that match a pattern, one per scene or one per band."""

    folder: Path
    pattern: NamePattern
    mask_pattern: NamePattern | None = None
    bands: tuple[str, ...] = ()  # values of {band} in the pattern, in the order of the bands

    @classmethod
    def from_section(cls, section: FolderSource, base: Path) -> FolderOfScenes:
        """Folder of scenes of a job's section; raises `InputError` for invalid patterns."""
        pattern = NamePattern.parse(section.pattern)
        masks = NamePattern.parse(section.mask_pattern) if section.mask_pattern else None
        if pattern.has_band != bool(section.bands):
            raise InputError(
                f"the pattern {section.pattern!r} and source.bands require each other: write {{band}} in the "
                "pattern and list the bands in order."
            )
        if masks is not None and masks.has_band:
            raise InputError(
                f"the pattern {section.mask_pattern!r} has {{band}}, but all bands share one mask."
            )
        return cls(Path(from_folder(section.path, base)), pattern, masks, section.bands)

    def list_scenes(self) -> SceneListing:
        """List the complete scenes of the folder: with all bands, and with a mask if there is a mask pattern.

        Raises
        ------
        InputError
            The folder does not exist, or no file in it matches the pattern.
        """
        files: dict[tuple[datetime, str], dict[str | None, NameMatch]] = defaultdict(dict)
        names: dict[NameMatch, str] = {}
        masks: dict[datetime, list[str]] = defaultdict(list)
        unmatched: list[str] = []
        for name in self._file_names():
            if self.mask_pattern is not None and (mask := self.mask_pattern.match(name)):
                masks[mask.taken].append(name)
            elif found := self.pattern.match(name):
                names[found] = name
                bands = files[found.taken, _RESOLUTION.sub("*m", found.rest)]
                # A band at several resolutions is taken at the finest.
                bands[found.band] = min(bands.get(found.band, found), found, key=_resolution)
            elif not _is_beside(name):
                unmatched.append(name)
        if not files:
            others = f"; it holds {names_text(unmatched)}" if unmatched else ""
            raise InputError(f"no file in {self.folder} matches {self.pattern.text}{others}.")
        scenes: list[SceneRef] = []
        left_out = []
        for (taken, rest), listed in sorted(files.items()):
            rests = {match.rest for match in listed.values()}
            own = rests.pop() if len(rests) == 1 else rest
            paths = {band: names[match] for band, match in listed.items()}
            found_scene = self._scene_of_files(taken, own, paths, masks)
            if isinstance(found_scene, str):
                left_out.append(f"{self.folder / own} is left out: {found_scene}.")
            else:
                scenes.append(found_scene)
        return SceneListing(tuple(scenes), tuple(left_out), tuple(unmatched))

    def _file_names(self) -> Iterator[str]:
        """Names of the folder's visible files, relative to it, in subfolders if a pattern has any."""
        if not self.folder.is_dir():
            raise InputError(f"the folder {self.folder} of the job's scenes does not exist.")
        patterns = [self.pattern] + ([self.mask_pattern] if self.mask_pattern else [])
        deep = any(pattern.has_folders for pattern in patterns)
        for place, folders, names in os.walk(self.folder, followlinks=True):
            products = [name for name in folders if self._is_product(Path(place) / name)]
            for name in sorted(products):
                yield (Path(place) / name).relative_to(self.folder).as_posix()
            folders[:] = [name for name in folders if name not in products]
            folders[:] = sorted(name for name in folders if deep and not name.startswith("."))
            for name in sorted(names):
                yield (Path(place) / name).relative_to(self.folder).as_posix()

    def _is_product(self, folder: Path) -> bool:
        """True for a product delivered as a folder (`.SAFE`, Landsat) that the pattern matches."""
        name = folder.relative_to(self.folder).as_posix()
        return not self.pattern.has_band and self.pattern.match(name) is not None

    def _scene_of_files(
        self,
        taken: datetime,
        rest: str,
        found: dict[str | None, str],
        masks: dict[datetime, list[str]],
    ) -> SceneRef | str:
        """Scene reference for the files of one scene; or which band or mask is missing."""
        wanted: tuple[str | None, ...] = self.bands or (None,)
        missing = [str(band) for band in wanted if band not in found]
        if missing:
            return f"its band {', '.join(missing)} does not exist (yet)"
        mask = None
        if self.mask_pattern is not None:
            fitting = masks.get(taken, [])
            if len(fitting) > 1:
                raise InputError(f"{' and '.join(fitting)} in {self.folder} are both masks for one date.")
            if not fitting:
                return "its mask does not exist (yet)"
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


def _is_beside(name: str) -> bool:
    """True for a file beside a scene of the folder that is no scene: of GDAL, or hidden."""
    return name.rpartition("/")[2].startswith(".") or name.lower().endswith(_BESIDE)


def _resolution(match: NameMatch) -> tuple[int, str]:
    """Sorts files of a folder by the resolution in their names, the finest first."""
    found = _RESOLUTION.search(match.rest)
    return (0 if found is None else int(found[1]), match.rest)
