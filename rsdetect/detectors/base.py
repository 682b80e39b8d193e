"""What a detector is: a fit over global statistics, then a pure score of one tile."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from rsdetect.scan import Scan
from rsdetect.tiles import Float32Array, Tile, WantedBands


@runtime_checkable
class Scorer(Protocol):
    """A fitted detector: configuration only, frozen and picklable.

    A network is not carried along; it is loaded again, once, in the worker that needs it.
    """

    @property
    def halo(self) -> int:
        """Pixels that `score` must see beyond a pixel to score it."""
        ...

    @property
    def stride(self) -> int:
        """Read windows must start at multiples of this many pixels."""
        ...

    def score(self, tile: Tile) -> Float32Array:
        """Change probability in [0, 1] over `tile.read`, (height, width) float32.

        Values at invalid pixels and closer than `halo` to the edge of the window mean nothing;
        the caller drops both.
        """
        ...

    def provenance(self) -> dict[str, Any]:
        """What the record tells of this scorer, JSON types only; `name` and `threshold` among it."""
        ...


@runtime_checkable
class Detector(Protocol):
    """A way to detect change: a name and options, no data."""

    @property
    def name(self) -> str:
        """The word that `--detector` takes."""
        ...

    @property
    def bands(self) -> WantedBands | None:
        """The bands it wants; None = any number of any bands."""
        ...

    def fit(self, scan: Scan) -> Scorer:
        """Look at the whole pair, through statistics that do not depend on the tile size."""
        ...
