"""Dask clusters of this machine that leave this process as they found it."""

from __future__ import annotations

import os
from contextlib import contextmanager

import dask
import pytest


@contextmanager
def local_cluster(n_workers=1, threads_per_worker=1, config=None, **how):
    """A cluster of workers that compute with one thread each, as a context manager.

    Parameters
    ----------
    config
        Settings of Dask while it runs.
    how
        Arguments of `distributed.LocalCluster`.
    """
    distributed = pytest.importorskip("distributed")
    earlier = dict(os.environ)
    settings = {"distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": 1} | (config or {})
    how = {"dashboard_address": ":0", "memory_limit": 0} | how
    try:
        with (
            dask.config.set(settings),
            distributed.LocalCluster(
                n_workers=n_workers, threads_per_worker=threads_per_worker, **how
            ) as cluster,
        ):
            yield cluster
    finally:
        # For the start of its workers, Dask sets variables here that every later process would inherit.
        for name in os.environ.keys() - earlier.keys():
            del os.environ[name]
        os.environ.update(earlier)
