"""The work store: finished tiles of an unfinished job, one file a tile.

A tile's file appears under its name only when it is whole, and carries a checksum, so that a job that is
killed at any moment resumes from the tiles that are there, and none of them is half a tile.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsdetect.files import atomic_path, clear_unfinished, write_text
from rsdetect.tiles import TilePlan, TileWindow

_SUFFIX, _BESIDE = ".tile", ".differences"
_CHECKSUM_BYTES = 16


@dataclass(frozen=True)
class WorkStore:
    """Finished tiles under one folder. It pickles; workers on other machines must see the same folder."""

    folder: Path

    def create(self) -> None:
        """Make the folder where it is not there yet, and clear what a killed run was at."""
        self._tiles.mkdir(parents=True, exist_ok=True)
        clear_unfinished(self._tiles)

    def settle(self, plan: TilePlan) -> TilePlan:
        """The plan by which the tiles here are cut: that of an earlier run, or `plan` where there is none.

        Tiles wider than those of `plan` would take more memory than there is now; then they go, and the job
        starts again.
        """
        path = self.folder / "plan.json"
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            earlier = None
        if earlier is not None:
            (height, width), (above, left) = earlier["tile_shape"], earlier["lead"]
            if width <= plan.tile_shape[1]:
                return replace(plan, tile_shape=(height, width), lead=(above, left))
            shutil.rmtree(self._tiles)
            self.create()
        write_text(path, json.dumps({"tile_shape": plan.tile_shape, "lead": plan.lead}))
        return plan

    def put(self, tile: TileWindow, percent: NDArray[np.uint8]) -> None:
        """Put down the (height, width) percent values of a tile's core."""
        assert percent.shape == tile.core.shape and percent.dtype == np.uint8
        packed = zlib.compress(np.ascontiguousarray(percent).tobytes(), level=1)
        with atomic_path(self._path(tile), sync=False) as unfinished:
            unfinished.write_bytes(_checksum(packed) + packed)

    def get(self, tile: TileWindow) -> NDArray[np.uint8] | None:
        """What was put down for a tile; None where nothing was, or where it is damaged (then it goes)."""
        path = self._path(tile)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        checksum, packed = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
        if checksum == _checksum(packed):
            percent = np.frombuffer(zlib.decompress(packed), dtype=np.uint8)
            if percent.size == tile.core.height * tile.core.width:
                return percent.reshape(tile.core.shape)
        path.unlink(missing_ok=True)
        return None

    def beside(self, tile: TileWindow) -> Path:
        """Where the differences of a tile (`scoring.differences`) are kept, before the tile itself."""
        return self._path(tile).with_suffix(_BESIDE)

    def unseen(self, tiles: Iterable[TileWindow]) -> list[TileWindow]:
        """Those of `tiles` that the folder does not list.

        A network file system may remember for a minute that a file of some name was not there; opening the
        folder makes it ask its server again.
        """
        listed = {entry.name for entry in self._tiles.iterdir()}
        return [tile for tile in tiles if self._path(tile).name not in listed]

    @property
    def _tiles(self) -> Path:
        return self.folder / "tiles"

    def _path(self, tile: TileWindow) -> Path:
        return self._tiles / f"{tile.row:06d}_{tile.col:06d}{_SUFFIX}"


def _checksum(packed: bytes) -> bytes:
    return blake2b(packed, digest_size=_CHECKSUM_BYTES).digest()
