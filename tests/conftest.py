"""What all tests share: hypothesis' profile, and the folder of real scenes where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from rsdetect.handles import close_handles

settings.register_profile(
    "rsdetect",
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("rsdetect")


@pytest.fixture(autouse=True)
def _no_handle_outlives_its_test():
    yield
    close_handles()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scenes; the test is skipped where nobody has it."""
    folder = os.environ.get("RSDETECT_REAL_DATA")
    if not folder:
        pytest.skip("RSDETECT_REAL_DATA names no folder of real scenes")
    return Path(folder)
