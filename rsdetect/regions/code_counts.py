"""Counts of pixel codes per piece or region, stored sparsely, because a region has few of the codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Int64Array

_CODES = 256


@dataclass(frozen=True)
class CodeCounts:
    """Counts of pixel codes (one byte) of several owners, in the order of owner and code."""

    owner: Int64Array  # (n,) number of the piece or region
    code: Int64Array  # (n,) 0 to 255
    count: Int64Array  # (n,) pixels, at least 1

    @classmethod
    def nothing(cls) -> CodeCounts:
        """Counts without a pixel."""
        none = np.empty(0, np.int64)
        return cls(none, none, none)

    @classmethod
    def of(cls, owner: Int64Array, code: NDArray[np.integer], count: Int64Array | None = None) -> CodeCounts:
        """Counts of the pixels of each owner and code, in any order; `count` = pixels of each entry.

        >>> CodeCounts.of(np.array([1, 0, 1]), np.array([7, 9, 7])).count
        array([1, 2])
        """
        key = owner * _CODES + code
        if count is None:
            # By a stable sort, which is fast on what is almost in order, as pixels along rows are.
            key = np.sort(key, kind="stable")
            first = np.flatnonzero(np.diff(key, prepend=-1))
            return cls(*np.divmod(key[first], _CODES), np.diff(first, append=key.size))
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        total = np.add.reduceat(count[order], first) if first.size else count
        return cls(*np.divmod(key[first], _CODES), total)

    def chosen(self, chosen: BoolArray | Int64Array, owners: int) -> CodeCounts:
        """Counts of the chosen ones of `owners` owners, each at most once, numbered in their order."""
        number = np.full(owners, -1, np.int64)
        picked = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        number[picked] = np.arange(len(picked))
        owner = number[self.owner]
        stays = owner >= 0
        return CodeCounts.of(owner[stays], self.code[stays], self.count[stays])

    def grouped(self, group: Int64Array) -> CodeCounts:
        """Counts added up over owners with the same number in `group`, (owners,)."""
        return CodeCounts.of(group[self.owner], self.code, self.count)

    @staticmethod
    def joined(parts: Sequence[CodeCounts], owners: Sequence[int]) -> CodeCounts:
        """Counts of several parts one after the other, of `owners` owners each."""
        before = np.cumsum([0, *owners[:-1]])
        return CodeCounts(
            np.concatenate([part.owner + first for part, first in zip(parts, before, strict=True)]),
            np.concatenate([part.code for part in parts]),
            np.concatenate([part.count for part in parts]),
        )
