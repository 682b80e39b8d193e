"""Many pairs in one go: a list, one folder a pair, one table and one GeoPackage over all."""

from rsdetect.batches.run import run_batch

__all__ = ["run_batch"]
