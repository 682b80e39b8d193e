"""Files and products that match a path pattern, as dated scenes."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from rsdetect.errors import InputError, RsdetectError
from rsdetect.feeds.scene_refs import SceneListing, SceneRef
from rsdetect.scenes.dates import acquisition_date, date_in_name
from rsdetect.scenes.opening import header_of, open_source
from rsdetect.scenes.quality import kind_by_name


@dataclass(frozen=True)
class FilesOfScenes:
    """Files and products that match a path pattern: `DIR/**/*.SAFE`, `DIR/*.tif`."""

    pattern: str
    first: date
    last: date

    def list_scenes(self) -> SceneListing:
        """List the scenes of the days from `first` to `last`; a file is opened only if its name has no date.

        Raises
        ------
        InputError
            Nothing matches the pattern, or nothing of these days.
        """
        found = sorted(glob.glob(self.pattern, recursive=True))  # noqa: PTH207  (it may be absolute)
        if not found:
            raise InputError(f"no file or folder matches {self.pattern}.")
        scenes, left_out = [], []
        for path in found:
            if kind_by_name(path) is not None:  # a quality mask beside its scene
                continue
            try:
                day = date_in_name(path) or acquisition_date(header_of(open_source(path), align=True))
            except RsdetectError as error:
                left_out.append(f"{path} is left out: {error}")
                continue
            if day is None:
                left_out.append(f"{path} is left out: neither its name nor its metadata have a date.")
            elif self.first <= date.fromisoformat(day) <= self.last:
                taken = datetime.combine(date.fromisoformat(day), time.min, UTC)
                scenes.append(SceneRef(id=path, taken=taken, files=(path,), source=path))
        if not scenes:
            why = f": {left_out[0]}" if left_out else "."
            raise InputError(
                f"{self.pattern} matches {len(found)} files or folders, none of them with a date from "
                f"{self.first} to {self.last}{why}"
            )
        return SceneListing(tuple(scenes), tuple(left_out))
