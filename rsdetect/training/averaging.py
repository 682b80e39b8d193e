"""Weight averaging of models that were fine-tuned from the same weights.

Networks fine-tuned on different data from the same weights can be averaged weight by weight: the mean costs
no more than one of them, and generalises better than each (Wortsman et al. 2022, "Model soups", section 3;
all models have equal weight).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rsdetect.errors import InputError
from rsdetect.nets.card import Architecture, Card
from rsdetect.nets.checkpoint import load_model
from rsdetect.nets.siamese import SiameseNet


def load_for_averaging(
    model: str, architecture: Architecture, bands: tuple[str, ...]
) -> tuple[SiameseNet, Card]:
    """Load a model for weight averaging with a network of this architecture and bands.

    Raises
    ------
    InputError
        It has another architecture or other bands.
    ModelError
        There is no such model, or it cannot be read.
    """
    net, card = load_model(model)
    if (card.architecture, card.bands) != (architecture, bands):
        raise InputError(
            f"`average_with` {model}: the weights of {card.name} {card.version} cannot be averaged with "
            "those of this run, because it has another architecture or other bands."
        )
    return net, card


def average_weights(nets: Sequence[SiameseNet], architecture: Architecture) -> SiameseNet:
    """Average the weights and batch norm statistics of `nets`; returns a network in eval mode."""
    states = [net.state_dict() for net in nets]
    mean = {
        key: torch.stack([state[key] for state in states]).mean(dim=0) if value.is_floating_point() else value
        for key, value in states[0].items()
    }
    net = architecture.build()
    net.load_state_dict(mean)
    return net.eval()
