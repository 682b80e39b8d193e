"""Recipes: shipped ones are complete; wrong keys are reported with the nearest valid one."""

from __future__ import annotations

import numpy as np
import pytest

from rsdetect.errors import InputError
from rsdetect.nets.cost import count_parameters, macs_per_pixel_pair
from rsdetect.training.recipe import Schedule, known_recipes, read_recipe, validate_recipe
from support.toy_training import RECIPE


@pytest.mark.parametrize("name", known_recipes())
def test_recipes_that_ship_keep_the_budget_of_the_network(name):
    recipe = read_recipe(name)
    net = recipe.architecture.build()
    assert net.bands == len(recipe.bands)
    assert count_parameters(net) <= 500_000
    assert macs_per_pixel_pair(net) <= 30_000


def test_the_default_model_has_a_recipe():
    recipe = read_recipe("siamese")
    assert recipe.name == "siamese"
    assert {source.kind for source in recipe.sources} >= {"simulated"}


def test_keys_can_be_given_other_values():
    changes = [
        "schedule.steps=7",
        "loss.auxiliary=triplet",
        "architecture.widths=[4, 8, 8]",
        'bands=["red", "green", "blue"]',
        "seed=5",
    ]
    recipe = read_recipe("siamese", changes)
    assert (recipe.schedule.steps, recipe.loss.auxiliary, recipe.seed) == (7, "triplet", 5)
    assert recipe.schedule.minutes is None, "steps replace the recipe's minutes"
    assert read_recipe("siamese", ["schedule.steps=7", "schedule.minutes=3"]).schedule.minutes == 3
    assert recipe.architecture.widths == (4, 8, 8)
    assert recipe.architecture.bands == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("schedule.step=7", "schedule knows no key 'step' .*did you mean 'steps'"),
        ("chip.size_px=64", "a recipe knows no key 'chip' .*did you mean 'chips'"),
        ("architecture.width=[1, 2, 3]", "did you mean 'widths'"),
        (
            "loss.zzz=1",
            "loss knows no key 'zzz' .there are auxiliary, auxiliary_weight, change_weight, cross_entropy",
        ),
        ("schedule.steps=-1", "schedule.steps: .*greater than or equal to 0"),
        ("schedule.steps=many", "schedule.steps: .*valid integer"),
        ("chips.size_px=100", "multiple of"),
        ("chips.size_px=528", "chips of 528 px cannot be cut from scenes of 512 px"),
        ("bands_required=9", "9 bands are required, and 6 are listed"),
        ("architecture.bands=4", "the architecture has 4 bands, and 6 are listed"),
        ("architecture.difference=squared", "architecture.difference"),
        ("validation.places=0", "validation.places = 0 leaves no validation score"),
        ("schedule.steps", "not KEY=VALUE"),
        ("=3", "not KEY=VALUE"),
        ("seed.deep=3", "'seed' has no keys"),
    ],
)
def test_wrong_values_are_reported(change, told):
    base = ["seed=0"] if change.startswith("seed.") else []
    with pytest.raises(InputError, match=told):
        read_recipe("siamese", [*base, change])


def test_unknown_keys_in_lists_are_reported():
    sources = [{"kind": "simulated", "weigth": 2}]
    with pytest.raises(InputError, match=r"sources\.0 knows no key 'weigth' .*did you mean 'weight'"):
        validate_recipe({**RECIPE, "sources": sources}, "toy")


def test_recipes_come_from_files_too(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[architecture]\nwidths = [4, 8, 8]\nevidence = 8\n')
    assert read_recipe(str(path)).name == "mine"
    path.write_text("name = ")
    with pytest.raises(InputError, match=r"mine\.toml cannot be read"):
        read_recipe(str(path))
    for unknown in ("nobody", str(tmp_path / "none.toml")):
        with pytest.raises(
            InputError,
            match="knows buildings, coarse, fine-tune, fresh, further, labelled, mean, roofs, seasons, siam",
        ):
            read_recipe(unknown)


def test_the_rate_rises_falls_and_ends_low():
    schedule = Schedule(learning_rate=1.0)
    rates = [schedule.rate_at(share) for share in np.linspace(0, 1, 101)]
    assert rates[0] < 0.05
    assert np.argmax(rates) in (2, 3, 4)
    assert max(rates) > 0.95
    assert all(np.diff(rates[:3]) > 0)
    assert all(np.diff(rates[4:]) < 0)
    assert rates[-1] == pytest.approx(0.01)
    assert schedule.rate_at(1.5) == rates[-1]
