"""Strips of the scene that a learned detector processes from the top down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch

from rsdetect.arraytypes import Float32Array
from rsdetect.detectors.half_resolution import enlarged, halved
from rsdetect.detectors.mirroring import BottomEdge, mirror
from rsdetect.detectors.row_filters import Delay
from rsdetect.grid import Window
from rsdetect.nets.card import Card
from rsdetect.nets.streaming import StreamingNet
from rsdetect.tiles import Tile


class Normalises(Protocol):
    """Normalisation of the pixels of one date for a strip's network."""

    def apply(self, pixels: Float32Array, clip: float, slots: tuple[int, ...], out: Float32Array) -> None:
        """Normalise each band of raw `pixels` into its slot of `out`, clipped to +-clip."""
        ...


class SiameseStrip:
    """Strip of a Siamese scorer: rows of raw pixels to rows of probability.

    Rows above the scene are held until the rows that they mirror are there. So that none of the scene's own
    rows is waited for, the output is delayed by the halo, a few rows more than the network's.

    Parameters
    ----------
    nets
        The network by the edge in pixels of the blocks whose means it reads, 1 or 2; the logits are means
        over them.
    dates
        Normalisations.
    scene
        What both dates cover; mirrored at its edges.
    halo
        Pixels, at least the delay of the network.
    """

    def __init__(
        self,
        nets: Mapping[int, StreamingNet],
        card: Card,
        dates: tuple[Normalises, Normalises],
        scene: Window,
        halo: int,
    ) -> None:
        self._nets = nets
        self._card = card
        self._normalise = dates
        edge, net = next(iter(nets.items()))
        *others, height, width = net.shape
        self._dates = np.empty((*others, edge * height, edge * width), np.float32)
        self._scene = scene
        self._bottom = BottomEdge(scene.height, halo)
        self._held: list[Float32Array] = []
        self._delays = {edge: Delay(halo - edge * net.late) for edge, net in nets.items()}
        self.late = halo  # rows

    def push(self, rows: Tile) -> Float32Array:
        """Push rows into the strip; returns the probability of the rows `late` higher up, (height, width)."""
        scaling = self._card.scaling
        every = tuple(range(self._dates.shape[1]))
        for normalise, pixels, out in zip(
            self._normalise, (rows.before, rows.after), self._dates, strict=True
        ):
            normalise.apply(pixels, scaling.clip, every, out)
        if not (valid := rows.valid).all():
            np.copyto(self._dates, np.float32(scaling.invalid), where=~valid)
            mirror(self._dates, 3, rows.read.col_off - self._scene.col_off, self._scene.width, self.late)
        first = rows.read.row_off - self._scene.row_off
        if first + rows.read.height < self.late:
            self._held.append(self._dates.copy())
            return np.zeros(rows.valid.shape, np.float32)
        for dates in self._mirrored_rows(first):
            at = [self._logits(edge, dates) for edge in self._nets]
            logit = at[0] if len(at) == 1 else (at[0] + at[1]) * np.float32(0.5)
        return self._card.calibration.probability(logit)

    def _logits(self, edge: int, dates: Float32Array) -> Float32Array:
        """Logits of the rows `late` higher up, from blocks of this edge, (height, width)."""
        blocks = dates if edge == 1 else halved(dates)
        pushed: Float32Array = self._nets[edge].push(torch.from_numpy(blocks)).numpy()
        logits = pushed if edge == 1 else enlarged(pushed)
        return np.asarray(self._delays[edge].push(logits[None])[0])

    def _mirrored_rows(self, first: int) -> list[Float32Array]:
        """Dates of the rows that were held, and of the present ones from row `first` of the scene."""
        parts = [*self._held, self._dates]
        self._held = []
        if first < 0 or len(parts) > 1:
            joined = np.concatenate(parts, axis=2)
            height = self._dates.shape[2]
            mirror(joined, 2, first - (len(parts) - 1) * height, self._scene.height, self.late)
            parts = np.split(joined, len(parts), axis=2)
            first -= (len(parts) - 1) * height
        for number, part in enumerate(parts):
            self._bottom.mirror(part, first + number * part.shape[2])
        return parts
