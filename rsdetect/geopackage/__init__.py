"""GeoPackages that QGIS opens styled."""
