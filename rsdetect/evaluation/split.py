"""Split file: divides labelled sets into parts by place.

::

    rule = "how the places were divided"     # for readers
    reporting = ["report"]                   # parts whose figures are logged
    looks = "looks.jsonl"                    # the log, relative to the folder of this file

    [[places]]
    name = "levir-cd/test_1-3"
    part = "report"
    scenes.levir-cd = ["test_1", "test_2", "test_3"]   # names of pairs per name of their folder
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from rsdetect.errors import InputError
from rsdetect.labelled import LabelledPair
from rsdetect.reading import read_text


class SplitPlace(BaseModel):
    """Place of a split: scenes so close to each other that they are never divided."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    part: str
    scenes: dict[str, tuple[str, ...]]  # name of a source's folder -> names of its pairs


class Split(BaseModel):
    """Split of labelled sets: places with their parts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: str
    reporting: tuple[str, ...] = ()
    looks: str = "looks.jsonl"
    places: tuple[SplitPlace, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the split's parts, in the order of the file."""
        return tuple(dict.fromkeys(place.part for place in self.places))

    def place_of(self, source: str, scene: str) -> SplitPlace | None:
        """Place of a scene in the split; None if no part contains it."""
        return self._index().get((source, scene))

    def select(self, source: str, pairs: Sequence[LabelledPair], part: str) -> list[LabelledPair]:
        """Select the pairs of a part of the split, each with its place.

        Raises
        ------
        InputError
            The source has no pair in the part, a pair is in no part, or one of the part is missing: figures
            of a part always refer to the same scenes.
        """
        chosen = []
        for pair in pairs:
            place = self.place_of(source, pair.name)
            if place is None:
                raise InputError(f"{source}/{pair.name} is in no part of the split.")
            if place.part == part:
                chosen.append(replace(pair, place=place.name))
        wanted = {
            scene for place in self.places if place.part == part for scene in place.scenes.get(source, ())
        }
        missing = sorted(wanted - {pair.name for pair in chosen})
        if missing:
            raise InputError(f"the split lists {source}/{missing[0]}, but the folder has no such pair.")
        if not chosen:
            raise InputError(f"{source} has no pair in the part {part!r} of the split; leave it out.")
        return chosen

    def _index(self) -> dict[tuple[str, str], SplitPlace]:
        """Places of the split by (source, scene)."""
        return {
            (source, scene): place
            for place in self.places
            for source, scenes in place.scenes.items()
            for scene in scenes
        }


def read_split(path: Path) -> Split:
    """Read a split file.

    Raises
    ------
    InputError
        The file cannot be read, has unknown keys, or lists a scene or a place twice.
    """
    try:
        split = Split.model_validate(tomllib.loads(read_text(path, "a split")))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the split {path} cannot be read: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(f"the split {path}: {key}: {first['msg']}.") from error
    names = [place.name for place in split.places]
    scenes = [
        f"{source}/{scene}"
        for place in split.places
        for source in place.scenes
        for scene in place.scenes[source]
    ]
    for what in (names, scenes):
        twice = next((name for name in what if what.count(name) > 1), None)
        if twice:
            raise InputError(f"the split {path} has {twice} twice.")
    unknown = [part for part in split.reporting if part not in split.parts]
    if unknown:
        raise InputError(f"the split {path} reports on {unknown[0]!r}, but no place belongs to that part.")
    return split
