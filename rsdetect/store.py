"""The work store: finished tiles of an unfinished job, one file a tile.

A tile's file appears under its name only when it is whole, and carries a checksum, so that a job that is
killed at any moment carries on from the tiles that are there, and none of them is half a tile.
"""

from __future__ import annotations

import io
import shutil
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsdetect.tiles import TileWindow


@dataclass(frozen=True)
class WorkStore:
    """Finished tiles under one folder. It pickles; workers on other machines must see the same folder."""

    folder: Path

    def create(self) -> None:
        """Make the folder where it is not there yet."""
        self._tiles.mkdir(parents=True, exist_ok=True)

    def finished(self) -> set[tuple[int, int]]:
        """(row, col) of every tile that was put down."""
        names = (entry.stem for entry in self._tiles.glob("*.npz"))
        return {(int(row), int(col)) for row, col in (name.split("_") for name in names)}

    def put(self, tile: TileWindow, percent: NDArray[np.uint8]) -> None:
        """Put down the (height, width) percent values of a tile's core."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, percent=percent)
        path = self._path(tile)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        try:
            partial.write_bytes(buffer.getvalue())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def get(self, tile: TileWindow) -> NDArray[np.uint8] | None:
        """What was put down for a tile; None, and the file is gone, where it is damaged."""
        path = self._path(tile)
        try:
            with np.load(path, allow_pickle=False) as content:
                percent: NDArray[np.uint8] = content["percent"]
        except (zipfile.BadZipFile, ValueError, KeyError, EOFError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return None
        if percent.shape != tile.core.shape or percent.dtype != np.uint8:
            path.unlink(missing_ok=True)
            return None
        return percent

    def clear(self) -> None:
        """Remove everything that was put down."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _tiles(self) -> Path:
        return self.folder / "tiles"

    def _path(self, tile: TileWindow) -> Path:
        return self._tiles / f"{tile.row:06d}_{tile.col:06d}.npz"
