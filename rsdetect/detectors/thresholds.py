"""Thresholds from a histogram: what parts change from no change, whichever detector asks.

Every function takes `counts` and `centres`, (bins,), the centres rising, and gives the value from which on
something counts as change. Where all that was counted lies in one bin there is nothing to part: the answer
is 0.
"""

from __future__ import annotations

import numpy as np

from rsdetect.arraytypes import Float64Array, Int64Array


def otsu(counts: Int64Array, centres: Float64Array) -> float:
    """Otsu (1979), "A threshold selection method from gray-level histograms".

    >>> otsu(np.array([5, 1, 0, 0, 1, 3]), np.arange(6.0))
    1.0
    """
    if np.count_nonzero(counts) < 2:
        return 0.0
    from skimage.filters import threshold_otsu

    return float(threshold_otsu(hist=(counts, centres)))
