"""Ingestion of scenes onto the grid of a site: examined once, copied where needed, composed."""
