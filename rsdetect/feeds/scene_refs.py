"""Scene references: dated scenes as a feed lists them, not opened yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, overload

from rsdetect.amounts import count_text, names_text


@dataclass(frozen=True)
class SceneRef:
    """Scene reference: one scene as its feed lists it, in plain values, without opening any file."""

    id: str  # unique within the source and equal in every listing: a file name, a STAC item id
    taken: datetime  # acquisition time with a time zone; midnight UTC where only the day is known
    files: tuple[str, ...]  # paths or URLs for GDAL: one file with all bands, or one file per band, in order
    band_names: tuple[str, ...] = ()  # names of the bands, in order; () = those in the file
    mask: str | None = None  # cloud or quality mask; None = only the validity stored in the files
    mask_values: tuple[int, ...] = ()  # mask pixels with these values are masked out
    mask_bits: tuple[int, ...] = ()  # mask pixels with any of these bits set are masked out; 0 = lowest
    mask_fields: tuple[tuple[int, int, tuple[int, ...]], ...] = ()  # as MaskMeaning.fields
    mask_kind: str = "plain"  # encoding of the mask, if values and bits do not describe it
    nodata: float | None = None  # nodata value in the source, for files that declare none
    source: str = ""  # origin for readers: the item's URL, or the table's name and line
    # Scale and offset of each file by the source; None = as the file declares; () = all as the files declare.
    linear: tuple[tuple[float, float] | None, ...] = ()
    sensor: str = ""  # platform or collection; "" = unknown
    tile: str = ""  # name of the tile or of path and row; "" = unknown
    processed: str = ""  # orders the processings of one scene by text; "" = unknown
    bounds: tuple[float, float, float, float] | None = None  # west, south, east, north in degrees
    tiles: tuple[SceneRef, ...] = ()  # the tiles of a mosaic, the first on top
    replaces: tuple[str, ...] = ()  # ids of scenes that this one contains or is a newer processing of
    note: str = ""  # what the user should know
    problem: str = ""  # why it cannot be compared

    def __post_init__(self) -> None:
        assert self.taken.tzinfo is not None, self.id
        assert self.files, self.id

    @property
    def day(self) -> str:
        """Acquisition date of the scene in UTC, ISO 8601."""
        return self.taken.astimezone(UTC).date().isoformat()


@dataclass(frozen=True)
class SceneListing(Sequence[SceneRef]):
    """Scene references of a feed, a sequence, and why it left out others."""

    scenes: tuple[SceneRef, ...]
    left_out: tuple[str, ...] = ()  # a sentence per scene that is incomplete, or one for those too cloudy
    unmatched: tuple[str, ...] = ()  # names of files in the folder that do not fit the pattern

    def __len__(self) -> int:
        return len(self.scenes)

    @overload
    def __getitem__(self, index: int) -> SceneRef: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[SceneRef, ...]: ...

    def __getitem__(self, index: int | slice) -> SceneRef | tuple[SceneRef, ...]:
        return self.scenes[index]


def unmatched_text(names: Sequence[str]) -> str:
    """Sentence on files of a feed's folder that do not fit the pattern.

    >>> unmatched_text(["notes.txt"])
    '1 file of the folder does not fit the pattern: notes.txt'
    """
    fit = "does not fit" if len(names) == 1 else "do not fit"
    return f"{count_text(len(names), 'file')} of the folder {fit} the pattern: {names_text(names)}"


class SceneFeed(Protocol):
    """Feed of scene references: a folder, a table or a STAC catalogue."""

    def list_scenes(self) -> SceneListing:
        """List the references of all scenes that are available now, in any order.

        Raises
        ------
        InputError
            The source section of the job is wrong, or matches no scene.
        JobInterrupted
            The source is unreachable now; a later run may succeed.
        """
        ...
