"""Checkpoints of Lightning as safetensors: tensors as tensors, the rest as JSON. Nothing is unpickled."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rsdetect.errors import InputError
from rsdetect.files import atomic_path, clear_unfinished

_KEY = "checkpoint"


class SafetensorsIO(CheckpointIO):
    """Reads and writes checkpoints as safetensors, atomically and without loss."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Parameters
        ----------
        checkpoint
            Nested dicts, lists and tuples of tensors, numbers, strings and None.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Tensor] = {}
        content = json.dumps(_encode_checkpoint(checkpoint, tensors))
        clear_unfinished(path.parent, path.name)  # of a killed run, as large as this one
        with atomic_path(path) as unfinished:
            unfinished.write_bytes(save(tensors, metadata={_KEY: content}))

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; its tensors are on the CPU.

        Raises
        ------
        InputError
            The file was not written by `save_checkpoint`.
        """
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                content = json.loads((file.metadata() or {})[_KEY])
            checkpoint: dict[str, Any] = _decode_checkpoint(content, tensors)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise InputError(
                f"{path} is not the state of a training run ({error}); name another folder as `work`."
            ) from error
        return checkpoint

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a checkpoint, if it exists."""
        Path(path).unlink(missing_ok=True)


def _encode_checkpoint(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Encode a checkpoint's `value` in JSON types; tensors are added to `tensors` under a number.

    JSON allows only strings as keys, and neither tuples nor tensors, so other values are tagged with their
    kind: {"dict": [[key, value], ...]}, {"list": [...]}, {"tuple": [...]}, {"tensor": "7"}.
    """
    if isinstance(value, Tensor):
        key = str(len(tensors))
        # A copy, because safetensors refuses tensors that share memory or are not contiguous.
        tensors[key] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": key}
    if isinstance(value, dict):
        return {
            "dict": [
                [_encode_checkpoint(k, tensors), _encode_checkpoint(v, tensors)] for k, v in value.items()
            ]
        }
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_encode_checkpoint(each, tensors) for each in value]}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__} {value!r}")


def _decode_checkpoint(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_decode_checkpoint(k, tensors): _decode_checkpoint(v, tensors) for k, v in content}
    parts = [_decode_checkpoint(each, tensors) for each in content]
    return tuple(parts) if kind == "tuple" else parts
