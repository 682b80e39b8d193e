"""Model files: safetensors with the card in the header. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pydantic
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from rsdetect.errors import ModelError
from rsdetect.nets.card import Card
from rsdetect.nets.siamese import SiameseNet

SUFFIX = ".safetensors"
_SHIPPED = Path(__file__).parent.parent / "models"
_CARD_KEY = "card"


def find_model(model: str | os.PathLike[str]) -> Path:
    """The file of a model, given by path or by the name of one that ships with rsdetect.

    Raises
    ------
    ModelError
        No such file, or no such name.
    """
    path = Path(model)
    if path.is_file():
        return path
    if path.suffix == SUFFIX or len(path.parts) != 1:
        raise ModelError(f"There is no model file at {path}.")
    shipped = _SHIPPED / f"{model}{SUFFIX}"
    if shipped.is_file():
        return shipped
    names = ", ".join(shipped_models()) or "none"
    raise ModelError(
        f"There is no model named '{model}'; rsdetect ships: {names}. "
        f"To use a model of your own, give the path of its {SUFFIX} file."
    )


def shipped_models() -> tuple[str, ...]:
    """Names of the models that come with rsdetect."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob(f"*{SUFFIX}")))


def model_hash(model: str | os.PathLike[str]) -> str:
    """SHA-256 of the model file, hexadecimal."""
    path = find_model(model)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error


def read_card(model: str | os.PathLike[str]) -> Card:
    """The card alone; the weights stay on disk.

    Raises
    ------
    ModelError
        The file is missing, unreadable, not safetensors, or carries no card that rsdetect knows.
    """
    path = find_model(model)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a readable safetensors file: {error}.") from error
    if _CARD_KEY not in metadata:
        raise ModelError(f"{path} carries no model card, so rsdetect cannot know how to use its weights.")
    try:
        return Card.model_validate_json(metadata[_CARD_KEY])
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ModelError(
            f"The model card in {path} does not fit this version of rsdetect ({where}: {first['msg']})."
        ) from error


def load_model(model: str | os.PathLike[str]) -> tuple[SiameseNet, Card]:
    """The network in eval mode on the CPU, with its card.

    Raises
    ------
    ModelError
        As `read_card`, or the weights are not those that the card describes.
    """
    card = read_card(model)
    path = find_model(model)
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a readable safetensors file: {error}.") from error
    with torch.device("meta"):  # shapes without memory, and without drawing random weights
        net = card.architecture.build()
    _check_weights(path, net.state_dict(), weights)
    net.load_state_dict(weights, assign=True)
    return net.eval(), card


def save_model(path: str | os.PathLike[str], net: SiameseNet, card: Card) -> None:
    """Write weights and card as one file, which appears under its name only when whole."""
    path = Path(path)
    weights = {key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()}
    part = path.with_name(path.name + ".part")
    save_file(weights, part, metadata={_CARD_KEY: card.model_dump_json()})
    part.replace(path)


def _check_weights(path: Path, wanted: dict[str, Tensor], weights: dict[str, Tensor]) -> None:
    for key in sorted(wanted.keys() ^ weights.keys()):
        there = "has no" if key in wanted else "has an unexpected"
        raise ModelError(f"{path} {there} tensor '{key}': it is not the network that its card describes.")
    for key, tensor in wanted.items():
        found = weights[key]
        if found.shape != tensor.shape or found.dtype != tensor.dtype:
            raise ModelError(
                f"In {path} the tensor '{key}' is {_words(found)}, but by its card it should be "
                f"{_words(tensor)}."
            )
        if not bool(torch.isfinite(found).all()):
            raise ModelError(f"In {path} the tensor '{key}' holds values that are not finite.")


def _words(tensor: Tensor) -> str:
    shape = " x ".join(str(edge) for edge in tensor.shape) or "one number"
    return f"{shape} {str(tensor.dtype).removeprefix('torch.')}"
