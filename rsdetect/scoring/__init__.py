"""From a pair to its change raster: tiles planned, scored by Dask, stored and stitched."""
