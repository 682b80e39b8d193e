"""What a backend makes of a model: dates in, logits out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]


class Network(Protocol):
    """A network ready to run; many threads may call it at once, and each call takes one thread."""

    def logits(self, dates: Float32Array) -> Float32Array:
        """Logit of change at every pixel.

        Parameters
        ----------
        dates
            (2, bands, height, width) normalised pixels, before and after, 0 where not valid; height and width
            multiples of the network's stride.

        Returns
        -------
        Float32Array
            (height, width), the caller's own.
        """
        ...
