"""What all tests share: hypothesis' profile, and the folder of real scenes where there is one."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
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


@pytest.fixture(autouse=True)
def _logging_as_python_has_it():
    """What the command line set up in this process, for an earlier test or a fixture, silences no other."""
    ours = logging.getLogger("rsdetect")
    ours.handlers, ours.propagate, ours.disabled = [], True, False
    ours.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scenes; the test is skipped where nobody has it."""
    folder = os.environ.get("RSDETECT_REAL_DATA")
    if not folder:
        pytest.skip("RSDETECT_REAL_DATA names no folder of real scenes")
    return Path(folder)


@pytest.fixture
def gdal():
    """Run one of GDAL's own programs; the test is skipped where they are missing, unless CI wants them."""

    def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        if shutil.which(program) is None:
            if os.environ.get("CI") or os.environ.get("RSDETECT_REQUIRE_QGIS"):
                pytest.fail(f"{program} is not installed: apt-get install gdal-bin")
            pytest.skip("GDAL's programs are not installed (apt-get install gdal-bin)")
        command = [program, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    return run
