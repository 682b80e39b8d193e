"""Network protocols of the backends: dates in, logits out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from rsdetect.arraytypes import Float32Array

if TYPE_CHECKING:  # the command line reads the names of backends without importing torch
    from rsdetect.nets.streaming import StreamingNet


class Network(Protocol):
    """Network loaded by a backend; calls are thread-safe, and each call uses one thread."""

    def logits(self, dates: Float32Array) -> Float32Array:
        """Logits of change at every pixel, computed by the network.

        Parameters
        ----------
        dates
            (2, bands, height, width) normalized pixels, before and after, 0 where invalid; height and width
            are multiples of the network's stride. The bands are those the network was loaded for, in order.

        Returns
        -------
        Float32Array
            (height, width), owned by the caller.
        """
        ...


@runtime_checkable
class RowNetwork(Network, Protocol):
    """Network that also processes a strip of the scene in bands of rows."""

    def rows(self, height: int, width: int, slots: tuple[int, ...]) -> StreamingNet:
        """Network at the top of a strip `width` pixels wide, for pushes of `height` rows; for one thread.

        Parameters
        ----------
        slots
            Indices of the network's bands that are pushed; the others are 0 on both dates.
        """
        ...
