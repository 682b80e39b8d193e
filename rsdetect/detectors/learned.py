"""The learned detector: a Siamese network over globally normalised dates."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.backends.base import Network, RowNetwork
from rsdetect.backends.select import EIGHT_BIT, load_network, precision, resolve_backend
from rsdetect.detectors.base import TORCH_BYTES, Detector, Scorer
from rsdetect.errors import ModelError, NothingToCompare
from rsdetect.nets.card import Card
from rsdetect.nets.checkpoint import load_weights, model_hash, read_card
from rsdetect.scenes.bands import WantedBands
from rsdetect.stats import robust_scale
from rsdetect.tiles import Tile

if TYPE_CHECKING:  # training scores with this module where there is no rasterio, which scan needs
    from rsdetect.checks.scan import Scan
    from rsdetect.detectors.strip import SiameseStrip
    from rsdetect.scenes.pair import Pair

DEFAULT_MODEL = "siamese"


@dataclass(frozen=True)
class Normalisation:
    """Centre and scale of one date, per band, in raw pixel values."""

    centre: tuple[float, ...]
    scale: tuple[float, ...]

    def apply(self, pixels: Float32Array, clip: float, slots: tuple[int, ...], out: Float32Array) -> None:
        """Standardise each band of raw `pixels` into its slot of `out`, cut at +-clip.

        Parameters
        ----------
        pixels
            (len(slots), height, width).
        out
            (bands of the model, height, width); slots that are not named are left as they are.
        """
        for values, slot, centre, scale in zip(pixels, slots, self.centre, self.scale, strict=True):
            band = out[slot]
            np.subtract(values, np.float32(centre), out=band)
            np.divide(band, np.float32(scale), out=band)
            np.clip(band, -clip, clip, out=band)


@dataclass(frozen=True, kw_only=True)
class SiameseScorer(Scorer):
    """A fitted `SiameseDetector`: numbers and the name of a model, no network."""

    model: str  # name or path
    sha256: str  # of the model file; another content under the same path is refused
    before: Normalisation
    after: Normalisation
    slots: tuple[int, ...]  # which of the model's bands each band of the pair is
    device: str  # "cpu", "cuda", "cuda:0"
    backend: str  # "torch", "openvino" or "onnx"
    halo: int  # the model's reach in pixels
    stride: int  # pixels

    name = "siamese"
    skips_equal = True

    def score(self, tile: Tile) -> Float32Array:
        """Change probability over `tile.read`, (height, width) float32."""
        network, card = self._network()
        logits = network.logits(self.normalised(tile, card))  # (height, width)
        return card.calibration.probability(logits)

    def normalised(self, tile: Tile, card: Card) -> Float32Array:
        """Both dates, the bands in the model's order, (2, bands, height, width); valid until the next."""
        valid = tile.valid
        dates = _room((2, *tile.before.shape))
        self.before.apply(tile.before, card.scaling.clip, self._places, out=dates[0])
        self.after.apply(tile.after, card.scaling.clip, self._places, out=dates[1])
        if not valid.all():
            np.copyto(dates, np.float32(card.scaling.invalid), where=~valid)
        return dates

    @property
    def strips(self) -> bool:  # type: ignore[override]
        """Whether the backend takes a strip row by row, and so computes every row of every layer once."""
        return (self.backend, self.device) == ("torch", "cpu")

    @property
    def bytes_per_pixel(self) -> int:  # type: ignore[override]
        """Measured with the default model on four bands; of a strip with what threads leave unused."""
        return 750 if self.strips else 190 if self.backend == "openvino" else 300

    @property
    def import_bytes(self) -> int:  # type: ignore[override]
        """With 8 bits torch is not imported."""
        return 0 if self.backend in EIGHT_BIT else TORCH_BYTES

    @property
    def files(self) -> tuple[str, ...]:  # type: ignore[override]
        """The model file, unless it ships with rsdetect."""
        return (self.model,) if Path(self.model).is_absolute() else ()

    @property
    def threshold(self) -> float:  # type: ignore[override]
        """That of the card."""
        return read_card(self.model).threshold

    def on_device(self, device: str) -> Self:
        """The same scorer on the device of a worker."""
        return replace(self, device=device)

    def strip(self, height: int, width: int) -> SiameseStrip:
        """The network at the top of a strip; where `strips`."""
        from rsdetect.detectors.strip import SiameseStrip

        network, card = self._network()
        assert isinstance(network, RowNetwork)
        return SiameseStrip(network.rows(height, width, self._places), card, (self.before, self.after))

    @property
    def _places(self) -> tuple[int, ...]:
        """Where each band of the pair stands among them in the model's order."""
        return tuple(sorted(self.slots).index(slot) for slot in self.slots)

    def _network(self) -> tuple[Network, Card]:
        """The network for the bands of the pair, and its card."""
        return _network(self.model, self.sha256, tuple(sorted(self.slots)), self.backend, self.device)

    def provenance(self) -> dict[str, Any]:
        """Name, model, hash, threshold, and the numbers that the dates were normalised with."""
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
            "normalisation": {
                date: {key: list(numbers) for key, numbers in asdict(normalisation).items()}
                for date, normalisation in (("before", self.before), ("after", self.after))
            },
        }


@dataclass(frozen=True)
class SiameseDetector(Detector):
    """A Siamese CNN with trained weights.

    Parameters
    ----------
    model
        Name of a model that ships with rsdetect, or path of a model file.
    device
        Where the network runs: "cpu", "cuda" or "cuda:<index>".
    backend
        What runs it: "torch", "openvino" or "onnx", as `resolve_backend` gives it.
    """

    model: str = DEFAULT_MODEL
    device: str = "cpu"
    backend: str = "torch"

    name = "siamese"
    description = "A Siamese network with trained weights; `model` names others."
    passes = 1
    seconds_per_mpx = 1.0
    uses_device = True

    @classmethod
    def configure(cls, model: str | None, device: str, backend: str) -> Self:
        """Settle the backend; a model file is named by its full path, under which workers find it.

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
    def bands(self) -> WantedBands:  # type: ignore[override]
        """The bands the model wants."""
        card = read_card(self.model)
        return WantedBands(card.bands, card.required)

    @property
    def model_sha256(self) -> str:  # type: ignore[override]
        """SHA-256 of the model file, which is read for it."""
        return model_hash(self.model)

    @property
    def parameters(self) -> dict[str, Any]:
        """None: identity and record name the weights by their hash, and the backend."""
        return {}

    def load(self, pair: Pair) -> None:
        """Import what runs the network and load it; `ModelError` as `load_weights`."""
        slots = tuple(sorted(pair.slots or range(len(pair.bands))))
        _network(self.model, model_hash(self.model), slots, self.backend, self.device)

    def fit(self, scan: Scan) -> SiameseScorer:
        """Measure how each date is to be normalised.

        Raises
        ------
        ModelError
            The model cannot be read, or wants another number of bands than the pair has.
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
        return SiameseScorer(
            model=str(Path(self.model).absolute()) if Path(self.model).is_file() else self.model,
            sha256=model_hash(self.model),
            before=Normalisation(*robust_scale(sample.before)),
            after=Normalisation(*robust_scale(sample.after)),
            slots=slots,
            device=self.device,
            backend=self.backend,
            halo=card.reach_px,
            stride=card.stride_px,
        )


# What the scored tiles are normalised into, one array a thread: memory that is asked for and given back with
# every tile is cleared by the system each time.
_local = threading.local()


def _room(shape: tuple[int, ...]) -> Float32Array:
    """The thread's array of `shape`, holding anything."""
    dates: Float32Array | None = getattr(_local, "dates", None)
    if dates is None or dates.shape != shape:
        _local.dates = dates = np.empty(shape, np.float32)
    return dates


# One network a process, model file, choice of bands, backend and device. Tiles are scored by many threads at
# once, which share it.
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
