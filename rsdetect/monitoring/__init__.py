"""Monitoring of a site: scenes are ingested and compared with a baseline, changes are tracked as events."""
