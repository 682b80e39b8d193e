"""`rsdetect train`: from a recipe, and from labelled pairs where there are any, to a model file."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from rsdetect.devices import resolve_device, usable_cores
from rsdetect.errors import InputError, OutputError
from rsdetect.nets.card import Card
from rsdetect.nets.checkpoint import SUFFIX, save_model
from rsdetect.training.batches import PlainChips
from rsdetect.training.finishing import HeldOut, make_card
from rsdetect.training.fitting import Machine, fit
from rsdetect.training.recipe import Recipe, read_recipe
from rsdetect.training.sources import Cuts, EndlessScenes, Mixture, SceneMaker, Simulated

RECIPE = "recipe.json"


@dataclass(frozen=True)
class TrainOptions:
    """What `rsdetect train` takes."""

    out: Path
    recipe: str = "siamese"  # a name or a TOML file
    changes: tuple[str, ...] = ()  # of the recipe, KEY=VALUE
    work: Path | None = None  # None = beside `out`
    images: Path | None = None  # prepared images, from which pairs are cut
    device: str = "auto"
    workers: int | None = None  # None = all cores but one
    overwrite: bool = False
    quiet: bool = False


def train(options: TrainOptions) -> Card | None:
    """Train a model and write its file; carries on where an earlier call with the same options stopped.

    Returns
    -------
    Card
        None in all but the first of several processes that train together.

    Raises
    ------
    InputError
        The options or the data are wrong; nothing was written.
    JobInterrupted
        Ctrl-C or a signal; the same call carries on.
    """
    recipe = read_recipe(options.recipe, options.changes)
    machine = choose_machine(options)
    work = claim(options, recipe)
    scenes = {
        use: open_sources(recipe, work, use, options.images)
        for use in ("train", "validation", "calibration", "test")
    }
    torch.manual_seed(recipe.seed)
    net = recipe.architecture.build()
    validation = PlainChips(scenes["validation"].first(recipe.validation.scenes), recipe.bands)
    fitted = fit(net, recipe, (scenes["train"], validation), work, machine)
    if fitted is None:
        return None
    calibration, test = (
        PlainChips(scenes[use].first(recipe.validation.held_out), recipe.bands)
        for use in ("calibration", "test")
    )
    card = make_card(
        fitted, recipe, HeldOut(calibration, test, "simulated, held out"), describe(recipe, fitted.steps)
    )
    save_model(options.out, fitted.net, card)
    shutil.rmtree(work / "scenes", ignore_errors=True)
    return card


def choose_machine(options: TrainOptions) -> Machine:
    """Where to train; on a CPU the cores that no worker needs compute."""
    device = options.device if options.device == "cuda" else resolve_device(options.device)
    if options.device in ("auto", "cuda") and resolve_device(options.device) != "cpu":
        device = "cuda"  # all of them
    cores = usable_cores()
    workers = max(0, cores - 1) if options.workers is None else options.workers
    if workers < 0:
        raise InputError(f"--workers {workers} is less than none.")
    if device == "cpu":
        torch.set_num_threads(max(1, cores - workers))
    return Machine(device, workers, quiet=options.quiet)


def claim(options: TrainOptions, recipe: Recipe) -> Path:
    """The work folder, which holds runs of one recipe only.

    Raises
    ------
    InputError
        The model file exists already, its folder does not, or the work folder holds another run.
    """
    out = options.out
    if out.suffix != SUFFIX:
        raise InputError(f"--out {out} does not end in {SUFFIX}, as model files do.")
    if out.exists() and not options.overwrite:
        raise OutputError(f"{out} exists already; --overwrite replaces it.")
    if not out.absolute().parent.is_dir():
        raise OutputError(f"There is no folder {out.absolute().parent} to write {out.name} into.")
    work = options.work or out.with_suffix(".work")
    kept, text = work / RECIPE, recipe.model_dump_json(indent=2)
    if kept.exists() and kept.read_text(encoding="utf-8") != text:
        raise InputError(
            f"{work} holds a run of another recipe ({kept}); give --work another folder, or remove it."
        )
    try:
        work.mkdir(parents=True, exist_ok=True)
        kept.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"The work folder {work} cannot be written: {error.strerror}.") from error
    return work


def open_sources(recipe: Recipe, work: Path, use: str, images: Path | None) -> Mixture:
    """The recipe's sources of scenes for one use."""
    sources, weights = [], []
    for number, source in enumerate(recipe.sources):
        make: SceneMaker = Simulated() if source.kind == "simulated" else Cuts(images)
        folder = work / "scenes" / f"{number}-{source.kind}"
        if use == "train":
            scenes = EndlessScenes(
                make, folder, use, source.size_px, source.first, source.per_step, source.kept
            )
        else:
            scenes = EndlessScenes(make, folder, use, recipe.validation.size_px)
        sources.append(scenes)
        weights.append(source.weight)
    return Mixture(tuple(sources), tuple(weights))


def describe(recipe: Recipe, steps: int) -> str:
    """What was trained on, in words."""
    words = {"simulated": "made by rsdetect.simulate", "cuts": "with change cut from images"}
    parts = [
        f"{source.first + int(source.per_step * steps)} scenes of {source.size_px} px {words[source.kind]}"
        for source in recipe.sources
    ]
    return ", ".join(parts)
