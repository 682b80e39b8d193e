"""What all tests share: hypothesis' profile, and the folder of real scenes where there is one."""

from __future__ import annotations

import gc
import logging
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from rsdetect.backends.select import multiplies_bytes
from rsdetect.scenes.handles import close_handles

collect_ignore = ["support"]  # no tests, and what older_processor/ holds changes the process that imports it

settings.register_profile(
    "rsdetect",
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("rsdetect")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What must run products of 8 bits is skipped where the processor cannot, and only there."""
    marked = [item for item in items if item.get_closest_marker("eight_bit")]
    if not marked or multiplies_bytes():
        return
    reason = f"this processor ({_processor()}) sums products of 8 bits in 16, which overflow: no VNNI, no AMX"
    for item in marked:
        item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish() -> None:
    """Everything is imported now. Each job collects garbage twice, and need not go through all of this."""
    gc.collect()
    gc.freeze()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()  # Linux
    except OSError:
        lines = []
    named = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


@pytest.fixture
def stress() -> bool:
    """Whether to try everything, as `make stress` does, and not only what fits in the suite's time."""
    return bool(os.environ.get("RSDETECT_STRESS"))


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


@pytest.fixture
def impatient(monkeypatch):
    """Servers that do not answer are given up after a second."""
    monkeypatch.setattr("rsdetect.scenes.remote._PATIENCE_S", 1.0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real scenes; the test is skipped without it."""
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
