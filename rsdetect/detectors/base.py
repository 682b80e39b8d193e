"""What a detector is: a fit over global statistics, then a pure score of one tile."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from rsdetect.arraytypes import Float32Array
from rsdetect.checks.scan import Scan
from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.pair import Pair
from rsdetect.tiles import Tile


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


@runtime_checkable
class StripScorer(Scorer, Protocol):
    """A scorer that can also go down a strip, and need not hold all of a tile at once for it.

    It compares what it sees around a pixel: where all of that is the same on both dates, nothing changed.
    """

    @property
    def strips(self) -> bool:
        """Whether it can here, as it is set up."""
        ...

    def strip(self, height: int, width: int) -> Strip:
        """The top of a strip `width` pixels wide that is taken `height` rows at a time, by one thread.

        Height and width are multiples of `stride`. Only where `strips`.
        """
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

    def load(self, pair: Pair) -> None:
        """Load what the first tile of `pair` would load. It may run while the pair is read."""
        ...

    def fit(self, scan: Scan) -> Scorer:
        """Look at the whole pair, through statistics that do not depend on the tile size."""
        ...
