"""Base classes of detectors: a fit over global statistics, then a pure score of one tile.

`Detector` and `Scorer` are the whole contract. Planning, engine, workers, batch, monitor, evaluate and
vectorize read these attributes and nothing else, and every one but `name` has a default, so that a simple
detector is short. `rsdetect check-detector` tests one against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from rsdetect.arraytypes import Float32Array
from rsdetect.detectors.direction import Direction
from rsdetect.errors import InputError
from rsdetect.jsontypes import JsonObject
from rsdetect.memory import MIB
from rsdetect.scenes.bands import WantedBands
from rsdetect.tiles import Tile

if TYPE_CHECKING:  # training scores where there is no rasterio, which scan needs
    from rsdetect.checks.scan import Scan
    from rsdetect.scenes.pair import Pair

TORCH_BYTES = 160 * MIB  # memory of importing torch
State = dict[str, Any]  # arrays, numbers, texts, lists and mappings of these


class Strip(Protocol):
    """Strip of the scene that a scorer processes from the top down."""

    @property
    def late(self) -> int:
        """Delay of a detector strip's output in rows; at most the halo."""
        ...

    def push(self, rows: Tile) -> Float32Array:
        """Push the next rows into a detector's strip; returns the probability of rows `late` higher up.

        Values closer than the scorer's halo to the first row or the sides of the strip are undefined, as are
        those at invalid pixels.
        """
        ...


class Scorer:
    """A fitted detector: configuration only, immutable and picklable.

    Subclass it as a frozen dataclass whose fields are what was fitted. A network is no field; it is loaded
    again, once, in the worker that needs it. Override an attribute by a class attribute, a field or a
    property.

    >>> import numpy as np
    >>> from dataclasses import dataclass
    >>> from rsdetect.grid import Window
    >>> @dataclass(frozen=True)
    ... class Brighter(Scorer):
    ...     scale: float
    ...     name = "brighter"
    ...     def score(self, tile):
    ...         return np.clip((tile.after - tile.before).mean(axis=0) / self.scale, 0, 1)
    >>> scorer = Brighter(scale=50.0)
    >>> scorer.halo, scorer.threshold, scorer.provenance()
    (0, 0.5, {'name': 'brighter', 'threshold': 0.5, 'fitted': {'scale': 50.0}})
    >>> window, valid = Window(0, 0, 1, 2), np.ones((1, 2), bool)
    >>> before, after = np.zeros((3, 1, 2), np.float32), np.full((3, 1, 2), 25, np.float32)
    >>> scorer.score(Tile(window, window, before, after, valid, valid)).tolist()
    [[0.5, 0.5]]
    """

    name: str  # of the detector
    threshold: float = 0.5  # change probability at or above which a pixel is changed
    halo: int = 0  # radius of the receptive field of `score` in pixels
    stride: int = 1  # read windows start at multiples of this many pixels
    device: str | None = None  # device of the computation: "cpu", "cuda:0", ...; None = CPU
    files: tuple[str, ...] = ()  # full paths of files that every worker requires
    # Memory of `score` per pixel of a read window, including the tile itself (8 bytes per band); with
    # `strips`, per pixel of the rows that are pushed at once.
    bytes_per_pixel: int = 300
    import_bytes: int = TORCH_BYTES  # memory of the imports for scoring
    # Whether pixels with equal dates within their halo have the probability 0 without being scored.
    skips_equal: bool = False
    # Polygons have the columns `magnitude` and `sector`; `provenance` has it under this key.
    direction: Direction | None = None
    strips: bool = False  # whether it can process strips (`strip`), without a whole tile in memory

    def score(self, tile: Tile) -> Float32Array:
        """Score a tile: change probability in [0, 1] over `tile.read`, (height, width) float32; base method.

        Values at invalid pixels and closer than `halo` to the edge of the window are undefined; the caller
        drops both. It runs in several threads and gives equal results for equal tiles.
        """
        raise NotImplementedError

    def provenance(self) -> JsonObject:
        """Provenance of any scorer for the record, JSON types only, with `name` and `threshold`.

        It is part of a job's fingerprint, so it must change whenever scores could. By default all fields of
        the dataclass, under `fitted`; arrays as hashes.
        """
        return {"name": self.name, "threshold": self.threshold, "fitted": parameters_of(self)}

    def on_device(self, device: str) -> Self:
        """Scorer on the device of a worker; called only if `device` is not None."""
        raise NotImplementedError

    def strip(self, height: int, width: int) -> Strip:
        """Start a strip `width` pixels wide, pushed `height` rows at a time, by one thread.

        Height and width are multiples of `stride`. Called only with `strips`.
        """
        raise NotImplementedError

    def state(self) -> State | None:
        """State of the scorer for `Detector.restore`: arrays, numbers and strings; None = not storable.

        A fit that trains, or takes longer than 10 s, is stored for a resumed job.
        """
        return None


class Detector:
    """Detector: a method of change detection with a name and parameters, without data.

    Subclass it, as a frozen dataclass where it has parameters, and give `name` and `fit`.

    >>> class Brightness(Detector):
    ...     name = "brightness"
    ...     description = "What became brighter."
    >>> Brightness().bands, Brightness().parameters
    (None, {})
    """

    name: str  # value of `--detector`
    description: str = ""  # one line for `rsdetect detectors`
    passes: int = 1  # of `fit` over the blocks of the pair
    # Of reading and scoring on one core, for `rsdetect detectors`; None = not measured.
    seconds_per_mpx: float | None = None
    trains: bool = False  # whether `fit` trains; if so, it is always stored
    uses_device: bool = False  # whether it uses `--device` and `--backend`
    bands: WantedBands | None = None  # required bands; None = any number of any bands
    device: str | None = None  # as `Scorer.device`
    model_sha256: str | None = None  # of the content of the model file; None = it has no model

    @classmethod
    def configure(cls, model: str | None, device: str, backend: str) -> Self:
        """Make the detector from command line options; by default without arguments.

        Parameters
        ----------
        model
            Value of `--model`; None = the default.
        device
            "cpu" or "cuda:i"; for the workers of a cluster also "auto" or "cuda".
        backend
            Value of `--backend`.

        Raises
        ------
        InputError
            A model for a detector that has none, or a backend that cannot run here.
        """
        if model is not None:
            raise InputError(
                f"`model` names a network, and `detector={cls.name!r}` has none; drop one of the two."
            )
        return cls()

    @property
    def parameters(self) -> JsonObject:
        """Parameters that affect the detector's results, JSON types only; by default all dataclass fields."""
        return parameters_of(self)

    def load(self, pair: Pair) -> None:
        """Import and load in advance what the first tile of `pair` requires, concurrently with reading."""

    def fit(self, scan: Scan) -> Scorer:
        """Fit the detector to the whole pair, by statistics that do not depend on the tile size.

        `scan.reduce(measure, merge)` maps a function over blocks and merges the results in order, which is
        sufficient for moments, histograms and covariances; `scan.sample_pixels()` gives about 500 000
        pixels. Neither holds a scene in memory.
        """
        raise NotImplementedError

    def restore(self, state: State) -> Scorer:
        """Restore a scorer from its `state()`."""
        raise NotImplementedError


def parameters_of(instance: object) -> JsonObject:
    """Parameters of a detector: dataclass fields as JSON types; empty if it is none."""
    if not is_dataclass(instance):
        return {}
    return {field.name: _as_json(getattr(instance, field.name)) for field in fields(instance)}


def _as_json(value: Any) -> Any:
    import numpy as np

    from rsdetect.files import hash_bytes

    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "dtype": str(value.dtype), "hash": hash_bytes(value.tobytes())}
    if isinstance(value, np.generic):
        return value.item()
    if is_dataclass(value):
        return parameters_of(value)
    if isinstance(value, Mapping):
        return {str(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
