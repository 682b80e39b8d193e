"""Work store: finished tiles of an unfinished job, one file per tile.

The file of a tile appears under its name only when complete, and has a checksum, so that a killed job resumes
from the finished tiles.
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
from rsdetect.scoring.tally import TileTally
from rsdetect.tiles import TilePlan, TileWindow

_SUFFIX, _BESIDE, _OVERVIEW = ".tile", ".differences", ".overview"
_CHECKSUM_BYTES = 16


@dataclass(frozen=True)
class WorkStore:
    """Work store in a folder. It can be pickled; workers on other machines must have access to the folder."""

    folder: Path

    def create(self) -> None:
        """Create the folder of the work store, and remove unfinished files of a killed run."""
        self._tiles.mkdir(parents=True, exist_ok=True)
        clear_unfinished(self._tiles)

    def settle(self, plan: TilePlan) -> TilePlan:
        """Plan of the tiles in the work store: that of an earlier run, else `plan`.

        Tiles wider than those of `plan` would exceed the memory; they are removed, and the job starts again.
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

    def put(self, tile: TileWindow, percent: NDArray[np.uint8], tally: TileTally | None = None) -> None:
        """Store the (height, width) percent values of a tile's core, with the tally of its scores."""
        assert percent.shape == tile.core.shape and percent.dtype == np.uint8
        tally = TileTally.of(percent) if tally is None else tally
        packed = tally.pack() + zlib.compress(np.ascontiguousarray(percent).tobytes(), level=1)
        with atomic_path(self._path(tile), sync=False) as unfinished:
            unfinished.write_bytes(_checksum(packed) + packed)

    def get(self, tile: TileWindow) -> NDArray[np.uint8] | None:
        """Percent values of a tile in the store; None if missing or damaged, in which case it is removed."""
        found = self.read(tile)
        return None if found is None else found[0]

    def read(self, tile: TileWindow) -> tuple[NDArray[np.uint8], TileTally] | None:
        """Percent values and tally of a tile; None as for `get`."""
        path = self._path(tile)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        checksum, packed = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
        if checksum == _checksum(packed):
            tally, pixels = packed[: TileTally.SIZE], packed[TileTally.SIZE :]
            percent = np.frombuffer(zlib.decompress(pixels), dtype=np.uint8)
            if percent.size == tile.core.height * tile.core.width:
                return percent.reshape(tile.core.shape), TileTally.unpack(tally)
        path.unlink(missing_ok=True)
        return None

    def beside(self, tile: TileWindow) -> Path:
        """Path of a tile's differences in the store (`scoring.differences`), written before the tile."""
        return self._path(tile).with_suffix(_BESIDE)

    def overview(self, tile: TileWindow) -> Path:
        """Path of a tile's overview of the scenes in the store (`scoring.scene_overview`)."""
        return self._path(tile).with_suffix(_OVERVIEW)

    def unseen(self, tiles: Iterable[TileWindow]) -> list[TileWindow]:
        """Tiles that the folder of the store does not list.

        A network file system may cache the absence of a file for a minute; listing the folder queries its
        server.
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
