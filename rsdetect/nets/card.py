"""The card of a model: what it is, what it wants, what it was trained on, how well it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rsdetect.nets.layout import Difference, Layout

if TYPE_CHECKING:  # a card is read where nobody wants to wait for torch
    from rsdetect.nets.siamese import SiameseNet

_Width = Annotated[int, Field(ge=1, le=1024)]  # a card cannot ask for all the memory


_Blocks = Annotated[int, Field(ge=0, le=16)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Architecture(_Part):
    """Which network, and its widths."""

    kind: Literal["siamese"] = "siamese"
    bands: Annotated[int, Field(ge=1, le=256)]  # a date
    widths: Annotated[tuple[_Width, ...], Field(min_length=2, max_length=4)]  # channels at 1/2, 1/4, ...
    evidence: _Width  # decoder channels at the coarsest level
    blocks: tuple[_Blocks, ...] = (1, 1)  # residual blocks at 1/4, 1/8, ...
    difference: Difference = "absolute"

    @model_validator(mode="after")
    def _blocks_fit_widths(self) -> Self:
        if len(self.blocks) != len(self.widths) - 1:
            raise ValueError(f"{len(self.widths)} widths go with {len(self.widths) - 1} numbers of blocks")
        return self

    @property
    def stride_px(self) -> int:
        """Total stride; chips and tiles are multiples of it."""
        return 1 << len(self.widths)

    @property
    def layout(self) -> Layout:
        """The same without the card around it."""
        return Layout(self.bands, self.widths, self.evidence, self.blocks, self.difference)

    def build(self) -> SiameseNet:
        """The network, freshly initialised."""
        from rsdetect.nets.siamese import SiameseNet

        return SiameseNet(self.bands, self.widths, self.evidence, self.blocks, self.difference)


class Scaling(_Part):
    """How raw pixel values become what the network wants: clip((value - centre) / scale)."""

    centre: Literal["median"] = "median"  # of each date and band, over the pixels valid on both dates
    scale: Literal["(p98-p2)/4.1"] = "(p98-p2)/4.1"  # likewise
    clip: Annotated[float, Field(gt=0)] = 6.0  # values beyond +-clip are cut
    invalid: Literal[0] = 0  # what pixels that are not valid on both dates are set to, after scaling


class Calibration(_Part):
    """How a logit becomes a probability: sigmoid((logit + offset) / temperature)."""

    temperature: Annotated[float, Field(gt=0)]
    offset: float
    change_share: Annotated[float, Field(gt=0, lt=1)]  # of changed pixels, for which it was fitted

    def probability(self, logit: NDArray[np.floating]) -> NDArray[np.floating]:
        """Probability of change in [0, 1], of any shape and of the logits' type."""
        p = logit + logit.dtype.type(self.offset)
        p /= logit.dtype.type(-self.temperature)
        with np.errstate(over="ignore"):  # of an infinite power the reciprocal is 0, as it should be
            np.exp(p, out=p)
        p += 1
        return np.reciprocal(p, out=p)


class EightBit(_Part):
    """What running the network in 8-bit integers takes, and what it costs (`rsdetect quantise`)."""

    ranges: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]]  # step -> largest magnitude
    data: str  # what they were measured on
    f1: dict[str, dict[str, float]] = {}  # data set -> backend, "torch" (float32) among them -> F1

    def f1_lost(self, backend: str) -> float | None:
        """F1 of float32 minus that of `backend`, mean over the data sets; None where nobody measured it."""
        lost = [scores["torch"] - scores[backend] for scores in self.f1.values() if backend in scores]
        return sum(lost) / len(lost) if lost else None


class Training(_Part):
    """How the weights came about."""

    data: str
    seed: int
    steps: int
    chips: int  # chip pairs seen, repetitions counted
    minutes: float  # wall time


class Card(_Part):
    """Everything that a user of a model file must know; stored in the file itself."""

    name: str
    version: str
    architecture: Architecture
    bands: tuple[str, ...]  # names of the bands, in the order of the input
    # The first so many must be there; of the others those that a pair lacks are 0. None = all must.
    bands_required: Annotated[int, Field(ge=1)] | None = None
    scaling: Scaling
    reach_px: Annotated[int, Field(ge=0)]  # measured, see `reach`
    stride_px: Annotated[int, Field(ge=1)]
    parameters: int
    macs_per_pixel_pair: float  # multiply-adds
    calibration: Calibration
    threshold: Annotated[float, Field(gt=0, lt=1)]  # change is a probability at or above it
    eight_bit: EightBit | None = None  # None = nobody has measured the ranges
    training: Training
    scores: dict[str, dict[str, float]]  # data set -> figure -> value
    known_failures: tuple[str, ...]
    licence: str

    @property
    def required(self) -> int:
        """How many of `bands`, counted from the first, a pair must have."""
        return len(self.bands) if self.bands_required is None else self.bands_required
