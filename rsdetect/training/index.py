"""Prepared scenes of labelled pairs: which files there are, of which place, and how places are split."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rsdetect.errors import InputError
from rsdetect.files import write_text

_log = logging.getLogger(__name__)

INDEX = "index.json"
_TRIES = 200  # random splits that are tried until every part holds change


@dataclass(frozen=True)
class PreparedScene:
    """One file that `read_scene` reads."""

    file: str  # its name beside the index
    place: str  # scenes of one place are never split between training and testing
    pixels: int  # labelled ones
    changed: int
    adjoins: tuple[str, ...] = ()  # other places whose ground begins less than 500 m away


@dataclass(frozen=True)
class Split:
    """Places of each use; no place has two."""

    train: tuple[str, ...]
    validation: tuple[str, ...]  # choose the checkpoint, and what the probabilities are fitted to
    test: tuple[str, ...]  # are reported on; may be none


def write_index(folder: Path, scenes: Sequence[PreparedScene]) -> None:
    """Write down which scenes lie in `folder`."""
    write_text(folder / INDEX, json.dumps([asdict(scene) for scene in scenes], indent=1))


def read_index(folder: Path) -> tuple[PreparedScene, ...]:
    """The scenes in `folder`.

    Raises
    ------
    InputError
        The index cannot be read.
    """
    try:
        rows = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return tuple(PreparedScene(**row | {"adjoins": tuple(row.get("adjoins", ()))}) for row in rows)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / INDEX} is not an index of prepared scenes: {error}.") from error


def split_places(scenes: Sequence[PreparedScene], validation: float, test: float, seed: int) -> Split:
    """Split the places at random; every part in use holds change and no change.

    Parameters
    ----------
    validation, test
        Shares of the places; a share of 0 takes none, any other one at least.

    Raises
    ------
    InputError
        There are too few places, or labels are all of one class.
    """
    places = sorted({scene.place for scene in scenes})
    held = [max(1, round(share * len(places))) if share else 0 for share in (validation, test)]
    if sum(held) >= len(places):
        raise InputError(
            f"The labelled pairs are of {_count(len(places), 'place')} ({', '.join(places[:3])}), and places "
            f"to train on and others to hold out are needed, {sum(held) + 1} at least; name more folders."
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
        if all(_has_classes(of_places(scenes, part)) for part in vars(split).values() if part):
            _warn_of_neighbours(scenes, [split])
            return split
    raise InputError(
        "Change lies in too few places: there must be some where one trains and some where one validates."
    )


def fold_places(scenes: Sequence[PreparedScene], folds: int, validation: float, seed: int) -> list[Split]:
    """Splits in which each place is tested once.

    Raises
    ------
    InputError
        There are fewer places than folds, or labels are all of one class.
    """
    places = sorted({scene.place for scene in scenes})
    least = max(folds, 3) if folds > 2 else 4  # beside those tested, one to train on and one to validate
    if len(places) < least:
        raise InputError(
            f"`folds` {folds} needs {least} places at least, and the labelled pairs are of "
            f"{_count(len(places), 'place')}: {', '.join(places[:3])}."
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


def of_places(scenes: Iterable[PreparedScene], places: Sequence[str]) -> list[PreparedScene]:
    """The scenes of some places."""
    return [scene for scene in scenes if scene.place in places]


def _warn_of_neighbours(scenes: Sequence[PreparedScene], splits: Sequence[Split]) -> None:
    """Say which places are tested though they adjoin one that was trained on, or chosen by."""
    near = {}
    for split in splits:
        seen = {*split.train, *split.validation}
        for scene in of_places(scenes, split.test):
            if others := sorted(seen.intersection(scene.adjoins)):
                near[scene.place] = others[0]
    if near:
        place, other = min(near.items())
        _log.warning(
            "%s on which the model is tested lie less than 500 m from one that it learns from (%s from %s): "
            "figures will be better than far away; `group_by='500m'` keeps neighbours together.",
            _count(len(near), "place"),
            place,
            other,
        )


def _has_classes(scenes: Sequence[PreparedScene]) -> bool:
    changed, pixels = sum(s.changed for s in scenes), sum(s.pixels for s in scenes)
    return 0 < changed < pixels


def _require_classes(scenes: Sequence[PreparedScene]) -> None:
    if not _has_classes(scenes):
        what = "changed" if any(scene.changed for scene in scenes) else "unchanged"
        raise InputError(f"All labels say {what}; to learn the difference, both are needed.")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
