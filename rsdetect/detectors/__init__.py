"""Detectors: each ends in a change probability in [0, 1]."""
