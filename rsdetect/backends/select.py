"""Which backend runs a network, and the network made ready by it."""

from __future__ import annotations

import platform
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rsdetect.errors import InputError, ModelError
from rsdetect.extras import missing_extra, missing_torch

if TYPE_CHECKING:  # the command line looks at the words here, and shall not wait for torch
    from rsdetect.backends.base import Network
    from rsdetect.nets.card import Card
    from rsdetect.nets.layout import Weights

BACKENDS = ("auto", "torch", "openvino", "onnx")  # what --backend takes
EIGHT_BIT = ("openvino", "onnx")  # those that need ranges and run on processors only, the faster first
MOST_F1_LOST = 0.01  # by 8 bits, on the mean of the sets in the card, for `auto` to take them
_UNITS = {"avx512_vnni", "avx_vnni", "amx_int8"}  # as Linux and torch call them
_PACKAGES = {"openvino": ("openvino", "onnx"), "onnx": ("onnxruntime", "onnx")}


def resolve_backend(asked: str, model: str, card: Card, device: str) -> str:
    """Turn what `--backend` takes into "torch", "openvino" or "onnx".

    `auto` takes 8 bits where the card of the model says that they cost at most `MOST_F1_LOST` of F1, where
    they are installed, and where the processor has units for them; else float32.

    Parameters
    ----------
    model
        As the user named it, for messages.
    device
        "cpu" or "cuda:i"; for the workers of a cluster also "auto" or "cuda", which may be a GPU.

    Raises
    ------
    InputError
        An unknown word, a backend that is not installed, or one that this device or processor cannot run.
    ModelError
        Nobody has measured the model's ranges.
    """
    require_known(asked)
    if asked == "auto":
        usable = (name for name in EIGHT_BIT if device == "cpu" and is_installed(name))
        asked = next((name for name in usable if _is_cheap(card, name) and multiplies_bytes()), "torch")
    if asked in EIGHT_BIT:
        _require_measured(asked, model, card, device)
    elif find_spec("torch") is None:
        raise missing_torch(f"`model` {model} in float32")
    return asked


def require_known(asked: str) -> None:
    """Raise `InputError` where `--backend` does not know the word."""
    if asked not in BACKENDS:
        raise InputError(f"`backend` {asked!r} is unknown; choose one of {', '.join(BACKENDS)}.")


def require_eight_bit(backend: str, wanted_by: str) -> None:
    """Raise `InputError` where a backend of 8 bits is not installed, or the processor cannot run it.

    Parameters
    ----------
    wanted_by
        The option or command that needs it, for messages.
    """
    if not is_installed(backend):
        raise missing_extra("cpu", wanted_by)
    if not multiplies_bytes():
        raise InputError(
            f"{wanted_by} needs a processor that sums products of 8 bits without overflow (VNNI or AMX), and "
            "this one does not; only `backend='torch'` runs on it."
        )


def _require_measured(asked: str, model: str, card: Card, device: str) -> None:
    if device != "cpu":
        raise InputError(f"`backend` {asked} runs on processors and not on {device}; add `device='cpu'`.")
    require_eight_bit(asked, f"`backend` {asked}")
    if card.eight_bit is None:
        raise ModelError(
            f"the card of the model {model} has no ranges for 8 bits, so `backend` {asked} cannot run it; "
            f"measure them with: rsdetect quantise {model}."
        )


def precision(backend: str, device: str) -> str:
    """What a network is computed in, as the record says it."""
    if backend in EIGHT_BIT:
        return "int8"
    by_device = {"cpu": "float32", "auto": "float32, on GPUs float16"}  # "auto": what each worker has
    return by_device.get(device, "float16")


def load_network(weights: Weights, card: Card, backend: str, device: str) -> Network:
    """Make the network ready to run.

    Parameters
    ----------
    backend, device
        As `resolve_backend` and `resolve_device` give them.

    Raises
    ------
    InputError
        The backend is not installed here, as may happen to a worker on another machine.
    ModelError
        The card does not know the ranges of this network.
    """
    # Only one of them is imported: each takes part of a second, and not all may be there. With 8 bits torch
    # is not imported at all, which takes a second and 180 MB.
    if backend in EIGHT_BIT:
        return _load_eight_bit(weights, card, backend)
    from rsdetect.nets.siamese import SiameseNet

    net = SiameseNet.of(weights)
    if device == "cpu":
        from rsdetect.backends.torch import TorchNetwork

        return TorchNetwork(net)
    from rsdetect.backends.cuda import CudaNetwork

    return CudaNetwork(net, device)


def _load_eight_bit(weights: Weights, card: Card, backend: str) -> Network:
    _require_measured(backend, card.name, card, "cpu")
    from rsdetect.backends.graph import quantised_graph

    assert card.eight_bit is not None
    try:
        graph = quantised_graph(weights, card.eight_bit.ranges, card.scaling.clip)
    except KeyError as error:
        raise ModelError(
            f"the card of the model {card.name} does not say how far {error} reaches; measure all ranges "
            "anew with: rsdetect quantise MODEL."
        ) from None
    if backend == "onnx":
        from rsdetect.backends.onnx import OnnxNetwork

        return OnnxNetwork(graph)
    from rsdetect.backends.openvino import OpenVinoNetwork

    return OpenVinoNetwork(graph)


def multiplies_bytes() -> bool:
    """Whether the processor sums products of 8 bits in 32.

    x86 without VNNI sums pairs of them in 16 bits, which overflow silently.
    """
    if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686", "x86"):
        return True
    return not _UNITS.isdisjoint(_processor_units())


def _processor_units() -> set[str]:
    """Of `_UNITS`, those that the processor has and the system lets programs use."""
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()  # Linux
    except OSError:
        import torch

        return {unit for unit in _UNITS if torch.cpu.get_capabilities().get(unit, False)}
    return _UNITS.intersection(words)


def is_installed(backend: str) -> bool:
    """Whether the packages that a backend of 8 bits takes can be imported."""
    return all(find_spec(package) is not None for package in _PACKAGES[backend])


def _is_cheap(card: Card, backend: str) -> bool:
    lost = None if card.eight_bit is None else card.eight_bit.f1_lost(backend)
    return lost is not None and lost <= MOST_F1_LOST
