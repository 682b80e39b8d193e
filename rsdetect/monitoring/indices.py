"""Band indices: what a place looks like on a date, in numbers that do not depend on the light."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsdetect.arraytypes import Float32Array

# (more of the first, more of the second): the normalised difference of two bands, -1 to 1.
INDICES = {
    "NDVI": ("nir", "red"),  # plants: Rouse and others, 1974
    "NDWI": ("green", "nir"),  # open water: McFeeters, 1996
    "NDBI": ("swir1", "nir"),  # built-up ground: Zha and others, 2003
}
# What catalogues and sensors call the bands.
_NAMES = {
    "nir": ("nir", "nir08", "nir1"),
    "swir1": ("swir1", "swir16"),
    "red": ("red",),
    "green": ("green",),
}


def band_indices(values: Float32Array, names: Sequence[str]) -> dict[str, Float32Array]:
    """The indices that the bands allow, each (height, width); NaN where both bands are 0.

    Parameters
    ----------
    values
        (bands, height, width).
    names
        One a band, in lower case.
    """
    found = {}
    for index, bands in INDICES.items():
        places = [_place(band, names) for band in bands]
        if None not in places:
            first, second = (values[place] for place in places if place is not None)
            total = first + second
            out = np.full_like(total, np.nan)
            np.divide(first - second, total, out=out, where=total != 0)
            found[index] = out
    return found


def _place(band: str, names: Sequence[str]) -> int | None:
    return next((names.index(name) for name in _NAMES[band] if name in names), None)
