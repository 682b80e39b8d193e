"""Networks: torch only, no rasterio and no dask, so that they train on a bare GPU machine."""
