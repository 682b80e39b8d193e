"""Model files (checkpoints): safetensors with the card in the header. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydantic
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from rsdetect.errors import ModelError, ResultMismatch
from rsdetect.files import atomic_path
from rsdetect.nets.card import Card
from rsdetect.nets.layout import Layout, Weights

if TYPE_CHECKING:  # reading a card does not import torch
    from rsdetect.nets.siamese import SiameseNet

SUFFIX = ".safetensors"
_SHIPPED = Path(__file__).parent.parent / "models"
_CARD_KEY = "card"
_LARGEST_WEIGHT = 1e6  # of models in use it is below 1e3
_MOST_HEADER_BYTES, _MOST_CARD_CHARACTERS = 2**22, 2**18
_TYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64", "I64": "int64"}


def find_model(model: str | os.PathLike[str]) -> Path:
    """Find a checkpoint: the model file of a path or of the name of a shipped model.

    Raises
    ------
    ModelError
        There is no such file or name.
    """
    path = Path(model)
    if path.is_file():
        return path
    if path.suffix == SUFFIX or len(path.parts) != 1:
        raise ModelError(f"There is no model file at {path}.")
    shipped = _SHIPPED / f"{str(model).lower()}{SUFFIX}"
    if shipped.is_file():
        return shipped
    names = ", ".join(shipped_models()) or "none"
    raise ModelError(
        f"There is no model named '{model}'; rsdetect ships: {names}. "
        f"To use a model of your own, give the path of its {SUFFIX} file."
    )


def shipped_models() -> tuple[str, ...]:
    """Names of the checkpoints (model files) that are shipped with rsdetect."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob(f"*{SUFFIX}")))


def model_hash(model: str | os.PathLike[str]) -> str:
    """SHA-256 of a checkpoint (model file), hexadecimal."""
    path = find_model(model)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error


def read_card(model: str | os.PathLike[str]) -> Card:
    """Read the card of a checkpoint (model file) without the weights.

    Raises
    ------
    ModelError
        The file is missing, unreadable, not safetensors, or has no card of a known version.
    """
    path = find_model(model)
    _require_small_header(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a readable safetensors file: {error}.") from error
    if _CARD_KEY not in metadata:
        raise ModelError(f"{path} carries no model card, so rsdetect cannot know how to use its weights.")
    if len(metadata[_CARD_KEY]) > _MOST_CARD_CHARACTERS:
        raise ModelError(f"The model card in {path} is too long: {len(metadata[_CARD_KEY]):,} characters.")
    try:
        return Card.model_validate_json(metadata[_CARD_KEY])
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ModelError(
            f"The model card in {path} does not fit this version of rsdetect ({where}: {first['msg']})."
        ) from error


def _require_small_header(path: Path) -> None:
    """Refuse a file whose header would take more memory than any model's."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    if length > _MOST_HEADER_BYTES:
        raise ModelError(f"{path} is not a readable safetensors file: its header is {length:,} bytes long.")


def load_weights(model: str | os.PathLike[str]) -> tuple[Weights, Card]:
    """Load the weights and the card of a checkpoint (model file).

    Raises
    ------
    ModelError
        As `read_card`, or the weights do not match the card.
    """
    card = read_card(model)
    path = find_model(model)
    layout = card.architecture.layout
    try:
        with safe_open(path, framework="numpy") as file:
            _check_tensor_shapes(path, layout, file)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, the file is no mapping
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a readable safetensors file: {error}.") from error
    for key, values in tensors.items():
        if not np.isfinite(values).all():
            raise ModelError(f"In {path} the tensor '{key}' holds values that are not finite.")
        if np.abs(values).max(initial=0) > _LARGEST_WEIGHT and not key.endswith("num_batches_tracked"):
            raise ModelError(f"In {path} the tensor '{key}' holds values beyond {_LARGEST_WEIGHT:g}.")
        if key.endswith("running_var") and values.min(initial=0) < 0:
            raise ModelError(f"In {path} the tensor '{key}' holds a variance below 0.")
    return Weights(layout, tensors), card


def load_model(model: str | os.PathLike[str]) -> tuple[SiameseNet, Card]:
    """Load network and card of a checkpoint (model file), in eval mode on the CPU."""
    from rsdetect.nets.siamese import SiameseNet

    weights, card = load_weights(model)
    return SiameseNet.of(weights), card


def save_model(path: str | os.PathLike[str], net: SiameseNet, card: Card) -> None:
    """Save weights and card as a checkpoint (model file), atomically, and read it back.

    Raises
    ------
    OSError
        The disk is full or fails.
    ResultMismatch
        The file differs from what was written.
    """
    path = Path(path)
    # Not `save_file`, which ignores the umask: only the owner could read the file.
    content = save(dict(net.weights().tensors), metadata={_CARD_KEY: card.model_dump_json()})
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(content)
        if unfinished.read_bytes() != content:
            raise ResultMismatch(f"model: {path} differs from the weights that were written to it.")


def _check_tensor_shapes(path: Path, layout: Layout, file: Any) -> None:
    wanted = layout.tensors()
    for key in sorted(wanted.keys() ^ set(file.keys())):
        there = "has no" if key in wanted else "has an unexpected"
        raise ModelError(f"{path} {there} tensor '{key}': it is not the network that its card describes.")
    for key, (shape, dtype) in wanted.items():
        found = file.get_slice(key)
        kind = _TYPES.get(found.get_dtype(), found.get_dtype())
        there, wants = _describe_tensor(found.get_shape(), kind), _describe_tensor(shape, dtype.name)
        if there != wants:
            raise ModelError(
                f"In {path} the tensor '{key}' is {there}, but by its card it should be {wants}."
            )


def _describe_tensor(shape: Sequence[int], kind: str) -> str:
    return f"{' x '.join(str(edge) for edge in shape) or 'one number'} {kind}"
