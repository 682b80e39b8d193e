"""Post-training quantization of a model: its activation ranges and the loss of F1, stored in its card."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsdetect.backends.activation_ranges import measure_activation_ranges
from rsdetect.backends.select import EIGHT_BIT, require_eight_bit
from rsdetect.detectors.learned import Normalisation, SiameseScorer
from rsdetect.errors import InputError, OutputError
from rsdetect.evaluation.run import evaluate
from rsdetect.grid import Window
from rsdetect.metrics import Counts
from rsdetect.nets.card import Card, EightBit
from rsdetect.nets.checkpoint import find_model, load_model, model_hash, save_model
from rsdetect.percent import PERCENT, to_percent
from rsdetect.progress import Progress, show_progress
from rsdetect.simulation import training_pair
from rsdetect.simulation.imaging.sensors import SENSORS
from rsdetect.stats import PixelSample, robust_scale
from rsdetect.tiles import Tile
from rsdetect.validation import as_items, text

SIMULATED = "simulated"  # name of that data set in the card
_PAIRS = 48  # for the activation ranges, and as many for F1
_PAIR_PX = 256
_FIRST_SEED = 900_000_000  # far from the seeds of training
_DIGITS = 4


@dataclass(frozen=True)
class _SimulatedPair:
    """Simulated pair for quantization, with its truth."""

    tile: Tile
    truth: NDArray[np.uint8]  # (height, width), 1 = changed
    slots: tuple[int, ...]  # index of the model's band for each band of the tile


def quantise(model: str, folders: Sequence[str] = (), *, quiet: bool = True) -> EightBit:
    """Quantize a model: measure its activation ranges and its F1 per backend, and store both in its card.

    Equal files give equal ranges. F1 is measured on other simulated pairs, and on the labelled pairs in
    `folders`.

    Parameters
    ----------
    model
        Path or name of a model file; replaced after all measurements.
    folders
        As for `rsdetect.evaluate`.

    Raises
    ------
    InputError
        A folder cannot be used, the model cannot be written, a backend is not installed or not supported by
        this processor, or no simulated sensor has the bands.
    """
    folders = as_items("folders", folders, text)
    path = find_model(model)
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise OutputError(f"{path} cannot be written, so its card cannot store the ranges.")
    for backend in EIGHT_BIT:
        require_eight_bit(backend, "rsdetect quantise")
    net, card = load_model(path)
    with show_progress("simulated pairs", 2 * _PAIRS * _PAIR_PX**2, quiet=quiet) as progress:
        of_ranges = _simulated(card, _FIRST_SEED, progress)
        ranges = measure_activation_ranges(net, (_network_inputs(path, card, pair) for pair in of_ranges))
        of_cost = list(_simulated(card, _FIRST_SEED + _PAIRS, progress))
    last = _FIRST_SEED + _PAIRS - 1
    data = f"{_PAIRS} pairs of {_PAIR_PX} px made by rsdetect.simulation, seeds {_FIRST_SEED} to {last}"
    eight_bit = EightBit(ranges=ranges, data=data)
    f1: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="rsdetect-") as scratch:
        # The model file is replaced only after the last step that can fail.
        trial = Path(scratch) / path.name
        save_model(trial, net, card.model_copy(update={"eight_bit": eight_bit}))
        for backend in ("torch", *EIGHT_BIT):
            for name, value in _backend_f1(trial, card.threshold, backend, of_cost, folders):
                f1.setdefault(name, {})[backend] = round(value, _DIGITS)
    eight_bit = eight_bit.model_copy(update={"f1": f1})
    save_model(path, net, card.model_copy(update={"eight_bit": eight_bit}))
    return eight_bit


def _backend_f1(
    path: Path, threshold: float, backend: str, simulated: Sequence[_SimulatedPair], folders: Sequence[str]
) -> Iterator[tuple[str, float]]:
    """F1 of the quantised model with a backend: data set and value, at the model's threshold."""
    counts = []
    for pair in simulated:
        percent = to_percent(_pair_scorer(path, pair, backend).score(pair.tile))
        counts.append(Counts.of_steps(percent, pair.truth == 1, pair.tile.valid, PERCENT))
    yield SIMULATED, Counts.total(counts).f1_at(threshold)
    if folders:
        found = evaluate(folders, model=str(path), device="cpu", backend=backend, shifts_px=())
        yield from ((source.name, source.figures["f1"].value) for source in found.sources)


def _simulated(card: Card, first_seed: int, progress: Progress) -> Iterator[_SimulatedPair]:
    """Simulate pairs to quantise a model, from all sensors with the bands it requires.

    Raises
    ------
    InputError
        No sensor has the bands.
    """
    kinds = [
        name for name, sensor in SENSORS.items() if set(card.bands[: card.required]) <= set(sensor.bands)
    ]
    if not kinds:
        raise InputError(
            f"no sensor of rsdetect simulate has the bands that {card.name} needs "
            f"({', '.join(card.bands[: card.required])}), so its activation ranges cannot be measured."
        )
    for seed in range(first_seed, first_seed + _PAIRS):
        kind = kinds[seed % len(kinds)]
        made = training_pair(seed, _PAIR_PX, kind)
        has = [name in card.bands for name in SENSORS[kind].bands]
        slots = tuple(card.bands.index(name) for name in SENSORS[kind].bands if name in card.bands)
        before, after = (date[has].astype(np.float32) for date in (made.before, made.after))
        valid = ((made.before != 0).any(axis=0), (made.after != 0).any(axis=0))
        window = Window(0, 0, _PAIR_PX, _PAIR_PX)
        yield _SimulatedPair(Tile(window, window, before, after, *valid), made.truth, slots)
        progress.advance(_PAIR_PX**2)


def _network_inputs(path: Path, card: Card, pair: _SimulatedPair) -> NDArray[np.float32]:
    """Network inputs of a simulated pair to quantise, (2, bands of the model, height, width)."""
    dates = np.zeros((2, len(card.bands), _PAIR_PX, _PAIR_PX), np.float32)
    dates[:, sorted(pair.slots)] = _pair_scorer(path, pair, "torch").normalised(pair.tile, card)
    return dates


def _pair_scorer(path: Path, pair: _SimulatedPair, backend: str) -> SiameseScorer:
    """Scorer of a simulated pair while a model is quantised, normalized by the pair itself."""
    sample = PixelSample.of(pair.tile, every=1)
    return SiameseScorer(
        model=str(path),
        sha256=model_hash(path),
        before=Normalisation(*robust_scale(sample.before)),
        after=Normalisation(*robust_scale(sample.after)),
        slots=pair.slots,
        covered=pair.tile.read,
        device="cpu",
        backend=backend,
        halo=0,  # the pair is scored as one tile
        stride=1,
    )
