"""A small watched site: simulated dates, a job file, and rounds of the job."""

from __future__ import annotations

from datetime import date, timedelta

import yaml

from rsdetect.simulation.time_series import Series
from rsdetect.simulation.time_series_spec import SeriesSpec
from rsdetect.simulation.write_time_series import write_series_date

DAYS = tuple(date(2024, 5, 3) + timedelta(days=10 * number) for number in range(5))


def series(**spec):
    """Five dates without seasons, two of them cloudy; two changes that stay."""
    return Series(
        SeriesSpec(**{"dates": DAYS, "size": 96, "seed": 3, "changes": 2, "cloudy": 0.4, "season": 0} | spec)
    )


def source_in(folder):
    """The scenes of a folder, wherever the job lies."""
    return {
        "kind": "folder",
        "path": str(folder / "scenes"),
        "pattern": "{date:%Y%m%d}.tif",
        "mask_pattern": "{date:%Y%m%d}_mask.tif",
    }


def write_job(folder, name="job.yaml", **sections):
    """A job over `folder`/scenes, and its path."""
    job = {
        "site": "Valley <b>& co</b>",
        "source": source_in(folder),
        "out": "out",
        "baseline": {"policy": "fixed", "scene": DAYS[0].isoformat()},
        "detector": {"name": "cva", "min_area": 1000, "threshold": 0.5},
    }
    path = folder / name
    path.write_text(yaml.safe_dump(job | sections))
    return path


def deliver(folder, made, *numbers):
    """Write the dates of these numbers into `folder`/scenes."""
    (folder / "scenes").mkdir(exist_ok=True)
    for number in numbers:
        write_series_date(made, number, folder / "scenes")
