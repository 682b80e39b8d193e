"""Training of networks: scenes, chips, losses, loop, calibration. Requires `rsdetect[train]`."""
