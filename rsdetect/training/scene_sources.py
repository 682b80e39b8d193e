"""Where training scenes come from: made on demand without end, or prepared files. Known by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rsdetect.errors import InputError
from rsdetect.training.index import PreparedScene
from rsdetect.training.scenes import FIRST_SEED, SEEDS, TrainingScene, read_scene, write_scene

if TYPE_CHECKING:
    from rsdetect.training.compositing.images import Image


class SceneSource(Protocol):
    """Numbered scenes; a number always gives the same scene. Pickles, because other processes draw."""

    def draw(self, step: int, rng: np.random.Generator) -> int:
        """The number of a scene that step `step` may draw."""
        ...

    def load(self, number: int) -> TrainingScene:
        """Scene `number`."""
        ...


class SceneMaker(Protocol):
    """Makes the scene of a seed. Pickles."""

    def __call__(self, seed: int, size: int) -> TrainingScene:
        """A scene of `size` x `size` pixels; equal arguments give equal pixels."""
        ...


@dataclass(frozen=True)
class Simulated:
    """Scenes of the simulator.

    Raises
    ------
    InputError
        A sensor, or a kind of change, that the simulator does not have.
    """

    sensors: tuple[str, ...] = ()  # none = all, as the simulator mixes them
    counted: tuple[str, ...] = ()  # kinds of change that the truth holds; none = all

    def __post_init__(self) -> None:
        from rsdetect.simulation.imaging.sensors import SENSORS
        from rsdetect.simulation.spec import ChangeKind

        kinds = [kind.name.lower() for kind in ChangeKind if kind is not ChangeKind.NONE]
        for what, given, known in (("sensor", self.sensors, SENSORS), ("change", self.counted, kinds)):
            for name in given:
                if name not in known:
                    raise InputError(f"There is no {what} {name!r} to simulate; known: {', '.join(known)}.")

    def __call__(self, seed: int, size: int) -> TrainingScene:
        """A scene of `size` x `size` pixels."""
        # Only here, so that prepared scenes need no simulator.
        from rsdetect.simulation.scene import render_whole
        from rsdetect.simulation.spec import ChangeKind
        from rsdetect.simulation.training_pairs import training_spec

        spec = training_spec(seed, size, self.sensors[seed % len(self.sensors)] if self.sensors else None)
        made = render_whole(spec)
        counted = [ChangeKind[name.upper()] for name in self.counted]
        return TrainingScene(
            before=made.before,
            after=made.after,
            truth=np.isin(made.kind, counted).astype(np.uint8) if counted else made.truth,
            valid=(made.before != 0).any(axis=0) & (made.after != 0).any(axis=0),
            cloud=made.cloud_before | made.cloud_after,
            bands=spec.bands,
        )


@dataclass(frozen=True)
class Cuts:
    """Scenes cut from real images; from dead leaves alone where no images are given."""

    images: Path | None  # folder of prepared images, see `cuts.prepare`

    def check(self, size: int) -> None:
        """See that scenes of `size` pixels can be cut, before other processes try.

        Raises
        ------
        InputError
            The folder holds no prepared image, or one that is too small.
        """
        if self.images is not None:
            _images(self.images, size)

    def __call__(self, seed: int, size: int) -> TrainingScene:
        """A scene of `size` x `size` pixels."""
        from rsdetect.training.compositing import cut_scene

        return cut_scene(seed, size, () if self.images is None else _images(self.images, size))


@lru_cache(maxsize=2)
def _images(folder: Path, size: int) -> Sequence[Image]:
    """Read once a process, because reading takes longer than making a scene."""
    from rsdetect.training.compositing.day import MARGIN_PX
    from rsdetect.training.compositing.images import read_images

    return read_images(folder, size + 2 * MARGIN_PX)


@dataclass(frozen=True)
class EndlessScenes:
    """Scenes that are made when they are first drawn, and kept as files for the next time."""

    make: SceneMaker
    folder: Path
    use: str  # a key of FIRST_SEED
    size: int  # edge in pixels
    first: int = 64
    per_step: float = 0.0
    kept: int = 1_000_000

    def numbers(self, step: int) -> range:
        """The scenes that step `step` may draw from: more with every step, and only the newest."""
        end = self.first + int(self.per_step * step)
        return range(max(0, end - self.kept), end)

    def draw(self, step: int, rng: np.random.Generator) -> int:
        """One of `numbers(step)`."""
        numbers = self.numbers(step)
        return int(rng.integers(numbers.start, numbers.stop))

    def load(self, number: int) -> TrainingScene:
        """Scene `number`, made now where nobody made it before."""
        assert number < SEEDS, "scenes of one use must not run into those of the next"
        path = self._path(number)
        if path.exists():
            return read_scene(path)
        scene = self.make(FIRST_SEED[self.use] + number, self.size)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_scene(path, scene)
        return scene

    def forget(self, step: int) -> None:
        """Remove the files that step `step` and those after it cannot draw any more."""
        oldest = self.numbers(step).start
        for path in self.folder.glob(f"{self.use}-{self.size}-*.npz"):
            if int(path.stem.rpartition("-")[2]) < oldest:
                path.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{self.use}-{self.size}-{number:06d}.npz"


@dataclass(frozen=True)
class PreparedScenes:
    """Scenes that lie ready as files, as `prepare` writes them; drawn by their number of labelled pixels."""

    folder: Path
    scenes: tuple[PreparedScene, ...]

    def draw(self, step: int, rng: np.random.Generator) -> int:
        """Any of them, at every step."""
        pixels = np.array([scene.pixels for scene in self.scenes], dtype=np.float64)
        return int(rng.choice(len(pixels), p=pixels / pixels.sum()))

    def load(self, number: int) -> TrainingScene:
        """Scene `number`."""
        return read_scene(self.folder / self.scenes[number].file)


@dataclass(frozen=True)
class Mixture:
    """Several sources, each drawn from by its weight."""

    sources: tuple[SceneSource, ...]
    weights: tuple[float, ...]

    def draw(self, step: int, rng: np.random.Generator) -> TrainingScene:
        """One scene that step `step` may draw."""
        shares = np.array(self.weights) / sum(self.weights)
        source = self.sources[int(rng.choice(len(self.sources), p=shares))]
        return source.load(source.draw(step, rng))

    def first(self, count: int) -> list[tuple[SceneSource, int]]:
        """Scenes known by their number: `count` of those without end, shared out by weight, all others."""
        endless = [isinstance(source, EndlessScenes) for source in self.sources]
        total = sum(weight for weight, without_end in zip(self.weights, endless, strict=True) if without_end)
        chosen: list[tuple[SceneSource, int]] = []
        for source, weight in zip(self.sources, self.weights, strict=True):
            of_it = (
                len(source.scenes) if isinstance(source, PreparedScenes) else round(count * weight / total)
            )
            chosen += [(source, number) for number in range(of_it)]
        return chosen
