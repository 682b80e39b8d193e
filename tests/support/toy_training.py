"""Toy scenes, a toy recipe and a toy model, on which training takes seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rsdetect.training.batches import PlainChips
from rsdetect.training.loop import Feed
from rsdetect.training.recipe import Recipe, validate_recipe
from rsdetect.training.scene_sources import EndlessScenes, Mixture
from rsdetect.training.training_scenes import TrainingScene

SIZE = 64
RGB = ("red", "green", "blue")
# As it would stand in a TOML file.
RECIPE = {
    "name": "toy",
    "bands": list(RGB),
    "architecture": {"widths": [8, 12, 16], "evidence": 12},
    "sources": [{"kind": "simulated", "size_px": SIZE, "first": 8, "per_step": 0.2, "kept": 12}],
    "chips": {"size_px": 48, "batch": 4},
    "schedule": {"steps": 24},
    "validation": {"every": 10, "scenes": 4, "size_px": SIZE, "held_out": 4},
}

# The smallest recipe that trains, as users write one; it names no sources of scenes.
TINY = """
name = "tiny"
bands = ["red", "green", "blue"]
[architecture]
widths = [4, 8, 8]
evidence = 8
[chips]
size_px = 64
batch = 2
[schedule]
steps = {steps}
[validation]
every = {every}
scenes = 2
size_px = 64
held_out = 3
"""
SIMULATED = '[[sources]]\nkind = "simulated"\nsize_px = 64\nfirst = 6\nper_step = 0.5\nkept = 8\n'


def tiny_recipe(steps: int = 6, every: int = 3) -> str:
    """The text of the recipe, for training on labelled folders; add `SIMULATED` to train without."""
    return TINY.format(steps=steps, every=every)


def toy_recipe(**tables: dict[str, object]) -> Recipe:
    """The toy recipe with other keys in some tables."""
    changed = {name: {**RECIPE.get(name, {}), **keys} for name, keys in tables.items()}  # type: ignore[dict-item]
    return validate_recipe({**RECIPE, **changed}, "toy")


def toy_scene(seed: int, size: int = SIZE) -> TrainingScene:
    """Grey ground in other light on each date; bright squares come or go."""
    rng = np.random.default_rng(seed)
    ground = 90 + 12 * rng.standard_normal((3, size, size))
    dates = [ground.copy(), ground * rng.uniform(0.7, 1.2) + 8]
    truth = np.zeros((size, size), np.uint8)
    for _ in range(3):
        row, col = rng.integers(0, size - 16, 2)
        square = (slice(row, row + 16), slice(col, col + 16))
        dates[rng.integers(2)][(..., *square)] += 120
        truth[square] = 1
    valid = np.ones((size, size), bool)
    valid[:, :3] = False
    cloud = np.zeros_like(valid)
    cloud[-6:] = True
    before, after = (np.clip(date, 1, 255).astype(np.uint8) * valid for date in dates)
    return TrainingScene(before, after, truth, valid, cloud, RGB)


def toy_source(folder: Path, use: str = "train", **growth: float) -> EndlessScenes:
    """Toy scenes without end."""
    return EndlessScenes(toy_scene, folder / "toys", use, SIZE, **growth)  # type: ignore[arg-type]


def toy_feed(folder: Path, recipe: Recipe) -> Feed:
    """What `fit` takes: training scenes, and four to validate on."""
    source = recipe.sources[0]
    train = toy_source(folder, first=source.first, per_step=source.per_step, kept=source.kept)
    validation = toy_source(folder, "validation")
    scenes = [(validation, number) for number in range(4)]
    return Feed(Mixture((train,), (1.0,)), PlainChips(scenes, recipe.bands))
