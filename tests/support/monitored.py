"""Monitoring jobs for tests: sites on disk, job files, and what a job left behind in a form that compares."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import geopandas
import numpy as np
import rasterio
import yaml
from rasterio.features import rasterize

from rsdetect.simulation.time_series import Series
from rsdetect.simulation.time_series_spec import SeriesSpec
from rsdetect.simulation.write_time_series import write_series

PATTERN, MASKS = "{date:%Y%m%d}.tif", "{date:%Y%m%d}_mask.tif"
TEN_DAYS = tuple(date(2024, 4, 1) + timedelta(days=10 * i) for i in range(8))


def small_series(folder, *, dates=TEN_DAYS, **options):
    """A site of 128 x 128 pixels that knows no seasons: quick to watch under any policy.

    By the default seed all that happens, and the end of the flood, is seen on two clear dates at least.
    """
    options = {"size": 128, "changes": 2, "floods": 1, "cloudy": 0.25, "season": 0.0, "seed": 10} | options
    series = Series(SeriesSpec(dates=tuple(dates), **options))
    write_series(series, folder)
    return series


def write_job(path, folder, out="out", **sections):
    """A job file over a folder of scenes; sections replace the defaults of these tests."""
    content = {
        "site": "test site",
        "source": {"kind": "folder", "path": str(folder), "pattern": PATTERN, "mask_pattern": MASKS},
        "out": str(out),
        "baseline": {"policy": "previous"},
        "detector": {"name": "cva", "min_area": 1000, "threshold": 0.4},
    }
    content = {key: value for key, value in (content | sections).items() if value is not None}
    Path(path).write_text(yaml.safe_dump(content), encoding="utf-8")
    return Path(path)


def dates_in(folder):
    """The dates of a folder of scenes, as they stand in the names."""
    return sorted(path.stem for path in Path(folder).glob("*.tif") if not path.stem.endswith("_mask"))


def deliver(source, target, stamps):
    """Copy the scenes of these dates, and their masks; with their times, as a download keeps them."""
    Path(target).mkdir(parents=True, exist_ok=True)
    for stamp in stamps:
        for name in (f"{stamp}_mask.tif", f"{stamp}.tif"):
            shutil.copy2(Path(source) / name, Path(target) / name)


def layers(out):
    """Both layers as plain rows, geometry as text."""
    found = {}
    for layer in ("events", "observations"):
        frame = geopandas.read_file(Path(out) / "events.gpkg", layer=layer)
        outlines = frame.geometry.normalize().to_wkt(rounding_precision=3)
        plain = frame.drop(columns="geometry").assign(outline=outlines).astype(object)
        frame = plain.where(plain.notna(), None)
        found[layer] = sorted(frame.to_dict("records"), key=str)
    return found


def events_of(out):
    return geopandas.read_file(Path(out) / "events.gpkg", layer="events")


def days_that_show(change, scenes):
    """The dates on which at least half of a planted change lies under a clear sky, while it is there."""
    found = []
    for stamp in dates_in(scenes):
        iso = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:]}"
        if iso < change.first_date or (isinstance(change.end_date, str) and iso >= change.end_date):
            continue
        with rasterio.open(Path(scenes) / f"{stamp}_mask.tif") as mask:
            inside = rasterize([change.geometry], out_shape=mask.shape, transform=mask.transform) == 1
            if (mask.read(1)[inside] == 0).mean() >= 0.5:
                found.append(iso)
    return found


def require_the_truth(out, scenes, *, seen=2, most_false=2):
    """Every planted change is one event, confirmed in time; what receded is resolved; hardly more."""
    truth = geopandas.read_file(Path(scenes) / "truth.gpkg")
    events = events_of(out)
    for change in truth.itertuples():
        shared = events.intersection(change.geometry).area
        # A flood that was last seen through a hole in the clouds is as small as the hole.
        mine = events[(shared >= 0.25 * change.geometry.area) & (events.area <= 2 * change.geometry.area)]
        mine = mine[mine.status != "merged"]
        assert len(mine) == 1, (change.kind, change.first_date, mine)
        event = mine.iloc[0]
        days = days_that_show(change, scenes)
        if isinstance(change.end_date, str):
            assert event.status == "resolved", (change.kind, change.first_date, event)
        else:
            assert event.status in ("confirmed", "unobserved"), (change.kind, change.first_date, event)
        if len(days) >= seen:
            assert str(event.confirmed_on)[:10] <= days[seen - 1], (change.kind, change.first_date, event)
    false = events[~events.intersects(truth.union_all()) & (events.status != "merged")]
    assert len(false) <= most_false, false
    return {
        "planted": len(truth),
        "confirmed": int(np.sum(events.confirmed_on.notna())),
        "resolved": int(np.sum(events.status == "resolved")),
        "false": len(false),
    }
