"""Which place a file is of, as far as its name tells."""

from __future__ import annotations

import re
from collections.abc import Sequence

_OFFSETS = re.compile(r"(?P<rest>.*[^\W\d_].*?)[_-]\d+[_-]\d+")  # scene_0512_0256: where a tile was cut
_NUMBER = re.compile(r"(?P<rest>.+?)[_-]?\d+")  # scene_12, scene12
_SPLITS = {"train", "training", "val", "valid", "validation", "test"}


def places_of(stems: Sequence[str]) -> list[str]:
    """The place of each file of a set, by its name without suffix.

    Two numbers at the end say where a tile was cut from its scene, one number which tile or date it is: both
    are left out, and what remains is the place. A number after nothing but the name of a split belongs to the
    place. Where all files would be of one place, each scene is one.

    >>> places_of(["szada_train_1", "szada_train_2", "tisza_train_37"])
    ['szada_train', 'szada_train', 'tisza_train']
    >>> places_of(["train_36_0512_0512", "train_36_0000_0512", "val_27_0000_0256"])
    ['train_36', 'train_36', 'val_27']
    >>> places_of(["test_1", "test_2"]), places_of(["0_2", "0_3", "1_1"])
    (['test_1', 'test_2'], ['0', '0', '1'])
    """
    scenes = [_without(_OFFSETS, stem) for stem in stems]
    places = [
        scene if scene != stem else _without(_NUMBER, stem) for stem, scene in zip(stems, scenes, strict=True)
    ]
    return scenes if len(set(places)) == 1 else places


def _without(ending: re.Pattern[str], stem: str) -> str:
    found = ending.fullmatch(stem)
    if not found or found["rest"].strip("_-").lower() in _SPLITS:
        return stem
    return found["rest"]
