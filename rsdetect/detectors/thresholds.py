"""Thresholds of change from a histogram, for any detector.

Every function takes `counts` and `centres`, (bins,), with increasing centres, and returns the lowest value of
change. If all counts are in one bin there is no threshold, and the result is 0.
"""

from __future__ import annotations

import numpy as np

from rsdetect.arraytypes import Float64Array, Int64Array


def otsu(counts: Int64Array, centres: Float64Array) -> float:
    """Threshold of Otsu (1979), "A threshold selection method from gray-level histograms".

    >>> otsu(np.array([5, 1, 0, 0, 1, 3]), np.arange(6.0))
    1.0
    """
    if np.count_nonzero(counts) < 2:
        return 0.0
    from skimage.filters import threshold_otsu

    return float(threshold_otsu(hist=(counts, centres)))
