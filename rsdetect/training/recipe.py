"""Recipes: all settings of a training run, read from small TOML files.

The same recipe and seed on the same machine give the same weights, unless the budget is in minutes.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rsdetect.errors import InputError
from rsdetect.nets.card import Architecture
from rsdetect.nets.siamese import MOST_STRIDE
from rsdetect.reading import read_text
from rsdetect.validation import errors_as_text

FOLDER = Path(__file__).parent / "recipes"
SUFFIX = ".toml"
_WARM_UP = 0.03  # share of the budget with rising learning rate
_LAST_RATE = 0.01  # final learning rate, share of the highest

_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=1)]
_Positive = Annotated[float, Field(gt=0)]
_NotNegative = Annotated[float, Field(ge=0)]


class _RecipePart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Supply(_RecipePart):
    """Recipe of one unlimited source of training scenes, and its weight in the batch."""

    kind: Literal["simulated", "cuts", "roofs"]
    sensors: tuple[str, ...] = ()  # of simulated scenes, drawn uniformly; empty = the simulator's mixture
    counted: tuple[str, ...] = ()  # kinds of change in the truth of simulated scenes; empty = all
    weight: _Positive = 1.0
    two_days: _Share = 0.0  # share of scenes of roofs on unbuilt ground of which the images have two days
    fresh: _Share = 0.0  # share of its chips from fresh pairs: one date twice, with regions exchanged
    size_px: _Count = 384  # edge of a scene, from which chips are cropped
    first: _Count = 64  # number of scenes available to the first step
    per_step: _NotNegative = 1.0  # number of scenes added per step
    kept: _Count = 3000  # number of newest scenes that are drawn; older ones are removed


class Chips(_RecipePart):
    """Recipe of the chips of a batch."""

    size_px: Annotated[int, Field(ge=MOST_STRIDE, multiple_of=MOST_STRIDE)] = 256
    batch: _Count = 8
    around_change: _Share = 0.0  # share of chips cropped around a changed pixel, if there is one
    mixed: _Share = 0.0  # share of chips with CutMix, both dates and truth
    as_is: _Share = 0.0  # share of chips without augmented tones
    resized: _Share = 0.8  # share of chips with another pixel size
    same_day: _Share = 0.0  # share of unchanged chips that use one date twice


class Loss(_RecipePart):
    """Recipe of the loss: weights of its terms, see `losses`."""

    cross_entropy: _NotNegative = 1.0
    focus: _NotNegative = 0.0  # exponent of the focal term; 0 = plain cross-entropy
    change_weight: _Positive = 1.0  # weight of a changed pixel relative to an unchanged one
    dice: _NotNegative = 1.0
    auxiliary: Literal["none", "contrastive", "triplet"] = "none"  # on the encoder's features
    auxiliary_weight: _NotNegative = 0.1
    margin: _Positive = 1.0
    metric: Literal["euclidean", "cosine"] = "euclidean"


class Schedule(_RecipePart):
    """Recipe of the schedule: length, learning rate, averaging."""

    # 0 = no training: the model that the run starts from, averaged with others.
    steps: Annotated[int, Field(ge=0)] = 2000
    minutes: _Positive | None = (
        None  # of training and validation; if given, it ends the run instead of `steps`
    )
    learning_rate: _Positive = 2e-3
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.998  # of the averaged weights, per step

    def rate_at(self, share: float) -> float:
        """Learning rate of the recipe's schedule after a share of the budget: warm-up, then half a cosine.

        The cosine without restarts of Loshchilov and Hutter (2017, equation 5).
        """
        rise = min(1.0, (share + 1e-3) / (_WARM_UP + 1e-3))
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
        return self.learning_rate * rise * (_LAST_RATE + (1 - _LAST_RATE) * fall)


class Validation(_RecipePart):
    """Recipe of the validation: choice of the checkpoint, calibration and threshold."""

    every: _Count = 100  # steps; also the interval of writing the state
    scenes: _Count = 48  # of the sources
    size_px: Annotated[int, Field(ge=MOST_STRIDE, multiple_of=MOST_STRIDE)] = 256
    # Weights of the best validation, or of the last: a choice on few places is unreliable.
    keep: Literal["best", "last"] = "best"
    patience: _Count | None = None  # number of validations without improvement that ends the run
    # Share of the labelled places for validation. 0 = all are for training, and the calibration and the
    # threshold are fitted to the training scenes, if these are few.
    places: Annotated[float, Field(ge=0, lt=1)] = 0.2
    test_places: Annotated[float, Field(ge=0, lt=1)] = (
        0.2  # share of the labelled places for the reported scores
    )
    held_out: _Count = 96  # scenes for the calibration, and as many others for the scores
    # Prior share of change for the calibration, because training scenes have more change than usual. None =
    # the share in the scenes.
    change_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    # Scenes for the calibration: unmodified, or augmented as in training, which represents other sensors.
    fitted_to: Literal["plain", "varied"] = "plain"
    # The model's threshold: best F1, or equal marked and changed area. Synthetic scenes are so hard that
    # their best F1 marks several times the changed area.
    threshold: Literal["best_f1", "area"] = "best_f1"


class Unlabelled(_RecipePart):
    """Recipe of training on unlabelled pairs, see `losses.consistency`."""

    weight: _NotNegative = 0.5  # of the consistency loss
    batch: _Count = 4  # chips per step
    sure: Annotated[float, Field(gt=0.5, lt=1)] = 0.9  # confidence of the averaged network in a pseudo label
    from_share: _Share = (
        0.1  # share of the budget without the consistency loss, until the averaged network is accurate
    )


class Recipe(_RecipePart):
    """Recipe of a training run."""

    name: str
    version: str = "0.1.0"
    seed: int = 0
    bands: tuple[str, ...] = ("red", "green", "blue", "nir", "swir1", "swir2")
    bands_required: _Count = 3
    architecture: Architecture
    sources: tuple[Supply, ...] = ()
    labelled_weight: _Positive = 1.0  # weight of labelled pairs relative to the sources
    chips: Chips = Chips()
    loss: Loss = Loss()
    schedule: Schedule = Schedule()
    validation: Validation = Validation()
    unlabelled: Unlabelled = Unlabelled()
    known_failures: tuple[str, ...] = ()
    licence: str = "Apache-2.0"

    @model_validator(mode="before")
    @classmethod
    def _bands_of_the_architecture(cls, given: Any) -> Any:
        """Set the architecture's number of bands in a recipe from their names."""
        if not isinstance(given, dict) or not isinstance(given.get("architecture", {}), dict):
            return given
        bands = given.get("bands", cls.model_fields["bands"].default)
        return given | {"architecture": {"bands": len(bands), **given.get("architecture", {})}}

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.architecture.bands != len(self.bands):
            raise ValueError(
                f"the architecture has {self.architecture.bands} bands, and {len(self.bands)} are listed"
            )
        if self.bands_required > len(self.bands):
            raise ValueError(f"{self.bands_required} bands are required, and {len(self.bands)} are listed")
        if not self.validation.places and self.validation.keep == "best":
            raise ValueError("validation.places = 0 leaves no validation score: add validation.keep = 'last'")
        for source in self.sources:
            if source.size_px < self.chips.size_px:
                raise ValueError(
                    f"chips of {self.chips.size_px} px cannot be cut from scenes of {source.size_px} px"
                )
        return self


def known_recipes() -> tuple[str, ...]:
    """Names of the recipes that are shipped with rsdetect."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}")))


def read_recipe(recipe: str, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe by its name or from a TOML file.

    Parameters
    ----------
    changes
        Overrides of keys, such as "schedule.steps=500"; values are written as in TOML. Steps replace a
        length in minutes.

    Raises
    ------
    InputError
        There is no such recipe or file, it is not TOML, or it has an unknown key or a wrong value.
    """
    path = Path(recipe)
    if not path.is_file():
        path = FOLDER / f"{recipe}{SUFFIX}"
        if Path(recipe).suffix == SUFFIX or not path.is_file():
            raise InputError(
                f"There is no recipe {recipe!r}; rsdetect knows {', '.join(known_recipes())}, "
                f"or give the path of a {SUFFIX} file."
            )
    try:
        given = tomllib.loads(read_text(path, "a recipe"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"The recipe {path} cannot be read: {error}.") from error
    for change in changes:
        _apply_change(given, change)
    return validate_recipe(given, str(path))


def validate_recipe(given: dict[str, Any], where: str) -> Recipe:
    """Validate a recipe given as plain values; `where` is used in errors.

    Raises
    ------
    InputError
        A key is unknown, or a value is wrong.
    """
    try:
        return Recipe.model_validate(given)
    except ValidationError as error:
        raise InputError(
            f"The recipe {where} is wrong: {errors_as_text(error, Recipe, 'recipe')}."
        ) from error


def _apply_change(given: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # a string may be given without quotes
    *tables, last = key.strip().split(".")
    if (*tables, last) == ("schedule", "steps"):  # a length in steps replaces one in minutes
        given.get("schedule", {}).pop("minutes", None)
    if not equals or not last:
        raise InputError(f"`changes` {change!r} is not KEY=VALUE, as in `changes='schedule.steps=500'`.")
    for table in tables:
        given = given.setdefault(table, {})
        if not isinstance(given, dict):
            raise InputError(f"`changes` {change!r}: {table!r} has no keys.")
    given[last] = parsed
