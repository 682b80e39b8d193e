"""Sources of numbered training scenes: generated on demand, or prepared files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rsdetect.errors import InputError
from rsdetect.training.scene_index import PreparedScene
from rsdetect.training.training_scenes import FIRST_SEED, SEEDS, TrainingScene, read_scene, write_scene

if TYPE_CHECKING:
    from rsdetect.training.compositing.source_images import Image


class SceneSource(Protocol):
    """Source of numbered scenes; a number always gives the same scene. Must be picklable for workers."""

    def draw(self, step: int, rng: np.random.Generator) -> int:
        """Draw the number of a scene for step `step`."""
        ...

    def load(self, number: int) -> TrainingScene:
        """Load scene `number` from the source."""
        ...


class SceneMaker(Protocol):
    """Generator of the scene of a seed. Must be picklable."""

    def __call__(self, seed: int, size: int) -> TrainingScene:
        """Generate a scene of `size` x `size` pixels; equal arguments give equal pixels."""
        ...


@dataclass(frozen=True)
class SimulatedScenes:
    """Source of simulated scenes.

    Raises
    ------
    InputError
        The sensor or kind of change is unknown.
    """

    sensors: tuple[str, ...] = ()  # empty = all, in the simulator's mixture
    counted: tuple[str, ...] = ()  # kinds of change in the truth; empty = all

    def __post_init__(self) -> None:
        from rsdetect.simulation.imaging.sensors import SENSORS
        from rsdetect.simulation.spec import ChangeKind

        kinds = [kind.name.lower() for kind in ChangeKind if kind is not ChangeKind.NONE]
        for what, given, known in (("sensor", self.sensors, SENSORS), ("change", self.counted, kinds)):
            for name in given:
                if name not in known:
                    raise InputError(f"There is no {what} {name!r} to simulate; known: {', '.join(known)}.")

    def __call__(self, seed: int, size: int) -> TrainingScene:
        """Generate a scene of `size` x `size` pixels."""
        # Imported here, so that prepared scenes require no simulator.
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
class CompositeScenes:
    """Source of composite scenes from real images, or from dead leaves only if no images are given."""

    images: Path | None  # folder of prepared images, see `compositing.prepare_images`

    def check(self, size: int) -> None:
        """Check that the images of the source allow scenes of `size` pixels, before workers start.

        Raises
        ------
        InputError
            The folder has no prepared image, or one that is too small.
        """
        if self.images is not None:
            _composite_source_images(self.images, size)

    def __call__(self, seed: int, size: int) -> TrainingScene:
        """Generate a scene of `size` x `size` pixels."""
        from rsdetect.training.compositing import cut_scene

        return cut_scene(
            seed, size, () if self.images is None else _composite_source_images(self.images, size)
        )


@dataclass(frozen=True)
class RoofScenes:
    """Source of scenes of real roofs, in which buildings alone count."""

    images: Path  # folder of prepared images with known buildings
    two_days: float = 0.0  # share of scenes on unbuilt ground of which the images have two days

    def check(self, size: int) -> None:
        """Check that the images of the source allow scenes of `size` pixels, before workers start.

        Raises
        ------
        InputError
            The folder has no prepared image, one that is too small, or too few with buildings.
        """
        for held_out in (False, True):
            shown = [image.buildings for image in self._of_use(size, held_out)]
            if not any(buildings is not None and buildings.any() for buildings in shown):
                raise InputError(
                    f"{self.images} has too few images with known buildings: every fifth is held out, and "
                    "at least one is required of these and of the others."
                )

    def __call__(self, seed: int, size: int) -> TrainingScene:
        """Generate a scene of `size` x `size` pixels; those for training show other images than the rest.

        Each date of a place is an image.
        """
        from rsdetect.training.compositing.roof_scene import roof_scene

        return roof_scene(seed, size, self._of_use(size, seed >= FIRST_SEED["validation"]), self.two_days)

    def _of_use(self, size: int, held_out: bool) -> Sequence[Image]:
        images = _composite_source_images(self.images, size)
        built = [image for image in images if image.buildings is not None and image.buildings.any()]
        bare = [image for image in images if image.buildings is not None and not image.buildings.any()]
        return [image for part in (built, bare) for at, image in enumerate(part) if (at % 5 == 4) == held_out]


@lru_cache(maxsize=2)
def _composite_source_images(folder: Path, size: int) -> Sequence[Image]:
    """Source images of composite scenes, read once per process, because reading takes long."""
    from rsdetect.training.compositing.acquisition_day import MARGIN_PX
    from rsdetect.training.compositing.source_images import read_images

    return read_images(folder, size + 2 * MARGIN_PX)


@dataclass(frozen=True)
class EndlessScenes:
    """Unlimited source of scenes that are generated when first drawn, and cached as files."""

    make: SceneMaker
    folder: Path
    use: str  # a key of FIRST_SEED
    size: int  # edge in pixels
    first: int = 64
    per_step: float = 0.0
    kept: int = 1_000_000
    fresh: float = 0.0  # share of draws that are fresh pairs, new on each draw

    def numbers(self, step: int) -> range:
        """Range of scene numbers available to step `step`: grows with the step, limited to the newest."""
        end = self.first + int(self.per_step * step)
        return range(max(0, end - self.kept), end)

    def draw(self, step: int, rng: np.random.Generator) -> int:
        """Draw one of `numbers(step)`, or a fresh pair of it: a multiple of `SEEDS` above."""
        numbers = self.numbers(step)
        assert numbers.stop <= SEEDS, "scene numbers of one use must not overlap those of the next"
        drawn = int(rng.integers(numbers.start, numbers.stop))
        if self.fresh and rng.random() < self.fresh:
            drawn += SEEDS * int(rng.integers(1, 2**31))
        return drawn

    def load(self, number: int) -> TrainingScene:
        """Load scene `number`, generated on first use."""
        variant, base = divmod(number, SEEDS)
        if variant:
            from rsdetect.training.compositing.fresh_pairs import fresh_pair

            return fresh_pair(self._whole(base), np.random.default_rng(number))
        return self._whole(number)

    def _whole(self, number: int) -> TrainingScene:
        path = self._path(number)
        if path.exists():
            return read_scene(path)
        scene = self.make(FIRST_SEED[self.use] + number, self.size)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_scene(path, scene)
        return scene

    def remove_stale(self, step: int) -> None:
        """Remove the cached scenes that step `step` and later ones cannot draw."""
        oldest = self.numbers(step).start
        for path in self.folder.glob(f"{self.use}-{self.size}-*.npz"):
            if int(path.stem.rpartition("-")[2]) < oldest:
                path.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{self.use}-{self.size}-{number:06d}.npz"


@dataclass(frozen=True)
class PreparedScenes:
    """Source of scenes prepared as files (`prepare_scenes`); drawn in proportion to their labelled pixels."""

    folder: Path
    scenes: tuple[PreparedScene, ...]

    def draw(self, step: int, rng: np.random.Generator) -> int:
        """Draw any prepared scene, at every step."""
        pixels = np.array([scene.pixels for scene in self.scenes], dtype=np.float64)
        return int(rng.choice(len(pixels), p=pixels / pixels.sum()))

    def load(self, number: int) -> TrainingScene:
        """Load the prepared scene `number`."""
        return read_scene(self.folder / self.scenes[number].file)


@dataclass(frozen=True)
class Mixture:
    """Mixture of several scene sources with weights."""

    sources: tuple[SceneSource, ...]
    weights: tuple[float, ...]

    def draw(self, step: int, rng: np.random.Generator) -> TrainingScene:
        """Draw a scene of the mixture for step `step`."""
        shares = np.array(self.weights) / sum(self.weights)
        source = self.sources[int(rng.choice(len(self.sources), p=shares))]
        return source.load(source.draw(step, rng))

    def first(self, count: int) -> list[tuple[SceneSource, int]]:
        """First scenes of the mixture: `count` of unlimited sources, split by weight, and all prepared."""
        endless = [isinstance(source, EndlessScenes) for source in self.sources]
        total = sum(weight for weight, is_endless in zip(self.weights, endless, strict=True) if is_endless)
        chosen: list[tuple[SceneSource, int]] = []
        for source, weight in zip(self.sources, self.weights, strict=True):
            available = (
                len(source.scenes) if isinstance(source, PreparedScenes) else round(count * weight / total)
            )
            chosen += [(source, number) for number in range(available)]
        return chosen
