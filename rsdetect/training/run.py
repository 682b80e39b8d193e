"""Run of `rsdetect train`: from a recipe, and optional labelled pairs, to a model file."""

from __future__ import annotations

import shutil
from pathlib import Path

from rsdetect.errors import InputError
from rsdetect.nets.card import Card
from rsdetect.nets.checkpoint import load_model, save_model
from rsdetect.nets.siamese import SiameseNet
from rsdetect.training.averaging import load_for_averaging
from rsdetect.training.fold import TrainingRun, score_fold, train_with_card
from rsdetect.training.guard import choose_share
from rsdetect.training.machine import Machine, choose_machine
from rsdetect.training.make_card import fold_scores
from rsdetect.training.options import TrainOptions, claim_work_folder
from rsdetect.training.recipe import Recipe, read_recipe
from rsdetect.training.scene_index import (
    INDEX,
    PreparedScene,
    Split,
    fold_places,
    read_index,
    split_places,
)
from rsdetect.training.scene_sources import CompositeScenes, RoofScenes


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
    job = TrainingRun(recipe, machine, options, work, labelled, unlabelled, others)
    folds = (
        fold_places(labelled, options.folds, recipe.validation.places, recipe.seed) if options.folds else []
    )
    found = [score_fold(job, split, work / f"fold-{number}") for number, split in enumerate(folds)]
    scores = [fold for fold in found if fold is not None]
    if len(scores) < len(found):
        return None
    share = choose_share(scores) if scores else None
    made = train_with_card(
        job, _split_labelled_places(job, tested=not folds), work / "all" if folds else work, share
    )
    if made is None:
        return None
    net, measured = made
    measured = measured.model_copy(update={"scores": measured.scores | fold_scores(scores, share)})
    # They can be regenerated, and after the model is saved nothing would resume to remove them.
    shutil.rmtree(work / "scenes", ignore_errors=True)
    save_model(options.out, net, measured)
    return measured


def _check_images(options: TrainOptions, recipe: Recipe) -> None:
    sizes = {
        kind: max([recipe.validation.size_px, *(s.size_px for s in recipe.sources if s.kind == kind)])
        for kind in {source.kind for source in recipe.sources}
    }
    if "roofs" in sizes:
        if options.images is None:
            raise InputError(f"the recipe {options.recipe_name} takes roofs from images: give `images`.")
        RoofScenes(options.images).check(sizes["roofs"])
    if "cuts" in sizes:
        CompositeScenes(options.images).check(sizes["cuts"])
    if options.images is not None and not sizes.keys() & {"roofs", "cuts"}:
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


def _split_labelled_places(job: TrainingRun, *, tested: bool) -> Split:
    """Split of the labelled places of a run; some are for testing, if there are enough."""
    if not job.labelled:
        return Split((), (), ())
    validation = job.recipe.validation
    places = len({scene.place for scene in job.labelled})
    # With fewer places, each held-out one would be missing in training.
    share = validation.test_places if tested and places >= 5 else 0.0
    return split_places(job.labelled, validation.places, share, job.recipe.seed)
