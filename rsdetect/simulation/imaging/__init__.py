"""Simulated imaging: sensor, season, atmosphere, light, optics, tone and compression."""
