"""Jobs of the command line and of Python: detect and vectorize, their options, outputs and record."""
