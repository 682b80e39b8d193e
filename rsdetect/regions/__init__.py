"""Regions: polygonization of rasters."""
