"""rsdetect: what changed between two satellite scenes."""
