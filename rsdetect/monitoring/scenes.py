"""What a source of scenes hands over: one dated scene each, not opened yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


@dataclass(frozen=True)
class SceneRef:
    """One scene as its source names it. Plain values; nothing was opened to make it."""

    id: str  # unique within the source and the same on every listing: a file's name, a catalogue's item id
    taken: datetime  # when; with a time zone; a source that knows the day alone says midnight UTC
    files: tuple[str, ...]  # anything GDAL opens: one file with all bands, or one file a band in order
    band_names: tuple[str, ...] = ()  # names of the bands, in order; () = as the file itself says
    mask: str | None = None  # cloud or quality mask; None = only what the files themselves say
    mask_values: tuple[int, ...] = ()  # mask pixels with these values are not usable
    mask_bits: tuple[int, ...] = ()  # mask pixels with one of these bits set are not usable; 0 = lowest
    nodata: float | None = None  # that the source declares of files which declare none
    source: str = ""  # where people find it: the item's address, the list's name and line

    def __post_init__(self) -> None:
        assert self.taken.tzinfo is not None, self.id
        assert self.files, self.id

    @property
    def day(self) -> str:
        """The ISO date of `taken` in UTC."""
        return self.taken.astimezone(UTC).date().isoformat()


class SceneFeed(Protocol):
    """Where scenes come from."""

    def list_scenes(self) -> Sequence[SceneRef]:
        """Every scene that there is now, in any order.

        Raises
        ------
        InputError
            What the job says of the source is wrong, or it matches nothing.
        JobInterrupted
            The source cannot be reached now; a later run may succeed.
        """
        ...
