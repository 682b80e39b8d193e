"""Index of prepared scenes: files and places, and the split of places into training and testing."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rsdetect.errors import InputError
from rsdetect.files import write_text
from rsdetect.reading import read_text

_log = logging.getLogger(__name__)

INDEX = "index.json"
_TRIES = 200  # random splits tried until every part has change


@dataclass(frozen=True)
class PreparedScene:
    """Entry of the index: one file for `read_scene`."""

    file: str  # name, in the folder of the index
    place: str  # scenes of one place are never split between training and testing
    pixels: int  # number of labelled pixels
    changed: int  # number of changed pixels
    adjoins: tuple[str, ...] = ()  # other places with ground less than 500 m away


@dataclass(frozen=True)
class Split:
    """Disjoint split of the places."""

    train: tuple[str, ...]
    validation: tuple[str, ...]  # for the choice of the checkpoint and the calibration
    test: tuple[str, ...]  # for the reported scores; may be empty


def write_index(folder: Path, scenes: Sequence[PreparedScene]) -> None:
    """Write the index of the scenes in `folder`."""
    write_text(folder / INDEX, json.dumps([asdict(scene) for scene in scenes], indent=1))


def read_index(folder: Path) -> tuple[PreparedScene, ...]:
    """Read the index of the scenes in `folder`.

    Raises
    ------
    InputError
        The index cannot be read.
    """
    try:
        rows = json.loads(read_text(folder / INDEX, "an index of prepared scenes"))
        return tuple(PreparedScene(**row | {"adjoins": tuple(row.get("adjoins", ()))}) for row in rows)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / INDEX} is not an index of prepared scenes: {error}.") from error


def split_places(scenes: Sequence[PreparedScene], validation: float, test: float, seed: int) -> Split:
    """Split the places of the index at random; every part in use has both classes.

    Parameters
    ----------
    validation, test
        Shares of the places; 0 takes none, any other share at least one.

    Raises
    ------
    InputError
        There are too few places, or all labels have one class.
    """
    places = sorted({scene.place for scene in scenes})
    held = [max(1, round(share * len(places))) if share else 0 for share in (validation, test)]
    if sum(held) >= len(places):
        raise InputError(
            f"The labelled pairs have {_plural(len(places), 'place')} ({', '.join(places[:3])}); training "
            f"and held-out places require at least {sum(held) + 1}; add more folders."
        )
    _require_classes(scenes)
    rng = np.random.default_rng((seed, len(places)))
    for _ in range(_TRIES):
        order = [places[i] for i in rng.permutation(len(places))]
        split = Split(
            train=tuple(sorted(order[sum(held) :])),
            validation=tuple(sorted(order[: held[0]])),
            test=tuple(sorted(order[held[0] : sum(held)])),
        )
        if all(_has_classes(scenes_of_places(scenes, part)) for part in vars(split).values() if part):
            _warn_of_neighbours(scenes, [split])
            return split
    raise InputError("Too few places have change: some are required for training and some for validation.")


def fold_places(scenes: Sequence[PreparedScene], folds: int, validation: float, seed: int) -> list[Split]:
    """Cross-validation folds of the index: splits in which each place is tested once.

    Raises
    ------
    InputError
        There are fewer places than folds, or all labels have one class.
    """
    places = sorted({scene.place for scene in scenes})
    least = (
        max(folds, 3) if folds > 2 else 4
    )  # besides the tested ones, one for training and one for validation
    if len(places) < least:
        raise InputError(
            f"`folds` {folds} requires at least {least} places, and the labelled pairs have "
            f"{_plural(len(places), 'place')}: {', '.join(places[:3])}."
        )
    _require_classes(scenes)
    order = [places[i] for i in np.random.default_rng((seed, folds)).permutation(len(places))]
    splits = []
    for fold in range(folds):
        test = tuple(sorted(order[fold::folds]))
        rest = [scene for scene in scenes if scene.place not in test]
        inner = split_places(rest, validation, 0.0, seed + fold)
        splits.append(Split(inner.train, inner.validation, test))
    _warn_of_neighbours(scenes, splits)
    return splits


def scenes_of_places(scenes: Iterable[PreparedScene], places: Sequence[str]) -> list[PreparedScene]:
    """Scenes of the index at some places."""
    return [scene for scene in scenes if scene.place in places]


def _warn_of_neighbours(scenes: Sequence[PreparedScene], splits: Sequence[Split]) -> None:
    """Warn of tested places that adjoin training or validation places."""
    near = {}
    for split in splits:
        seen = {*split.train, *split.validation}
        for scene in scenes_of_places(scenes, split.test):
            if others := sorted(seen.intersection(scene.adjoins)):
                near[scene.place] = others[0]
    if near:
        place, other = min(near.items())
        _log.warning(
            "%s of the test are less than 500 m from a training place (%s from %s): scores will be better "
            "than elsewhere; `group_by='500m'` keeps neighbours together.",
            _plural(len(near), "place"),
            place,
            other,
        )


def _has_classes(scenes: Sequence[PreparedScene]) -> bool:
    changed, pixels = sum(s.changed for s in scenes), sum(s.pixels for s in scenes)
    return 0 < changed < pixels


def _require_classes(scenes: Sequence[PreparedScene]) -> None:
    if not _has_classes(scenes):
        what = "changed" if any(scene.changed for scene in scenes) else "unchanged"
        raise InputError(f"All labels are {what}; training requires both classes.")


def _plural(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
