"""Card of a model: architecture, required input, training data and scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rsdetect.nets.layout import Difference, Layout

if TYPE_CHECKING:  # reading a card does not import torch
    from rsdetect.nets.siamese import SiameseNet

_Width = Annotated[int, Field(ge=1, le=1024)]  # bounds the memory that a card can request


_Blocks = Annotated[int, Field(ge=0, le=16)]


class _CardPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Architecture(_CardPart):
    """Architecture of a model: kind of network and its widths."""

    kind: Literal["siamese"] = "siamese"
    bands: Annotated[int, Field(ge=1, le=256)]  # per date
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
        """Total stride of the card's architecture; chips and tiles are multiples of it."""
        return 1 << len(self.widths)

    @property
    def layout(self) -> Layout:
        """Layout of the network, without the card."""
        return Layout(self.bands, self.widths, self.evidence, self.blocks, self.difference)

    def build(self) -> SiameseNet:
        """Build the network of the card's architecture, randomly initialised."""
        from rsdetect.nets.siamese import SiameseNet

        return SiameseNet(self.bands, self.widths, self.evidence, self.blocks, self.difference)


class Scaling(_CardPart):
    """Scaling of raw pixel values to network input: clip((value - centre) / scale)."""

    centre: Literal["median"] = "median"  # per date and band, over pixels valid on both dates
    scale: Literal["(p98-p2)/4.1"] = "(p98-p2)/4.1"  # likewise
    clip: Annotated[float, Field(gt=0, le=1e3)] = 6.0  # values are clipped to +-clip
    invalid: Literal[0] = 0  # value after scaling of pixels that are not valid on both dates


class Calibration(_CardPart):
    """Calibration of logits to probabilities: sigmoid((logit + offset) / temperature)."""

    temperature: Annotated[float, Field(ge=1e-3, le=1e3)]
    offset: Annotated[float, Field(ge=-1e3, le=1e3)]
    change_share: Annotated[float, Field(gt=0, lt=1)]  # share of changed pixels that it was fitted for

    def probability(self, logit: NDArray[np.floating]) -> NDArray[np.floating]:
        """Probability of change in [0, 1] by the card's calibration, of the logits' shape and dtype."""
        p = logit + logit.dtype.type(self.offset)
        p /= logit.dtype.type(-self.temperature)
        with np.errstate(over="ignore"):  # the reciprocal of infinity is 0, as required
            np.exp(p, out=p)
        p += 1
        return np.reciprocal(p, out=p)


class EightBit(_CardPart):
    """Int8 post-training quantization: activation ranges, and the loss of F1 (`rsdetect quantise`)."""

    ranges: dict[
        str, Annotated[float, Field(gt=0, allow_inf_nan=False)]
    ]  # step -> largest magnitude of its activations
    data: str  # data of the measurement
    f1: dict[str, dict[str, float]] = {}  # data set -> backend, "torch" (float32) among them -> F1

    def f1_lost(self, backend: str) -> float | None:
        """F1 lost by int8 on `backend` according to the card, mean over data sets; None if not measured."""
        lost = [scores["torch"] - scores[backend] for scores in self.f1.values() if backend in scores]
        return sum(lost) / len(lost) if lost else None


class Training(_CardPart):
    """Training of the weights: data, seed, steps and time."""

    data: str
    seed: int
    steps: int
    chips: int  # number of chip pairs, including repetitions
    minutes: float  # wall time


class Card(_CardPart):
    """Card of a model, stored in the model file."""

    name: str
    version: str
    architecture: Architecture
    bands: tuple[str, ...]  # names of the bands, in the order of the input
    # Number of first bands that are required; missing others are 0. None = all are required.
    bands_required: Annotated[int, Field(ge=1)] | None = None
    scaling: Scaling
    reach_px: Annotated[int, Field(ge=0)]  # radius of the receptive field, as measured
    stride_px: Annotated[int, Field(ge=1)]
    parameters: int
    macs_per_pixel_pair: float  # multiply-adds
    calibration: Calibration
    threshold: Annotated[float, Field(gt=0, lt=1)]  # probabilities at or above it are change
    eight_bit: EightBit | None = None  # None = activation ranges were not measured
    training: Training
    scores: dict[str, dict[str, float]]  # data set -> figure -> value
    known_failures: tuple[str, ...]
    licence: str

    @model_validator(mode="after")
    def _require_match_with_architecture(self) -> Self:
        """A wrong receptive field or stride would show as seams between tiles, and nowhere else."""
        layout = self.architecture.layout
        for name, given, true in (
            ("reach_px", self.reach_px, layout.reach()),
            ("stride_px", self.stride_px, self.architecture.stride_px),
            ("number of bands", len(self.bands), self.architecture.bands),
        ):
            if given != true:
                raise ValueError(f"its {name} is {given}, and that of its architecture {true}")
        if self.required > len(self.bands):
            raise ValueError(f"it requires {self.required} of {len(self.bands)} bands")
        return self

    @property
    def required(self) -> int:
        """Number of the first `bands` that a pair must have."""
        return len(self.bands) if self.bands_required is None else self.bands_required
