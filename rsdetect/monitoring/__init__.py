"""Watching a place: scenes arrive, each is compared with the ground before it, changes become events."""
