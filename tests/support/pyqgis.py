"""The system's Python with PyQGIS, which opens what rsdetect writes."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

PYTHON = "/usr/bin/python3"  # the system's own, which PyQGIS belongs to
ENVIRONMENT = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}


def require_qgis() -> None:
    """The test is skipped without QGIS, and fails in CI, which installs it."""
    if not qgis_is_missing():
        return
    if os.environ.get("CI") or os.environ.get("RSDETECT_REQUIRE_QGIS"):
        pytest.fail("QGIS is not installed: apt-get install qgis python3-qgis qgis-providers")
    pytest.skip("QGIS is not installed")


def qgis_is_missing() -> bool:
    try:
        probe = subprocess.run(
            [PYTHON, "-c", "import qgis.core"], env=ENVIRONMENT, capture_output=True, timeout=120
        )
    except OSError:
        return True
    return probe.returncode != 0


def ask_qgis(module: str, request: object) -> tuple[Any, list[str]]:
    """What the module beside this one (`qgis_layers`, `qgis_project`) answers, and QGIS's warnings."""
    command = [PYTHON, str(Path(__file__).with_name("qgis_session.py")), module, json.dumps(request)]
    with tempfile.TemporaryDirectory() as home:  # two that begin at once would both make the user's profile
        environment = ENVIRONMENT | {"HOME": home}
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout)
    return said["answers"], said["messages"]
