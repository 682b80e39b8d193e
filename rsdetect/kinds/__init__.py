"""Kinds of change: land classes of pixels on both dates by published rules, and kinds of regions."""
