"""The mean of the weights of models that began as one.

Networks that were trained on from the same weights, each on something else, can be averaged weight by weight:
the mean costs no more than one of them, and holds better than any where none has been (Wortsman et al. 2022,
"Model soups", section 3; every model counts alike, none is chosen).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rsdetect.errors import InputError
from rsdetect.nets.card import Architecture, Card
from rsdetect.nets.checkpoint import load_model
from rsdetect.nets.siamese import SiameseNet


def load_like(model: str, architecture: Architecture, bands: tuple[str, ...]) -> tuple[SiameseNet, Card]:
    """Load a model that can be averaged with a network of this architecture for these bands.

    Raises
    ------
    InputError
        It is built in another way, or wants other bands.
    ModelError
        There is no such model, or it cannot be read.
    """
    net, card = load_model(model)
    if (card.architecture, card.bands) != (architecture, bands):
        raise InputError(
            f"`average_with` {model}: the weights of {card.name} {card.version} cannot be averaged with "
            "those of this run, because its network is another one or wants other bands."
        )
    return net, card


def mean_of(nets: Sequence[SiameseNet], architecture: Architecture) -> SiameseNet:
    """The network, in eval mode, whose weights and batch norm statistics are the mean of those of `nets`."""
    states = [net.state_dict() for net in nets]
    mean = {
        key: torch.stack([state[key] for state in states]).mean(dim=0) if value.is_floating_point() else value
        for key, value in states[0].items()
    }
    net = architecture.build()
    net.load_state_dict(mean)
    return net.eval()
