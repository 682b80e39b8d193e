"""Place names of files, derived from their file names."""

from __future__ import annotations

import re
from collections.abc import Sequence

_OFFSETS = re.compile(r"(?P<rest>.*[^\W\d_].*?)[_-]\d+[_-]\d+")  # scene_0512_0256: offsets of a tile
_NUMBER = re.compile(r"(?P<rest>.+?)[_-]?\d+")  # scene_12, scene12
_SPLITS = {"train", "training", "val", "valid", "validation", "test"}


def places_from_names(stems: Sequence[str]) -> list[str]:
    """Place names of the files of a set, from their stems.

    Two numbers at the end are the offsets of a tile in its scene, one number is the index of a tile or date:
    both are removed, and the rest is the place. A number after only the name of a split belongs to the place.
    If all files would have the same place, each scene is one.

    >>> places_from_names(["szada_train_1", "szada_train_2", "tisza_train_37"])
    ['szada_train', 'szada_train', 'tisza_train']
    >>> places_from_names(["train_36_0512_0512", "train_36_0000_0512", "val_27_0000_0256"])
    ['train_36', 'train_36', 'val_27']
    >>> places_from_names(["test_1", "test_2"]), places_from_names(["0_2", "0_3", "1_1"])
    (['test_1', 'test_2'], ['0', '0', '1'])
    """
    scenes = [_strip_ending(_OFFSETS, stem) for stem in stems]
    places = [
        scene if scene != stem else _strip_ending(_NUMBER, stem)
        for stem, scene in zip(stems, scenes, strict=True)
    ]
    return scenes if len(set(places)) == 1 else places


def _strip_ending(ending: re.Pattern[str], stem: str) -> str:
    found = ending.fullmatch(stem)
    if not found or found["rest"].strip("_-").lower() in _SPLITS:
        return stem
    return found["rest"]
