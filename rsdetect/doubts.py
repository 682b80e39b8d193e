"""Doubts about the place, the validity or the units of a scene, each with the name that `accept` takes.

A doubt ends a job with status 2 and one sentence that names the option which settles it. Where the user
accepts it by name, the job goes on and its record holds the doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rsdetect.errors import DoubtError, InputError

DOUBTS = {
    "no-place": "a scene names a CRS and has no transform of its own",
    "units": "one scene names the scale and offset of its numbers and the other does not",
    "control-point": "a ground control point of a scene disagrees with the others",
}


@dataclass(frozen=True)
class Doubt:
    """Doubt about a scene."""

    name: str  # one of DOUBTS
    text: str  # a sentence without full stop: what is in doubt, and the option that settles it

    def __post_init__(self) -> None:
        assert self.name in DOUBTS, self.name


def require_known_doubts(names: Iterable[str]) -> None:
    """Refuse a name in `accept` that no doubt has.

    Raises
    ------
    InputError
        The message lists the names that there are.
    """
    for name in names:
        if name not in DOUBTS:
            raise InputError(f"`accept` {name!r} is not a doubt; there are {', '.join(DOUBTS)}.")


def settle_doubts(doubts: Sequence[Doubt], accepted: Sequence[str]) -> tuple[Doubt, ...]:
    """The doubts, all of them accepted.

    Raises
    ------
    DoubtError
        One of them is not.
    """
    for doubt in doubts:
        if doubt.name not in accepted:
            raise DoubtError(f"{doubt.text} (`accept={doubt.name!r}` goes on).")
    return tuple(dict.fromkeys(doubts))
