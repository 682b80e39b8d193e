"""Scenes of two periods from a catalogue or a folder: found, composed, and compared as one pair."""
