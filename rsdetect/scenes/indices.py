"""Band indices: normalised differences of bands by their names, -1 to 1."""

from __future__ import annotations

# More of the first bands, more of the second.
INDICES = {
    "ndvi": (("nir",), ("red",)),  # plants: Rouse and others, 1974
    "ndwi": (("green",), ("nir",)),  # open water: McFeeters, 1996
    "mndwi": (("green",), ("swir1",)),  # water between houses: Xu, 2006
    "ndbi": (("swir1",), ("nir",)),  # built-up ground: Zha and others, 2003
    "nbr": (("nir",), ("swir2",)),  # burnt ground: Key and Benson, 2006
    "bsi": (("red", "swir1"), ("nir", "blue")),  # bare soil: Rikimaru and others, 2002
    "ndsi": (("green",), ("swir1",)),  # snow: Hall and others, 1995
}
