"""Numbered pairs cut from images, rendered once and kept as files, like those of the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rsdetect.training.cuts.day import MARGIN_PX
from rsdetect.training.cuts.images import Image, read_images
from rsdetect.training.cuts.scene import cut_scene
from rsdetect.training.scenes import FIRST_SEED, Scene, wait_for_scene, write_scene


@dataclass(frozen=True)
class CutPool:
    """Numbered pairs in a folder; number i is always the same pair."""

    folder: Path
    use: str  # a key of FIRST_SEED
    size: int  # edge in pixels
    images: Path | None = None  # folder of prepared images; None = dead leaves alone
    leaves: float = 0.3  # share of pairs on dead leaves where there are images

    def path(self, number: int) -> Path:
        """Where pair `number` lies once it is rendered."""
        return self.folder / f"cut-{self.use}-{self.size}-{number:06d}.npz"

    def render(self, number: int) -> None:
        """Render pair `number`, unless its file is there already.

        Raises
        ------
        InputError
            The folder of images holds none, or a file that is none or too small.
        """
        path = self.path(number)
        if path.exists():
            return
        images = _images(self.images, self.size + 2 * MARGIN_PX) if self.images is not None else ()
        write_scene(path, cut_scene(FIRST_SEED[self.use] + number, self.size, images, self.leaves))

    def load(self, number: int, patience_s: float = 600.0) -> Scene:
        """Read pair `number`; waits for it where another process is still rendering.

        Raises
        ------
        TimeoutError
            The pair did not appear within `patience_s` seconds.
        """
        return wait_for_scene(self.path(number), patience_s)


@lru_cache(maxsize=1)
def _images(folder: Path, edge: int) -> tuple[Image, ...]:
    """Read once a process, because reading takes longer than a pair."""
    return read_images(folder, edge)
