"""Selection of the backend that runs a network, and loading the network with it."""

from __future__ import annotations

import platform
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rsdetect.errors import InputError, ModelError
from rsdetect.extras import missing_extra, missing_torch

if TYPE_CHECKING:  # the command line reads the names here without importing torch
    from rsdetect.backends.network import Network
    from rsdetect.nets.card import Card
    from rsdetect.nets.layout import Weights

BACKENDS = ("auto", "torch", "openvino", "onnx")  # values of --backend
EIGHT_BIT = (
    "openvino",
    "onnx",
)  # int8 backends, which need activation ranges and run on CPUs only; fastest first
MOST_F1_LOST = 0.01  # maximum loss of F1 by int8, averaged over the sets in the card, for `auto` to select it
_INT8_UNITS = {"avx512_vnni", "avx_vnni", "amx_int8"}  # names in Linux and torch
_PACKAGES = {"openvino": ("openvino", "onnx"), "onnx": ("onnxruntime", "onnx")}


def resolve_backend(asked: str, model: str, card: Card, device: str) -> str:
    """Select the backend for a value of `--backend`: "torch", "openvino" or "onnx".

    `auto` selects int8 if by the model's card it costs at most `MOST_F1_LOST` of F1, if it is installed, and
    if the processor has units for it; else float32.

    Parameters
    ----------
    model
        As given by the user, for messages.
    device
        "cpu" or "cuda:i"; for the workers of a cluster also "auto" or "cuda", which may be a GPU.

    Raises
    ------
    InputError
        The name is unknown, the backend is not installed, or this device or processor does not support it.
    ModelError
        The model's card has no activation ranges.
    """
    require_known(asked)
    if asked == "auto":
        usable = (name for name in EIGHT_BIT if device == "cpu" and is_installed(name))
        asked = next(
            (name for name in usable if _loses_little_f1(card, name) and multiplies_bytes()), "torch"
        )
    if asked in EIGHT_BIT:
        _require_activation_ranges(asked, model, card, device)
    elif find_spec("torch") is None:
        raise missing_torch(f"`model` {model} in float32")
    return asked


def require_known(asked: str) -> None:
    """Check the backend to select: raise `InputError` for an unknown name."""
    if asked not in BACKENDS:
        raise InputError(f"`backend` {asked!r} is unknown; choose one of {', '.join(BACKENDS)}.")


def require_eight_bit(backend: str, wanted_by: str) -> None:
    """Check an int8 backend to select: raise `InputError` if it is not installed or not supported here.

    Parameters
    ----------
    wanted_by
        The option or command that requires it, for messages.
    """
    if not is_installed(backend):
        raise missing_extra("cpu", wanted_by)
    if not multiplies_bytes():
        raise InputError(
            f"{wanted_by} needs a processor that adds 8-bit products without overflow (VNNI or AMX), "
            "which this one cannot; only `backend='torch'` runs on it."
        )


def _require_activation_ranges(asked: str, model: str, card: Card, device: str) -> None:
    """Check that a selected int8 backend can run the model on the device."""
    if device != "cpu":
        raise InputError(f"`backend` {asked} runs on CPUs, not on {device}; add `device='cpu'`.")
    require_eight_bit(asked, f"`backend` {asked}")
    if card.eight_bit is None:
        raise ModelError(
            f"the card of the model {model} has no activation ranges for int8, so `backend` {asked} "
            f"cannot run it; measure them with: rsdetect quantise {model}."
        )


def precision(backend: str, device: str) -> str:
    """Precision of the selected backend on a device, as in the record."""
    if backend in EIGHT_BIT:
        return "int8"
    by_device = {"cpu": "float32", "auto": "float32, on GPUs float16"}  # "auto": the device of each worker
    return by_device.get(device, "float16")


def load_network(weights: Weights, card: Card, backend: str, device: str) -> Network:
    """Load the network with the selected backend.

    Parameters
    ----------
    backend, device
        From `resolve_backend` and `resolve_device`.

    Raises
    ------
    InputError
        The backend is not installed here, e.g. on a worker's machine.
    ModelError
        The card lacks activation ranges of this network.
    """
    # Only the selected backend is imported: each takes a fraction of a second, and some may be missing. int8
    # does not import torch, which saves a second and 180 MB.
    if backend in EIGHT_BIT:
        return _load_int8_network(weights, card, backend)
    from rsdetect.nets.siamese import SiameseNet

    net = SiameseNet.of(weights)
    if device == "cpu":
        from rsdetect.backends.torch import TorchNetwork

        return TorchNetwork(net)
    from rsdetect.backends.cuda import CudaNetwork

    return CudaNetwork(net, device)


def _load_int8_network(weights: Weights, card: Card, backend: str) -> Network:
    """Load the network with the selected int8 backend."""
    _require_activation_ranges(backend, card.name, card, "cpu")
    from rsdetect.backends.onnx_graph import quantized_onnx_graph

    assert card.eight_bit is not None
    try:
        graph = quantized_onnx_graph(weights, card.eight_bit.ranges, card.scaling.clip)
    except KeyError as error:
        raise ModelError(
            f"the card of the model {card.name} lacks the activation range of {error}; measure all ranges "
            "again with: rsdetect quantise MODEL."
        ) from None
    if backend == "onnx":
        from rsdetect.backends.onnx import OnnxNetwork

        return OnnxNetwork(graph)
    from rsdetect.backends.openvino import OpenVinoNetwork

    return OpenVinoNetwork(graph)


def multiplies_bytes() -> bool:
    """True if int8 backends can be selected: the processor adds 8-bit products in 32 bits.

    x86 without VNNI adds pairs of them in 16 bits, which overflow silently.
    """
    if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686", "x86"):
        return True
    return not _INT8_UNITS.isdisjoint(_processor_int8_units())


def _processor_int8_units() -> set[str]:
    """Units of `_INT8_UNITS` that the processor has and the system enables, to select int8 backends."""
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()  # Linux
    except OSError:
        import torch

        return {unit for unit in _INT8_UNITS if torch.cpu.get_capabilities().get(unit, False)}
    return _INT8_UNITS.intersection(words)


def is_installed(backend: str) -> bool:
    """True if an int8 backend can be selected: its packages are importable."""
    return all(find_spec(package) is not None for package in _PACKAGES[backend])


def _loses_little_f1(card: Card, backend: str) -> bool:
    """True if `auto` may select an int8 backend: the card's loss of F1 is within `MOST_F1_LOST`."""
    lost = None if card.eight_bit is None else card.eight_bit.f1_lost(backend)
    return lost is not None and lost <= MOST_F1_LOST
