"""Training of the networks: scenes, chips, losses, the run, calibration. Needs `rsdetect[train]`."""
