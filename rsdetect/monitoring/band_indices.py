"""Band indices: normalized differences of two bands, which do not depend on the illumination."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsdetect.arraytypes import Float32Array

# index -> (first, second) band; the index is (first - second) / (first + second), -1 to 1.
INDICES = {
    "NDVI": ("nir", "red"),  # vegetation: Rouse and others, 1974
    "NDWI": ("green", "nir"),  # open water: McFeeters, 1996
    "NDBI": ("swir1", "nir"),  # built-up ground: Zha and others, 2003
}
# Names of the bands in catalogues and sensors.
_NAMES = {
    "nir": ("nir", "nir08", "nir1"),
    "swir1": ("swir1", "swir16"),
    "red": ("red",),
    "green": ("green",),
}


def band_indices(values: Float32Array, names: Sequence[str]) -> dict[str, Float32Array]:
    """Compute the band indices that the bands allow, each (height, width); NaN where both bands are 0.

    Parameters
    ----------
    values
        (bands, height, width).
    names
        One per band, in lower case.
    """
    found = {}
    for index, bands in INDICES.items():
        places = [_index_band_position(band, names) for band in bands]
        if None not in places:
            first, second = (values[place] for place in places if place is not None)
            total = first + second
            out = np.full_like(total, np.nan)
            np.divide(first - second, total, out=out, where=total != 0)
            found[index] = out
    return found


def _index_band_position(band: str, names: Sequence[str]) -> int | None:
    """Position of an index's band among the band names; None = missing."""
    return next((names.index(name) for name in _NAMES[band] if name in names), None)
