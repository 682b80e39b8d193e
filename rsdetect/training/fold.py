"""One training of a run: the whole run, or one fold of it, from its scenes to weights and a card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from rsdetect.nets.card import Card
from rsdetect.nets.checkpoint import load_model
from rsdetect.nets.siamese import SiameseNet
from rsdetect.training.averaging import average_weights
from rsdetect.training.batches import PlainChips, VariedChips
from rsdetect.training.guard import Guard
from rsdetect.training.loop import Feed, Fitted, fit
from rsdetect.training.machine import Machine
from rsdetect.training.make_card import HeldOut, calibrate, make_card
from rsdetect.training.options import TrainOptions
from rsdetect.training.recipe import Recipe, Supply
from rsdetect.training.scene_index import PreparedScene, Split, scenes_of_places
from rsdetect.training.scene_sources import (
    CompositeScenes,
    EndlessScenes,
    Mixture,
    PreparedScenes,
    RoofScenes,
    SceneMaker,
    SceneSource,
    SimulatedScenes,
)

_SOURCE_TEXT = {
    "simulated": "made by rsdetect.simulation",
    "cuts": "with change cut from images",
    "roofs": "with real roofs",
}


@dataclass(frozen=True)
class TrainingRun:
    """Training run: the whole run, or one fold of it."""

    recipe: Recipe
    machine: Machine
    options: TrainOptions
    data: Path  # folder of prepared and generated scenes
    labelled: tuple[PreparedScene, ...]  # all of them
    unlabelled: tuple[PreparedScene, ...]
    others: tuple[tuple[SiameseNet, Card], ...]  # models whose weights are averaged with the trained ones


def train_fold(job: TrainingRun, split: Split, work: Path) -> Fitted | None:
    """Train on the training places of a split; weights are averaged with those of other models."""
    recipe, held = job.recipe, job.recipe.validation
    net = _initial_network(job)
    validated = split.validation or split.train  # if no labelled place is held out
    validation = PlainChips(_scene_mixture(job, "validation", validated).first(held.scenes), recipe.bands)
    unlabelled = PreparedScenes(job.data / "unlabelled", job.unlabelled) if job.unlabelled else None
    feed = Feed(_scene_mixture(job, "train", split.train), validation, unlabelled)
    if recipe.schedule.steps == 0:
        fitted: Fitted | None = Fitted(net.eval(), steps=0, minutes=0.0, validation_f1=float("nan"))
    else:
        fitted = fit(net, recipe, feed, work, job.machine)
    if fitted is not None and job.others:
        nets = [fitted.net, *(net for net, _ in job.others)]
        fitted = replace(fitted, net=average_weights(nets, recipe.architecture))
    return fitted


def score_fold(job: TrainingRun, split: Split, work: Path) -> dict[float, dict[str, float]] | None:
    """Train on a fold and score its test places, by share of the trained weights; only 1 without a guard."""
    fitted = train_fold(job, split, work)
    if fitted is None:
        return None
    held_out = _held_out_scenes(job, split)
    if (guard := _guard(job)) is not None:
        return guard.fold_scores(fitted.net, held_out)
    return {1.0: calibrate(fitted.net, job.recipe, held_out, job.machine.first_device).scores}


def train_with_card(
    job: TrainingRun, split: Split, work: Path, share: float | None = None
) -> tuple[SiameseNet, Card] | None:
    """Train, calibrate on validation places and score on test places of a split.

    Parameters
    ----------
    share
        Of the trained weights, from the folds of a fine-tuning; None = all. With 0 nothing is trained.
    """
    held_out, guard = _held_out_scenes(job, split), _guard(job)
    if share == 0 and guard is not None:
        return guard.kept(held_out)  # a training would be thrown away
    fitted = train_fold(job, split, work)
    if fitted is None:
        return None
    data = _describe_training_data(job, split, fitted.steps)
    if share is not None and guard is not None:
        return guard.applied(fitted, share, held_out, data)
    return fitted.net, make_card(fitted, job.recipe, held_out, data, job.machine.first_device)


def _guard(job: TrainingRun) -> Guard | None:
    """Guard of the run, if it fine-tunes a model."""
    if job.options.base is None or not job.recipe.schedule.steps:
        return None
    net, card = load_model(job.options.base)
    return Guard(net, card, job.recipe, job.machine.first_device)


def _initial_network(job: TrainingRun) -> SiameseNet:
    if job.options.base is not None:
        return load_model(job.options.base)[0]
    torch.manual_seed(job.recipe.seed)
    return job.recipe.architecture.build()


def _scene_mixture(job: TrainingRun, use: str, places: Sequence[str]) -> Mixture:
    """Mixture of all scene sources of the run for one use: those of the recipe, and some labelled places."""
    recipe = job.recipe
    sources: list[SceneSource] = []
    weights = []
    for number, source in enumerate(recipe.sources):
        make = _scene_maker(source, job.options.images)
        folder = job.data / "scenes" / f"{number}-{source.kind}"
        if use == "train":
            growth = (source.first, source.per_step, source.kept, source.fresh)
            sources.append(EndlessScenes(make, folder, use, source.size_px, *growth))
        else:
            sources.append(EndlessScenes(make, folder, use, recipe.validation.size_px))
        weights.append(source.weight)
    if places:
        scenes = tuple(scenes_of_places(job.labelled, places))
        sources.append(PreparedScenes(job.data / "labelled", scenes))
        weights.append(recipe.labelled_weight)
    return Mixture(tuple(sources), tuple(weights))


def _scene_maker(source: Supply, images: Path | None) -> SceneMaker:
    """Generator of the scenes of a source of the recipe."""
    if source.kind == "simulated":
        return SimulatedScenes(source.sensors, source.counted)
    if source.kind == "cuts":
        return CompositeScenes(images)
    assert images is not None  # as the run has checked
    return RoofScenes(images, source.two_days)


def _held_out_scenes(job: TrainingRun, split: Split) -> HeldOut:
    """Held-out scenes of the run: labelled places, if there are any, else generated scenes."""
    recipe = job.recipe
    if job.labelled:
        calibration = _labelled_scenes_of(job, split.validation or split.train)
        test = _labelled_scenes_of(job, split.test)
    else:
        calibration, test = (
            _scene_mixture(job, use, ()).first(recipe.validation.held_out) for use in ("calibration", "test")
        )
    plain = recipe.validation.fitted_to == "plain"
    return HeldOut(
        calibration=PlainChips(calibration, recipe.bands) if plain else VariedChips(calibration, recipe),
        test=PlainChips(test, recipe.bands) if test else None,
        name="held-out places" if job.labelled else "simulated, held out",
    )


def _labelled_scenes_of(job: TrainingRun, places: Sequence[str]) -> list[tuple[SceneSource, int]]:
    """Labelled scenes of the run at some places."""
    source = PreparedScenes(job.data / "labelled", tuple(scenes_of_places(job.labelled, places)))
    return [(source, number) for number in range(len(source.scenes))]


def _describe_training_data(job: TrainingRun, split: Split, steps: int) -> str:
    """Description of the training data of the run, for the card."""
    parts = [
        f"{int(s.per_step * steps) + min(s.first, s.kept)} scenes of {s.size_px} px {_SOURCE_TEXT[s.kind]}"
        for s in (job.recipe.sources if steps else ())
    ]
    if job.labelled:
        parts.append(f"labelled pairs of {len(split.train)} places")
    if job.unlabelled:
        parts.append(f"unlabelled pairs of {len({scene.place for scene in job.unlabelled})} places")
    if job.options.base is not None:
        card = load_model(job.options.base)[1]
        parts.append(f"starting from {card.name} {card.version}")
    if job.others:
        names = (f"{card.name} {card.version}" for _, card in job.others)
        parts.append(f"weights averaged with those of {' and '.join(names)}")
    return ", ".join(parts)
