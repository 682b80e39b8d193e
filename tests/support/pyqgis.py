"""The system's Python with PyQGIS, which opens what rsdetect writes."""

from __future__ import annotations

import os
import subprocess

PYTHON = "/usr/bin/python3"  # the system's own, which PyQGIS belongs to


ENVIRONMENT = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}


def qgis_is_missing():
    try:
        probe = subprocess.run(
            [PYTHON, "-c", "import qgis.core"], env=ENVIRONMENT, capture_output=True, timeout=120
        )
    except OSError:
        return True
    return probe.returncode != 0
