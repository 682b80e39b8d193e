"""Run of `rsdetect train`: from a recipe, and optional labelled pairs, to a model file."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from rsdetect.errors import InputError
from rsdetect.nets.card import Card
from rsdetect.nets.checkpoint import load_model, save_model
from rsdetect.nets.siamese import SiameseNet
from rsdetect.training.averaging import average_weights, load_for_averaging
from rsdetect.training.batches import PlainChips, VariedChips
from rsdetect.training.loop import Feed, Fitted, fit
from rsdetect.training.machine import Machine, choose_machine
from rsdetect.training.make_card import HeldOut, fold_scores, make_card
from rsdetect.training.options import TrainOptions, claim_work_folder
from rsdetect.training.recipe import Recipe, read_recipe
from rsdetect.training.scene_index import (
    INDEX,
    PreparedScene,
    Split,
    fold_places,
    read_index,
    scenes_of_places,
    split_places,
)
from rsdetect.training.scene_sources import (
    CompositeScenes,
    EndlessScenes,
    Mixture,
    PreparedScenes,
    SceneMaker,
    SceneSource,
    SimulatedScenes,
)

_SOURCE_TEXT = {"simulated": "made by rsdetect.simulation", "cuts": "with change cut from images"}


@dataclass(frozen=True)
class _TrainingRun:
    """Training run: the whole run, or one fold of it."""

    recipe: Recipe
    machine: Machine
    options: TrainOptions
    data: Path  # folder of prepared and generated scenes
    labelled: tuple[PreparedScene, ...]  # all of them
    unlabelled: tuple[PreparedScene, ...]
    others: tuple[tuple[SiameseNet, Card], ...]  # models whose weights are averaged with the trained ones


def train(options: TrainOptions) -> Card | None:
    """Run a training and write the model file; resumes an earlier run with the same options.

    Returns
    -------
    Card
        None except in the first process of distributed training.

    Raises
    ------
    InputError
        The options or the data are wrong; no model was written.
    JobInterrupted
        Ctrl-C or a signal; the same call resumes the run.
    """
    if options.folds is not None and (options.folds < 2 or not options.folders):
        raise InputError(
            f"`folds` {options.folds}: two or more folds are required, and folders of labelled pairs."
        )
    machine = choose_machine(options.device, options.workers, quiet=options.quiet)
    recipe = _resolve_recipe(options)
    if not recipe.sources and not options.folders:
        raise InputError(
            f"The recipe {options.recipe_name} has no sources of scenes: give folders of labelled pairs."
        )
    _check_images(options, recipe)
    if not recipe.schedule.steps and options.base is None:
        raise InputError("`schedule.steps` 0 trains nothing: name a model to start from with `base`.")
    others = [load_for_averaging(model, recipe.architecture, recipe.bands) for model in options.average_with]
    with claim_work_folder(options, recipe) as work:
        return _train_in_folder(recipe, machine, options, work, tuple(others))


def _train_in_folder(
    recipe: Recipe,
    machine: Machine,
    options: TrainOptions,
    work: Path,
    others: tuple[tuple[SiameseNet, Card], ...],
) -> Card | None:
    labelled, unlabelled = _prepared_scenes(options, recipe, work)
    job = _TrainingRun(recipe, machine, options, work, labelled, unlabelled, others)
    folds = (
        fold_places(labelled, options.folds, recipe.validation.places, recipe.seed) if options.folds else []
    )
    scores = [_score_fold(job, split, work / f"fold-{number}") for number, split in enumerate(folds)]
    if None in scores:
        return None
    card = _train_fold(job, _split_labelled_places(job, tested=not folds), work / "all" if folds else work)
    if card is None:
        return None
    net, measured = card
    measured = measured.model_copy(update={"scores": measured.scores | fold_scores([s for s in scores if s])})
    save_model(options.out, net, measured)
    shutil.rmtree(work / "scenes", ignore_errors=True)  # they can be regenerated
    return measured


def _check_images(options: TrainOptions, recipe: Recipe) -> None:
    sizes = [source.size_px for source in recipe.sources if source.kind == "cuts"]
    if sizes:
        CompositeScenes(options.images).check(max(*sizes, recipe.validation.size_px))
    elif options.images is not None:
        raise InputError(
            f"`images` {options.images}: the recipe {options.recipe_name} cuts no scenes from images."
        )


def _resolve_recipe(options: TrainOptions) -> Recipe:
    """Recipe of the run; architecture and bands of a base model override it."""
    recipe = read_recipe(options.recipe_name, options.changes)
    if options.base is None:
        return recipe
    _, card = load_model(options.base)
    settled = {"architecture": card.architecture, "bands": card.bands, "bands_required": card.required}
    return recipe.model_copy(update=settled)


def _prepared_scenes(
    options: TrainOptions, recipe: Recipe, work: Path
) -> tuple[tuple[PreparedScene, ...], tuple[PreparedScene, ...]]:
    """Labelled and unlabelled scenes of the run, prepared from the pairs on the first call."""
    found: list[tuple[PreparedScene, ...]] = []
    unlabelled = () if options.unlabelled is None else (options.unlabelled,)
    for name, folders in (("labelled", options.folders), ("unlabelled", unlabelled)):
        folder = work / name
        if not folders:
            found.append(())
        elif (folder / INDEX).exists():
            found.append(read_index(folder))
        else:
            # Imported here, so that training on prepared scenes requires no raster library.
            from rsdetect.scenes.bands import WantedBands
            from rsdetect.training.prepare_scenes import PrepareOptions, prepare_labelled, prepare_unlabelled

            wanted = WantedBands(recipe.bands, recipe.bands_required)
            how = PrepareOptions(
                wanted=wanted, bands=options.bands, layout=options.layout, group_by=options.group_by
            )
            prepare = prepare_labelled if name == "labelled" else prepare_unlabelled
            found.append(prepare(folders, folder, how))
    return found[0], found[1]


def _split_labelled_places(job: _TrainingRun, *, tested: bool) -> Split:
    """Split of the labelled places of a run; some are for testing, if there are enough."""
    if not job.labelled:
        return Split((), (), ())
    validation = job.recipe.validation
    places = len({scene.place for scene in job.labelled})
    # With fewer places, each held-out one would be missing in training.
    share = validation.test_places if tested and places >= 5 else 0.0
    return split_places(job.labelled, validation.places, share, job.recipe.seed)


def _score_fold(job: _TrainingRun, split: Split, work: Path) -> dict[str, float] | None:
    trained = _train_fold(job, split, work)
    return None if trained is None else next(iter(trained[1].scores.values()))


def _train_fold(job: _TrainingRun, split: Split, work: Path) -> tuple[SiameseNet, Card] | None:
    """Train on the training places of a split, calibrate on validation places, score on test places."""
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
    if fitted is None:
        return None
    if job.others:
        nets = [fitted.net, *(net for net, _ in job.others)]
        fitted = replace(fitted, net=average_weights(nets, recipe.architecture))
    data = _describe_training_data(job, split, fitted.steps)
    return fitted.net, make_card(fitted, recipe, _held_out_scenes(job, split), data, job.machine.first_device)


def _initial_network(job: _TrainingRun) -> SiameseNet:
    if job.options.base is not None:
        return load_model(job.options.base)[0]
    torch.manual_seed(job.recipe.seed)
    return job.recipe.architecture.build()


def _scene_mixture(job: _TrainingRun, use: str, places: Sequence[str]) -> Mixture:
    """Mixture of all scene sources of the run for one use: those of the recipe, and some labelled places."""
    recipe = job.recipe
    sources: list[SceneSource] = []
    weights = []
    for number, source in enumerate(recipe.sources):
        simulated = source.kind == "simulated"
        make: SceneMaker = (
            SimulatedScenes(source.sensors, source.counted)
            if simulated
            else CompositeScenes(job.options.images)
        )
        folder = job.data / "scenes" / f"{number}-{source.kind}"
        if use == "train":
            growth = (source.first, source.per_step, source.kept)
            sources.append(EndlessScenes(make, folder, use, source.size_px, *growth))
        else:
            sources.append(EndlessScenes(make, folder, use, recipe.validation.size_px))
        weights.append(source.weight)
    if places:
        scenes = tuple(scenes_of_places(job.labelled, places))
        sources.append(PreparedScenes(job.data / "labelled", scenes))
        weights.append(recipe.labelled_weight)
    return Mixture(tuple(sources), tuple(weights))


def _held_out_scenes(job: _TrainingRun, split: Split) -> HeldOut:
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


def _labelled_scenes_of(job: _TrainingRun, places: Sequence[str]) -> list[tuple[SceneSource, int]]:
    """Labelled scenes of the run at some places."""
    source = PreparedScenes(job.data / "labelled", tuple(scenes_of_places(job.labelled, places)))
    return [(source, number) for number in range(len(source.scenes))]


def _describe_training_data(job: _TrainingRun, split: Split, steps: int) -> str:
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
