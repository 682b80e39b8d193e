"""Checks of a pair before it is scored: statistics, valid share, shift."""
