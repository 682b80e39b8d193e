"""What a detector is: a fit over global statistics, then a pure score of one tile.

`Detector` and `Scorer` are the whole contract. Planning, engine, workers, batch, monitor, evaluate and
vectorize read these attributes and nothing else, and every one but `name` has a default, so that a simple
detector is short. `rsdetect check-detector` tests one against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from rsdetect.arraytypes import Float32Array
from rsdetect.errors import InputError
from rsdetect.memory import MIB
from rsdetect.scenes.bands import WantedBands
from rsdetect.tiles import Tile

if TYPE_CHECKING:  # training scores where there is no rasterio, which scan needs
    from rsdetect.checks.scan import Scan
    from rsdetect.scenes.pair import Pair

TORCH_BYTES = 160 * MIB  # that importing torch takes
State = dict[str, Any]  # arrays, numbers, texts, lists and mappings of these


class Strip(Protocol):
    """A scorer on its way down a strip of the scene."""

    @property
    def late(self) -> int:
        """Rows by which what comes out is behind what goes in; not more than the halo."""
        ...

    def push(self, rows: Tile) -> Float32Array:
        """Take the next rows of the strip; (height, width) float32 probability of rows `late` higher up.

        Values closer than the scorer's halo to the first row or the sides of the strip mean nothing, nor do
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
    threshold: float = 0.5  # change probability from which on a pixel counts as changed
    halo: int = 0  # pixels that `score` must see beyond a pixel to score it
    stride: int = 1  # read windows start at multiples of this many pixels
    device: str | None = None  # where it computes: "cpu", "cuda:0", ...; None = on processors
    files: tuple[str, ...] = ()  # full paths of files that every worker must see
    # Memory that `score` takes for each pixel of a read window, the tile itself (8 bytes a band) included;
    # with `strips`, for each pixel of the rows that are pushed at once.
    bytes_per_pixel: int = 300
    import_bytes: int = TORCH_BYTES  # memory of what a process must import to score
    # Whether pixels within whose halo both dates are the same have the probability 0, without being scored.
    skips_equal: bool = False
    strips: bool = False  # whether it can go down a strip (`strip`), and hold no tile at once

    def score(self, tile: Tile) -> Float32Array:
        """Change probability in [0, 1] over `tile.read`, (height, width) float32.

        Values at invalid pixels and closer than `halo` to the edge of the window mean nothing; the caller
        drops both. It runs in several threads at once and gives the same answer for the same tile.
        """
        raise NotImplementedError

    def provenance(self) -> State:
        """What the record keeps of this scorer, JSON types only; `name` and `threshold` among it.

        The fingerprint of a job is made of it, so it must change whenever scores could. By default all
        fields of the dataclass, under `fitted`; of an array its hash.
        """
        return {"name": self.name, "threshold": self.threshold, "fitted": parameters_of(self)}

    def on_device(self, device: str) -> Self:
        """The same scorer on the device of a worker; asked only where `device` is not None."""
        raise NotImplementedError

    def strip(self, height: int, width: int) -> Strip:
        """The top of a strip `width` pixels wide that is taken `height` rows at a time, by one thread.

        Height and width are multiples of `stride`. Only where `strips`.
        """
        raise NotImplementedError

    def state(self) -> State | None:
        """What `Detector.restore` makes the scorer of again: arrays, numbers and texts; None = nothing.

        A fit that trains, or takes longer than 10 s, is stored so for a resumed job.
        """
        return None


class Detector:
    """A way to detect change: a name and parameters, no data.

    Subclass it, as a frozen dataclass where it has parameters, and give `name` and `fit`.

    >>> class Brightness(Detector):
    ...     name = "brightness"
    ...     description = "What became brighter."
    >>> Brightness().bands, Brightness().parameters
    (None, {})
    """

    name: str  # the word that `--detector` takes
    description: str = ""  # one line for `rsdetect detectors`
    passes: int = 1  # over the blocks of the pair that `fit` reads
    seconds_per_mpx: float | None = None  # of one core, for `rsdetect detectors`; None = not measured
    trains: bool = False  # whether `fit` trains; then it is stored, however long it took
    uses_device: bool = False  # whether `--device` and `--backend` mean anything to it
    bands: WantedBands | None = None  # those that it wants; None = any number of any bands
    device: str | None = None  # as `Scorer.device`
    model_sha256: str | None = None  # of the content of the model file; None = it has no model

    @classmethod
    def configure(cls, model: str | None, device: str, backend: str) -> Self:
        """Make the detector that the command line asks for; by default without arguments.

        Parameters
        ----------
        model
            What `--model` takes; None = the default.
        device
            "cpu" or "cuda:i"; for the workers of a cluster also "auto" or "cuda".
        backend
            What `--backend` takes.

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
    def parameters(self) -> State:
        """What else decides its results, JSON types only; by default all fields of the dataclass."""
        return parameters_of(self)

    def load(self, pair: Pair) -> None:
        """Import and load what the first tile of `pair` would load. It may run while the pair is read."""

    def fit(self, scan: Scan) -> Scorer:
        """Measure the whole pair, through statistics that do not depend on the tile size.

        `scan.reduce(measure, merge)` maps a function over blocks and merges the results in order, which is
        all that moments, histograms and covariances take; `scan.sample_pixels()` gives about half a million
        pixels. Neither holds a scene in memory.
        """
        raise NotImplementedError

    def restore(self, state: State) -> Scorer:
        """The scorer whose `state()` this was."""
        raise NotImplementedError


def parameters_of(thing: object) -> State:
    """The fields of a dataclass as JSON types; nothing of what is none."""
    if not is_dataclass(thing):
        return {}
    return {field.name: _as_json(getattr(thing, field.name)) for field in fields(thing)}


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
