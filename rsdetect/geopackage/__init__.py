"""GeoPackages with styles that QGIS applies on opening."""
