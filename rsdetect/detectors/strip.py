"""Strips of the scene that a learned detector processes from the top down."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from rsdetect.arraytypes import Float32Array
from rsdetect.nets.card import Card
from rsdetect.nets.streaming import StreamingNet
from rsdetect.tiles import Tile


class Normalises(Protocol):
    """Normalisation of the pixels of one date for a strip's network."""

    def apply(self, pixels: Float32Array, clip: float, slots: tuple[int, ...], out: Float32Array) -> None:
        """Normalise each band of raw `pixels` into its slot of `out`, clipped to +-clip."""
        ...


class SiameseStrip:
    """Strip of a Siamese scorer: rows of raw pixels to rows of probability; `dates` are normalisations."""

    def __init__(self, net: StreamingNet, card: Card, dates: tuple[Normalises, Normalises]) -> None:
        self._net = net
        self._card = card
        self._normalise = dates
        self._dates = np.empty(net.shape, np.float32)

    @property
    def late(self) -> int:
        """Delay of the strip's output in rows."""
        return self._net.late

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
        logit: Float32Array = self._net.push(torch.from_numpy(self._dates)).numpy()
        return self._card.calibration.probability(logit)
