"""Batches: many pairs from a list, one output folder per pair, one table and one GeoPackage for all."""

from rsdetect.batches.run import run_batch

__all__ = ["run_batch"]
