"""Text of `rsdetect info` for people: the record of a run, or the card of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsdetect.amounts import count_text, duration_text, number_text

if TYPE_CHECKING:
    from rsdetect.detectors.best_card import EnsembleCard
    from rsdetect.nets.card import Card

Row = tuple[str, str]  # label, text


def aligned(rows: Iterable[Row]) -> Iterator[str]:
    """Lines of an info text, with the texts below each other.

    >>> list(aligned([("name", "siamese"), ("bands", "red, green")]))
    ['name   siamese', 'bands  red, green']
    """
    every = list(rows)
    width = max(len(label) for label, _ in every)
    for label, text in every:
        yield f"{label:{width}}  {text}".rstrip()


def run_rows(record: Mapping[str, Any], folder: Path) -> Iterator[Row]:
    """Rows of the info text on a finished run; keys that older versions did not write are left out."""
    from rsdetect.commands.summary import summary_lines

    for date in ("before", "after"):
        day = record["check"][date]["date"]
        yield date, record["inputs"][date]["path"] + (f", {day}" if day else "")
    yield from _ground_rows(record)
    detector = record["detector"]
    model = f", model {detector['model']}" if "model" in detector else ""
    yield "detector", f"{detector.get('name', '?')}{model}, threshold {record['threshold']:g}"
    if record.get("bands"):
        yield "bands", ", ".join(record["bands"])
    first, *others = summary_lines(record, folder)
    yield "result", first
    yield from (("", line) for line in others)
    warnings = record.get("warnings", record["check"].get("warnings", []))
    yield from (("warning", text) for text in warnings)
    if "seconds" in record:
        stages = ", ".join(f"{name} {number_text(spent)} s" for name, spent in record["seconds"].items())
        yield "time", f"{duration_text(sum(record['seconds'].values()))} ({stages})"
    machine = record.get("machine", {})
    if machine:
        memory = f", {machine['peak_memory_mib']:,.0f} MiB" if "peak_memory_mib" in machine else ""
        version = machine.get("versions", {}).get("rsdetect")
        program = f", rsdetect {version}" if version else ""
        yield "machine", f"{machine.get('device', '?')}{memory}{program}"
    if "finished" in record:
        yield "finished", record["finished"].replace("T", " ").replace("+00:00", " UTC")


def _ground_rows(record: Mapping[str, Any]) -> Iterator[Row]:
    """Row of the info text on the ground that both scenes of a run cover."""
    check = record["check"]
    overlap = check.get("overlap")
    if not overlap:
        return
    edges = " x ".join(f"{edge:.7g}" for edge in overlap["pixel_size"])
    text = f"{overlap['width']:,} x {overlap['height']:,} pixels of {edges}, {overlap['crs'] or 'no CRS'}"
    if check.get("valid_share") is not None:
        text += f"; {check['valid_share']:.1%} valid on both dates"
    yield "compared", text


def card_rows(card: Card, sha256: str) -> Iterator[Row]:
    """Rows of the info text on a model, from its card."""
    yield "name", f"{card.name} {card.version}"
    yield "licence", card.licence
    yield "bands", _bands_text(card.bands, card.required)
    yield "threshold", f"{card.threshold:g}"
    yield (
        "network",
        (
            f"{card.architecture.kind}, {count_text(card.parameters, 'parameter')}, "
            f"{number_text(card.macs_per_pixel_pair)} multiply-adds per pixel, receptive field of radius "
            f"{card.reach_px} px"
        ),
    )
    training = card.training
    yield "trained", f"{count_text(training.steps, 'step')}, seed {training.seed}: {training.data}"
    yield from _score_rows(card.scores)
    if card.eight_bit is not None:
        lost = {name: card.eight_bit.f1_lost(name) for name in ("openvino", "onnx")}
        known = [f"{name} {loss:.4f}" for name, loss in lost.items() if loss is not None]
        yield "int8", "loss of F1: " + ", ".join(known) if known else "activation ranges measured"
    yield from (("known failure", text) for text in card.known_failures)
    yield "SHA-256", sha256


def ensemble_rows(card: EnsembleCard) -> Iterator[Row]:
    """Rows of the info text on the detector `best`, from its card."""
    yield "name", card.name
    yield "licence", card.licence
    yield "parts", ", ".join(card.parts)
    yield "bands", _bands_text(card.bands, card.bands_required)
    yield "threshold", f"{card.threshold:g}"
    yield "fitted", card.fitted
    yield from _score_rows(card.scores)
    yield from (("known failure", text) for text in card.known_failures)


def _bands_text(bands: tuple[str, ...], required: int) -> str:
    needed, helpful = bands[:required], bands[required:]
    return ", ".join(needed) + (f"; optional: {', '.join(helpful)}" if helpful else "")


def _score_rows(scores: Mapping[str, Mapping[str, float]]) -> Iterator[Row]:
    for name, figures in scores.items():
        yield "scores", f"{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in figures.items())
