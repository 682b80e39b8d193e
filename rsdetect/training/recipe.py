"""Recipes: everything that a training run is made of, read from small TOML files.

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
from rsdetect.validation import in_words

FOLDER = Path(__file__).parent / "recipes"
SUFFIX = ".toml"

_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=1)]
_Positive = Annotated[float, Field(gt=0)]
_NotNegative = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Supply(_Part):
    """One supply of training scenes without end, and how much of the batch comes from it."""

    kind: Literal["simulated", "cuts"]
    sensors: tuple[
        str, ...
    ] = ()  # of simulated scenes, drawn evenly; none named = the simulator's own mixture
    counted: tuple[str, ...] = ()  # kinds of change that the truth of simulated scenes holds; none = all
    weight: _Positive = 1.0
    size_px: _Count = 384  # edge of a scene, from which chips are cut
    first: _Count = 64  # scenes that the first step may draw from
    per_step: _NotNegative = 1.0  # how many more after each step
    kept: _Count = 3000  # of them, the newest so many; older ones are not drawn any more


class Chips(_Part):
    """What a batch is made of."""

    size_px: Annotated[int, Field(ge=MOST_STRIDE, multiple_of=MOST_STRIDE)] = 256
    batch: _Count = 8
    around_change: _Share = 0.0  # share of chips that are cut around a changed pixel, where there is one
    mixed: _Share = 0.0  # share of chips into which a piece of another chip is pasted, both dates and truth
    as_is: _Share = 0.0  # share of chips whose tones are not varied
    resized: _Share = 0.8  # share of chips whose pixels are enlarged or reduced
    same_day: _Share = 0.0  # share of chips that show one date twice, and so no change


class Loss(_Part):
    """Weights of the terms of the loss; see `losses` for their formulas."""

    cross_entropy: _NotNegative = 1.0
    focus: _NotNegative = 0.0  # exponent of the focal term; 0 = plain cross-entropy
    change_weight: _Positive = 1.0  # how much more a changed pixel counts
    dice: _NotNegative = 1.0
    auxiliary: Literal["none", "contrastive", "triplet"] = "none"  # on the encoder's features
    auxiliary_weight: _NotNegative = 0.1
    margin: _Positive = 1.0
    metric: Literal["euclidean", "cosine"] = "euclidean"


class Schedule(_Part):
    """How far and how fast."""

    steps: _Count = 2000
    minutes: _Positive | None = None  # of training and validating; given, it ends the run instead of `steps`
    learning_rate: _Positive = 2e-3
    warm_up: _Share = 0.03  # share of the budget in which the rate rises
    last_rate: _Share = 0.01  # share of the rate that is left at the end
    weight_decay: _NotNegative = 1e-2
    clip: _Positive = 1.0  # longest gradient
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.998  # of the averaged weights, a step
    frozen_statistics: bool = False  # batch norm keeps the statistics that it came with

    def rate_at(self, share: float) -> float:
        """Learning rate after a share of the budget: a linear rise, then half a cosine.

        The cosine without restarts of Loshchilov and Hutter (2017, equation 5).
        """
        rise = min(1.0, (share + 1e-3) / (self.warm_up + 1e-3))
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
        return self.learning_rate * rise * (self.last_rate + (1 - self.last_rate) * fall)


class Validation(_Part):
    """What chooses the checkpoint, and what the probabilities are fitted to."""

    every: _Count = 100  # steps; also how often the state is written
    scenes: _Count = 48  # of the sources
    size_px: Annotated[int, Field(ge=MOST_STRIDE, multiple_of=MOST_STRIDE)] = 256
    # The weights of the best validation, or those of the last: few places choose badly.
    keep: Literal["best", "last"] = "best"
    patience: _Count | None = None  # validations without a better one, after which the run ends
    # Share of the labelled places that validates. 0 = all of them teach, and the probabilities and the
    # threshold are fitted to what was learned: of a few chips each one is worth more in teaching.
    places: Annotated[float, Field(ge=0, lt=1)] = 0.2
    test_places: Annotated[float, Field(ge=0, lt=1)] = 0.2  # share of them that is reported on
    held_out: _Count = 96  # scenes to calibrate on, and as many others to report on
    # Training scenes hold more change than the ground does, so that there is something to learn. The
    # probabilities are fitted to this share. None = the share that they hold.
    change_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    # What the probabilities are fitted to: scenes as they are, or varied as in training, which tells more of
    # sensors that the held-out scenes were not taken with.
    fitted_to: Literal["plain", "varied"] = "plain"
    # The model's threshold: of the best F1, or such that as much is marked as has changed. Scenes made to be
    # hard have their best F1 where several times the changed area is marked, which nobody wants to look at.
    threshold: Literal["best_f1", "area"] = "best_f1"


class Unlabelled(_Part):
    """Consistency training on unlabelled pairs, see `consistency`."""

    weight: _NotNegative = 0.5  # of its loss beside that of the labelled chips
    batch: _Count = 4  # chips a step
    sure: Annotated[float, Field(gt=0.5, lt=1)] = 0.9  # how sure the averaged network must be of a pixel
    from_share: _Share = 0.1  # of the budget; before, the averaged network knows too little


class Recipe(_Part):
    """A training run."""

    name: str
    version: str = "0.1.0"
    seed: int = 0
    bands: tuple[str, ...] = ("red", "green", "blue", "nir", "swir1", "swir2")
    bands_required: _Count = 3
    architecture: Architecture
    sources: tuple[Supply, ...] = ()
    labelled_weight: _Positive = 1.0  # of labelled pairs beside the sources
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
        """The architecture's number of bands follows from their names."""
        if not isinstance(given, dict) or not isinstance(given.get("architecture", {}), dict):
            return given
        bands = given.get("bands", cls.model_fields["bands"].default)
        return given | {"architecture": {"bands": len(bands), **given.get("architecture", {})}}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.architecture.bands != len(self.bands):
            raise ValueError(
                f"the architecture has {self.architecture.bands} bands, and {len(self.bands)} are named"
            )
        if self.bands_required > len(self.bands):
            raise ValueError(f"{self.bands_required} bands are required, and {len(self.bands)} are named")
        if not self.validation.places and self.validation.keep == "best":
            raise ValueError(
                "validation.places = 0 leaves nothing to choose by: add validation.keep = 'last'"
            )
        for source in self.sources:
            if source.size_px < self.chips.size_px:
                raise ValueError(
                    f"chips of {self.chips.size_px} px cannot be cut from scenes of {source.size_px} px"
                )
        return self


def known_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with rsdetect."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}")))


def read_recipe(recipe: str, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe by its name or from a TOML file.

    Parameters
    ----------
    changes
        Keys with other values, as "schedule.steps=500"; values are written as in TOML.

    Raises
    ------
    InputError
        No such recipe or file, it is not TOML, or it holds a key or a value that is none.
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
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"The recipe {path} cannot be read: {error}.") from error
    for change in changes:
        _apply(given, change)
    return validated(given, str(path))


def validated(given: dict[str, Any], where: str) -> Recipe:
    """The recipe in plain values, checked; `where` is named in errors.

    Raises
    ------
    InputError
        A key or a value that is none.
    """
    try:
        return Recipe.model_validate(given)
    except ValidationError as error:
        raise InputError(f"The recipe {where} is wrong: {in_words(error, Recipe, 'recipe')}.") from error


def _apply(given: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # a word may come without its quotes
    *tables, last = key.strip().split(".")
    if not equals or not last:
        raise InputError(f"`changes` {change!r} is not KEY=VALUE, as in `changes='schedule.steps=500'`.")
    for table in tables:
        given = given.setdefault(table, {})
        if not isinstance(given, dict):
            raise InputError(f"`changes` {change!r}: {table!r} holds no keys.")
    given[last] = parsed
