"""From a raster of change probability to regions as polygons: trace, join across blocks, measure."""
