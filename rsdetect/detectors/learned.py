"""Learned detector: a Siamese network on globally normalised dates."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.backends.network import Network, RowNetwork
from rsdetect.backends.select import EIGHT_BIT, load_network, precision, resolve_backend
from rsdetect.detectors.base import TORCH_BYTES, Detector, Scorer
from rsdetect.detectors.half_resolution import enlarged, half_resolution_reach, halved
from rsdetect.detectors.mirroring import mirror
from rsdetect.errors import ModelError, NothingToCompare
from rsdetect.grid import Window
from rsdetect.jsontypes import JsonObject
from rsdetect.nets.card import Card
from rsdetect.nets.checkpoint import load_weights, model_hash, read_card
from rsdetect.scenes.bands import WantedBands
from rsdetect.stats import measure_dates, robust_scale
from rsdetect.tiles import Tile

if TYPE_CHECKING:  # training uses this module without rasterio, which scan requires
    from rsdetect.checks.scan import Scan
    from rsdetect.detectors.strip import SiameseStrip
    from rsdetect.scenes.pair import Pair

DEFAULT_MODEL = "siamese"


@dataclass(frozen=True)
class Normalisation:
    """Normalisation of one date: centre and scale per band, in raw pixel values."""

    centre: tuple[float, ...]
    scale: tuple[float, ...]

    def apply(self, pixels: Float32Array, clip: float, slots: tuple[int, ...], out: Float32Array) -> None:
        """Normalise each band of raw `pixels` for the learned network into its slot of `out`, clipped.

        Parameters
        ----------
        pixels
            (len(slots), height, width).
        out
            (bands of the model, height, width); other slots are unchanged.
        """
        for values, slot, centre, scale in zip(pixels, slots, self.centre, self.scale, strict=True):
            band = out[slot]
            np.subtract(values, np.float32(centre), out=band)
            np.divide(band, np.float32(scale), out=band)
            np.clip(band, -clip, clip, out=band)


@dataclass(frozen=True, kw_only=True)
class SiameseScorer(Scorer):
    """Scorer of a fitted `SiameseDetector`: normalisation and the name of a model, no network."""

    model: str  # name or path
    sha256: str  # of the model file; changed content is refused
    before: Normalisation
    after: Normalisation
    slots: tuple[int, ...]  # index of the model's band for each band of the pair
    covered: Window  # the scene, which is mirrored at its edges
    device: str  # "cpu", "cuda", "cuda:0"
    backend: str  # "torch", "openvino" or "onnx"
    halo: int  # radius of the model's receptive field in pixels
    stride: int  # pixels
    # Edges in pixels of the blocks whose means the network reads, 1 or 2; the logits are means over them.
    blocks: tuple[int, ...] = (1,)

    name = "siamese"
    skips_equal = True

    def score(self, tile: Tile) -> Float32Array:
        """Change probability over `tile.read`, (height, width) float32."""
        network, card = self._network()
        dates = self.normalised(tile, card)
        at = [
            network.logits(dates) if edge == 1 else enlarged(network.logits(halved(dates)))
            for edge in self.blocks
        ]
        logits = at[0] if len(at) == 1 else (at[0] + at[1]) * np.float32(0.5)  # (height, width)
        return card.calibration.probability(logits)

    def normalised(self, tile: Tile, card: Card) -> Float32Array:
        """Normalised dates, bands in model order, (2, bands, height, width); valid until the next call.

        Mirrored at the scene's edges.
        """
        valid = tile.valid
        dates = _room((2, *tile.before.shape))
        self.before.apply(tile.before, card.scaling.clip, self._places, out=dates[0])
        self.after.apply(tile.after, card.scaling.clip, self._places, out=dates[1])
        if not valid.all():
            np.copyto(dates, np.float32(card.scaling.invalid), where=~valid)
            scene, read = self.covered, tile.read
            mirror(dates, 2, read.row_off - scene.row_off, scene.height, self.halo)
            mirror(dates, 3, read.col_off - scene.col_off, scene.width, self.halo)
        return dates

    @property
    def strips(self) -> bool:  # type: ignore[override]
        """True if the siamese backend streams strips, which compute every row of every layer once."""
        return (self.backend, self.device) == ("torch", "cpu")

    @property
    def bytes_per_pixel(self) -> int:  # type: ignore[override]
        """Memory per pixel, measured with the default model on four bands."""
        pushed = 750 if self.strips else 190 if self.backend == "openvino" else 300
        return round(pushed * sum(1 / edge**2 for edge in self.blocks))

    @property
    def import_bytes(self) -> int:  # type: ignore[override]
        """Memory of imports; int8 backends do not import torch."""
        return 0 if self.backend in EIGHT_BIT else TORCH_BYTES

    @property
    def files(self) -> tuple[str, ...]:  # type: ignore[override]
        """Model file, unless it is shipped with rsdetect."""
        return (self.model,) if Path(self.model).is_absolute() else ()

    @property
    def threshold(self) -> float:  # type: ignore[override]
        """Threshold of the model's card."""
        return read_card(self.model).threshold

    def on_device(self, device: str) -> Self:
        """Siamese scorer on the device of a worker."""
        return replace(self, device=device)

    def with_half_resolution(self, *, alone: bool = False) -> Self:
        """Siamese scorer whose network runs at half the resolution, too, or there alone."""
        halo = half_resolution_reach(self.halo)
        return replace(self, blocks=(2,) if alone else (1, 2), halo=halo, stride=2 * self.stride)

    def strip(self, height: int, width: int) -> SiameseStrip:
        """Start a strip with the network, if `strips`."""
        from rsdetect.detectors.strip import SiameseStrip

        network, card = self._network()
        assert isinstance(network, RowNetwork)
        return SiameseStrip(
            {edge: network.rows(height // edge, width // edge, self._places) for edge in self.blocks},
            card,
            (self.before, self.after),
            self.covered,
            self.halo,
        )

    @property
    def _places(self) -> tuple[int, ...]:
        """Position of each band of the pair in the model's order."""
        return tuple(sorted(self.slots).index(slot) for slot in self.slots)

    def _network(self) -> tuple[Network, Card]:
        """Network for the bands of the pair, and its card."""
        return _network(self.model, self.sha256, tuple(sorted(self.slots)), self.backend, self.device)

    def provenance(self) -> JsonObject:
        """Provenance: name, model, hash, threshold, and the normalisation of the dates."""
        card = read_card(self.model)
        return {
            "name": SiameseDetector.name,
            "model": card.name,
            "model_version": card.version,
            "model_sha256": self.sha256,
            "backend": self.backend,
            "precision": precision(self.backend, self.device),
            "threshold": card.threshold,
            "bands": list(card.bands),
            "bands_required": card.required,
            "bands_used": [card.bands[slot] for slot in self.slots],
            "beyond_edge": "mirrored",
            "resolutions": [1 / edge for edge in self.blocks],
            "normalisation": {
                date: {key: list(numbers) for key, numbers in asdict(normalisation).items()}
                for date, normalisation in (("before", self.before), ("after", self.after))
            },
        }


_SECONDS_PER_MPX = {"torch": 0.7, "openvino": 0.25, "onnx": 0.32}  # docs/detectors.md has the conditions


@dataclass(frozen=True)
class SiameseDetector(Detector):
    """Detector with a Siamese CNN and trained weights.

    Parameters
    ----------
    model
        Name of a shipped model, or path of a model file.
    device
        Device of the network: "cpu", "cuda" or "cuda:<index>".
    backend
        Runtime: "torch", "openvino" or "onnx", from `resolve_backend`.
    """

    model: str = DEFAULT_MODEL
    device: str = "cpu"
    backend: str = "torch"

    name = "siamese"
    description = "A Siamese network with trained weights; `model` names others."
    passes = 1
    uses_device = True

    @classmethod
    def configure(cls, model: str | None, device: str, backend: str) -> Self:
        """Resolve the backend, and the full path of the model file for workers.

        Raises
        ------
        InputError
            A backend that cannot run here.
        ModelError
            The model cannot be read, or cannot be run by this backend.
        """
        model = model or DEFAULT_MODEL
        return cls(model, device, resolve_backend(backend, model, read_card(model), device))

    @property
    def seconds_per_mpx(self) -> float | None:  # type: ignore[override]
        """Cost of the default siamese model with this backend; None on a GPU, where it was not measured."""
        return _SECONDS_PER_MPX.get(self.backend) if self.device == "cpu" else None

    @property
    def bands(self) -> WantedBands:  # type: ignore[override]
        """Bands that the model requires."""
        card = read_card(self.model)
        return WantedBands(card.bands, card.required)

    @property
    def model_sha256(self) -> str:  # type: ignore[override]
        """SHA-256 of the model file."""
        return model_hash(self.model)

    @property
    def parameters(self) -> JsonObject:
        """Empty, because identity and record have the hash of the weights and the backend."""
        return {}

    def load(self, pair: Pair) -> None:
        """Import the runtime of the network and load it; errors as `load_weights`."""
        slots = tuple(sorted(pair.slots or range(len(pair.bands))))
        _network(self.model, model_hash(self.model), slots, self.backend, self.device)

    def fit(self, scan: Scan) -> SiameseScorer:
        """Fit the normalisation of each date.

        Raises
        ------
        ModelError
            The model cannot be read, or requires another number of bands than the pair has.
        NothingToCompare
            No pixel is valid on both dates.
        """
        card = read_card(self.model)
        sample = scan.sample_pixels()
        bands = sample.before.shape[0]
        if not card.required <= bands <= len(card.bands):
            most = f" to {len(card.bands)}" if len(card.bands) > card.required else ""
            raise ModelError(
                f"The model {card.name} wants {card.required}{most} bands ({', '.join(card.bands)}), "
                f"but the pair has {bands}; choose them with `bands`."
            )
        slots = scan.pair.slots or tuple(range(bands))
        if sample.count == 0:
            raise NothingToCompare("No pixel is valid on both dates, so the scenes cannot be normalised.")
        dates = measure_dates(sample, robust_scale, shared=scan.pair.normalisation.is_shared)
        return SiameseScorer(
            model=str(Path(self.model).absolute()) if Path(self.model).is_file() else self.model,
            sha256=model_hash(self.model),
            before=Normalisation(*dates[0]),
            after=Normalisation(*dates[1]),
            slots=slots,
            covered=scan.pair.covered,
            device=self.device,
            backend=self.backend,
            halo=card.reach_px,
            stride=card.stride_px,
        )


# Buffers of normalised tiles, one per thread: memory that is allocated for every tile would be cleared by the
# system each time.
_local = threading.local()


def _room(shape: tuple[int, ...]) -> Float32Array:
    """Buffer of the thread for the learned detector's normalised tiles of `shape`, uninitialised."""
    dates: Float32Array | None = getattr(_local, "dates", None)
    if dates is None or dates.shape != shape:
        _local.dates = dates = np.empty(shape, np.float32)
    return dates


# One network per process, model file, choice of bands, backend and device, shared by the threads that score
# tiles.
_loaded: dict[tuple[str, tuple[int, ...], str, str], tuple[Network, Card]] = {}
_loading = threading.Lock()


def _network(
    model: str, sha256: str, slots: tuple[int, ...], backend: str, device: str
) -> tuple[Network, Card]:
    key = (sha256, slots, backend, device)
    with _loading:
        if key not in _loaded:
            found = model_hash(model)
            if found != sha256:
                raise ModelError(
                    f"The model {model} has changed since the job was set up: "
                    f"its hash is {found[:12]} and was {sha256[:12]}."
                )
            weights, card = load_weights(model)
            _loaded[key] = load_network(weights.narrow(slots), card, backend, device), card
        return _loaded[key]
