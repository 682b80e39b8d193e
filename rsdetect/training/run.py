"""`rsdetect train`: from a recipe, and from labelled pairs where there are any, to a model file."""

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
from rsdetect.training.averaging import load_like, mean_of
from rsdetect.training.batches import PlainChips, VariedChips
from rsdetect.training.index import (
    INDEX,
    PreparedScene,
    Split,
    fold_places,
    of_places,
    read_index,
    split_places,
)
from rsdetect.training.loop import Feed, fit
from rsdetect.training.machine import Machine, choose_machine
from rsdetect.training.make_card import HeldOut, make_card, over_folds
from rsdetect.training.options import TrainOptions, claimed
from rsdetect.training.recipe import Recipe, read_recipe
from rsdetect.training.scene_sources import (
    Cuts,
    EndlessScenes,
    Mixture,
    PreparedScenes,
    SceneMaker,
    SceneSource,
    Simulated,
)

_WORDS = {"simulated": "made by rsdetect.simulation", "cuts": "with change cut from images"}


@dataclass(frozen=True)
class _Job:
    """One training: the whole run, or one fold of it."""

    recipe: Recipe
    machine: Machine
    options: TrainOptions
    data: Path  # folder of prepared and of made scenes
    labelled: tuple[PreparedScene, ...]  # all of them
    unlabelled: tuple[PreparedScene, ...]
    others: tuple[tuple[SiameseNet, Card], ...]  # models whose weights are averaged with what is learned


def train(options: TrainOptions) -> Card | None:
    """Train a model and write its file; carries on where an earlier call with the same options stopped.

    Returns
    -------
    Card
        None in all but the first of several processes that train together.

    Raises
    ------
    InputError
        The options or the data are wrong; no model was written.
    JobInterrupted
        Ctrl-C or a signal; the same call carries on.
    """
    if options.folds is not None and (options.folds < 2 or not options.folders):
        raise InputError(
            f"`folds` {options.folds}: folds are two or more, of the places of labelled folders."
        )
    machine = choose_machine(options.device, options.workers, quiet=options.quiet)
    recipe = _recipe(options)
    if not recipe.sources and not options.folders:
        raise InputError(
            f"The recipe {options.recipe_name} has no sources of scenes: name folders of labelled pairs."
        )
    _check_images(options, recipe)
    others = [load_like(model, recipe.architecture, recipe.bands) for model in options.average_with]
    with claimed(options, recipe) as work:
        return _train(recipe, machine, options, work, tuple(others))


def _train(
    recipe: Recipe,
    machine: Machine,
    options: TrainOptions,
    work: Path,
    others: tuple[tuple[SiameseNet, Card], ...],
) -> Card | None:
    labelled, unlabelled = _prepared(options, recipe, work)
    job = _Job(recipe, machine, options, work, labelled, unlabelled, others)
    folds = (
        fold_places(labelled, options.folds, recipe.validation.places, recipe.seed) if options.folds else []
    )
    scores = [_score(job, split, work / f"fold-{number}") for number, split in enumerate(folds)]
    if None in scores:
        return None
    card = _train_one(job, _split(job, tested=not folds), work / "all" if folds else work)
    if card is None:
        return None
    net, measured = card
    measured = measured.model_copy(update={"scores": measured.scores | over_folds([s for s in scores if s])})
    save_model(options.out, net, measured)
    shutil.rmtree(work / "scenes", ignore_errors=True)  # they can be made again
    return measured


def _check_images(options: TrainOptions, recipe: Recipe) -> None:
    sizes = [source.size_px for source in recipe.sources if source.kind == "cuts"]
    if sizes:
        Cuts(options.images).check(max(*sizes, recipe.validation.size_px))
    elif options.images is not None:
        raise InputError(
            f"`images` {options.images}: the recipe {options.recipe_name} cuts no scenes from images."
        )


def _recipe(options: TrainOptions) -> Recipe:
    """The recipe; what a model to start from has settled goes before it."""
    recipe = read_recipe(options.recipe_name, options.changes)
    if options.base is None:
        return recipe
    _, card = load_model(options.base)
    settled = {"architecture": card.architecture, "bands": card.bands, "bands_required": card.required}
    return recipe.model_copy(update=settled)


def _prepared(
    options: TrainOptions, recipe: Recipe, work: Path
) -> tuple[tuple[PreparedScene, ...], tuple[PreparedScene, ...]]:
    """Labelled and unlabelled scenes, read from the pairs the first time."""
    found: list[tuple[PreparedScene, ...]] = []
    unlabelled = () if options.unlabelled is None else (options.unlabelled,)
    for name, folders in (("labelled", options.folders), ("unlabelled", unlabelled)):
        folder = work / name
        if not folders:
            found.append(())
        elif (folder / INDEX).exists():
            found.append(read_index(folder))
        else:
            # Only here: where the scenes lie ready, training needs no raster library.
            from rsdetect.scenes.bands import WantedBands
            from rsdetect.training.prepare import PrepareOptions, prepare_labelled, prepare_unlabelled

            wanted = WantedBands(recipe.bands, recipe.bands_required)
            how = PrepareOptions(
                wanted=wanted, bands=options.bands, layout=options.layout, group_by=options.group_by
            )
            prepare = prepare_labelled if name == "labelled" else prepare_unlabelled
            found.append(prepare(folders, folder, how))
    return found[0], found[1]


def _split(job: _Job, *, tested: bool) -> Split:
    """The places of a run without folds; some are kept to report on where there are enough."""
    if not job.labelled:
        return Split((), (), ())
    validation = job.recipe.validation
    places = len({scene.place for scene in job.labelled})
    # With fewer places than these, each one held out is missed where one learns.
    share = validation.test_places if tested and places >= 5 else 0.0
    return split_places(job.labelled, validation.places, share, job.recipe.seed)


def _score(job: _Job, split: Split, work: Path) -> dict[str, float] | None:
    trained = _train_one(job, split, work)
    return None if trained is None else next(iter(trained[1].scores.values()))


def _train_one(job: _Job, split: Split, work: Path) -> tuple[SiameseNet, Card] | None:
    """Train on some places, calibrate on others, measure on a third part."""
    recipe, held = job.recipe, job.recipe.validation
    net = _start(job)
    watched = split.validation or split.train  # where no labelled place is held out
    validation = PlainChips(_scenes(job, "validation", watched).first(held.scenes), recipe.bands)
    unlabelled = PreparedScenes(job.data / "unlabelled", job.unlabelled) if job.unlabelled else None
    feed = Feed(_scenes(job, "train", split.train), validation, unlabelled)
    fitted = fit(net, recipe, feed, work, job.machine)
    if fitted is None:
        return None
    if job.others:
        nets = [fitted.net, *(net for net, _ in job.others)]
        fitted = replace(fitted, net=mean_of(nets, recipe.architecture))
    data = _describe(job, split, fitted.steps)
    return fitted.net, make_card(fitted, recipe, _held_out(job, split), data, job.machine.first_device)


def _start(job: _Job) -> SiameseNet:
    if job.options.base is not None:
        return load_model(job.options.base)[0]
    torch.manual_seed(job.recipe.seed)
    return job.recipe.architecture.build()


def _scenes(job: _Job, use: str, places: Sequence[str]) -> Mixture:
    """All sources of scenes for one use: those of the recipe, and the labelled ones of some places."""
    recipe = job.recipe
    sources: list[SceneSource] = []
    weights = []
    for number, source in enumerate(recipe.sources):
        simulated = source.kind == "simulated"
        make: SceneMaker = (
            Simulated(source.sensors, source.counted) if simulated else Cuts(job.options.images)
        )
        folder = job.data / "scenes" / f"{number}-{source.kind}"
        if use == "train":
            growth = (source.first, source.per_step, source.kept)
            sources.append(EndlessScenes(make, folder, use, source.size_px, *growth))
        else:
            sources.append(EndlessScenes(make, folder, use, recipe.validation.size_px))
        weights.append(source.weight)
    if places:
        scenes = tuple(of_places(job.labelled, places))
        sources.append(PreparedScenes(job.data / "labelled", scenes))
        weights.append(recipe.labelled_weight)
    return Mixture(tuple(sources), tuple(weights))


def _held_out(job: _Job, split: Split) -> HeldOut:
    """Labelled places where there are any, for they are what the model is for; else scenes made for it."""
    recipe = job.recipe
    if job.labelled:
        calibration = _of_places(job, split.validation or split.train)
        test = _of_places(job, split.test)
    else:
        calibration, test = (
            _scenes(job, use, ()).first(recipe.validation.held_out) for use in ("calibration", "test")
        )
    plain = recipe.validation.fitted_to == "plain"
    return HeldOut(
        calibration=PlainChips(calibration, recipe.bands) if plain else VariedChips(calibration, recipe),
        test=PlainChips(test, recipe.bands) if test else None,
        name="held-out places" if job.labelled else "simulated, held out",
    )


def _of_places(job: _Job, places: Sequence[str]) -> list[tuple[SceneSource, int]]:
    """The labelled scenes of some places."""
    source = PreparedScenes(job.data / "labelled", tuple(of_places(job.labelled, places)))
    return [(source, number) for number in range(len(source.scenes))]


def _describe(job: _Job, split: Split, steps: int) -> str:
    """What was trained on, in words."""
    parts = [
        f"{int(s.per_step * steps) + min(s.first, s.kept)} scenes of {s.size_px} px {_WORDS[s.kind]}"
        for s in job.recipe.sources
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
