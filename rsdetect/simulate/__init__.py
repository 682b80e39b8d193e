"""Simulated scene pairs with known change."""
