"""What a backend makes of a model: dates in, logits out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from rsdetect.arraytypes import Float32Array

if TYPE_CHECKING:  # the command line reads the names of backends, and shall not wait for torch
    from rsdetect.nets.streaming import StreamingNet


class Network(Protocol):
    """A network ready to run; many threads may call it at once, and each call takes one thread."""

    def logits(self, dates: Float32Array) -> Float32Array:
        """Logit of change at every pixel.

        Parameters
        ----------
        dates
            (2, bands, height, width) normalised pixels, before and after, 0 where not valid; height and width
            multiples of the network's stride. As many bands as the network was loaded for, in its order.

        Returns
        -------
        Float32Array
            (height, width), the caller's own.
        """
        ...


@runtime_checkable
class RowNetwork(Network, Protocol):
    """A network that can also take a strip of the scene row by row."""

    def rows(self, height: int, width: int, slots: tuple[int, ...]) -> StreamingNet:
        """The network at the top of a strip `width` pixels wide, `height` rows a push; for one thread.

        Parameters
        ----------
        slots
            Which of the network's bands are pushed; the others are 0 on both dates.
        """
        ...
