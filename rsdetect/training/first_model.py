"""Trains the first weights of `siamese-rgb` on simulated scenes: python -m rsdetect.training.first_model.

Run again with the same folder, it carries on where it stopped. See docs/model.md for what came out.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from rsdetect.nets.card import Architecture, Card, Scaling, Training
from rsdetect.nets.checkpoint import save_model
from rsdetect.nets.cost import count_parameters, macs_per_pixel_pair
from rsdetect.nets.reach import measure_reach
from rsdetect.nets.siamese import STRIDE, SiameseNet
from rsdetect.training.augment import CLIP, plain_chip
from rsdetect.training.calibration import calibrate
from rsdetect.training.curves import Counts
from rsdetect.training.loop import Recipe, train, validate
from rsdetect.training.scenes import ScenePool, render_in_background
from rsdetect.training.state import Run

ARCHITECTURE = Architecture(bands=6, widths=(24, 48, 96), evidence=64)
SCENE_PX = 384  # of a training scene, from which chips are cut
HELD_OUT_PX = 256
# Training scenes hold more change than the ground does, so that there is something to learn. What a user
# brings has a few percent; the probabilities are fitted to that.
CHANGE_SHARE = 0.05
HELD_OUT = 96  # scenes to calibrate on, and as many others to report on

FAILURES = (
    "Trained on simulated scenes alone. Outlines on real scenes are soft, a few pixels to either side.",
    "Marks new roads, yards and opened ground along with buildings: too much where only buildings count.",
    "At 10 to 30 m it is too cautious: on Landsat the best threshold is near 0.03.",
    "Where the two dates come from unlike sensors or views, it marks large parts of the scene.",
    "Not for radar.",
)


def pools(folder: Path) -> dict[str, ScenePool]:
    """The scenes of each use."""
    edges = {
        "train": SCENE_PX,
        "validation": HELD_OUT_PX,
        "calibration": HELD_OUT_PX,
        "test": HELD_OUT_PX,
    }
    return {use: ScenePool(folder / "scenes", use, edge) for use, edge in edges.items()}


def make_card(run: Run, recipe: Recipe, net: SiameseNet, held_out: dict[str, ScenePool]) -> Card:
    """Calibrate the network and write down all there is to say of it."""
    chips = (plain_chip(held_out["calibration"].load(i), recipe.bands) for i in range(HELD_OUT))
    calibration, counts = calibrate(net, chips, CHANGE_SHARE)
    # Whole percents, as in the raster, so that raster and threshold cannot disagree by rounding.
    threshold = round(min(max(counts.best()[0], 0.01), 0.99), 2)
    chips = (plain_chip(held_out["test"].load(i), recipe.bands) for i in range(HELD_OUT))
    scores = figures(validate(net, chips, calibration.probability).at_share(CHANGE_SHARE), threshold)
    return Card(
        name="siamese",
        version="0.2.0",
        architecture=ARCHITECTURE,
        bands=recipe.bands,
        bands_required=3,
        scaling=Scaling(clip=CLIP),
        reach_px=measure_reach(net, STRIDE),
        stride_px=STRIDE,
        parameters=count_parameters(net),
        macs_per_pixel_pair=macs_per_pixel_pair(net),
        calibration=calibration,
        threshold=threshold,
        training=Training(
            data=f"{recipe.scenes_at(run.step)} scenes of {SCENE_PX} px made by rsdetect.simulate, "
            "a quarter of them at 10 m, the rest at very high resolution",
            seed=recipe.seed,
            steps=run.step,
            chips=run.step * recipe.batch,
            minutes=round(run.minutes, 1),
        ),
        scores={"simulated, held out": scores},
        known_failures=FAILURES,
        licence="Apache-2.0",
    )


def figures(counts: Counts, threshold: float) -> dict[str, float]:
    """The figures of a card, rounded to three digits after the point."""
    best_threshold, best_f1 = counts.best()
    return {
        "f1": round(counts.f1_at(threshold), 3),
        "average_precision": round(counts.average_precision(), 3),
        "f1_best": round(best_f1, 3),
        "threshold_best": round(best_threshold, 3),
        "calibration_error": round(counts.calibration_error(), 3),
    }


def main() -> None:
    """Train, calibrate, write the model file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for scenes, state and log")
    parser.add_argument("--out", type=Path, required=True, help="model file to write")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--scenes", type=int, default=Recipe.scenes)
    parser.add_argument("--scenes-per-step", type=float, default=Recipe.scenes_per_step)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    recipe = replace(
        Recipe(),
        steps=given.steps,
        scenes=given.scenes,
        scenes_per_step=given.scenes_per_step,
        seed=given.seed,
    )
    scenes = pools(given.work)
    renderer = render_in_background(
        {
            scenes["validation"]: recipe.validation_scenes,
            scenes["train"]: recipe.scenes_at(recipe.steps),
            scenes["calibration"]: HELD_OUT,
            scenes["test"]: HELD_OUT,
        }
    )
    run = train(ARCHITECTURE.build(), recipe, (scenes["train"], scenes["validation"]), given.work)
    assert isinstance(run.average, SiameseNet)
    save_model(given.out, run.average, make_card(run, recipe, run.average, scenes))
    renderer.join()


if __name__ == "__main__":
    main()
