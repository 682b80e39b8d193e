"""Real pairs, watched as jobs of two dates."""

from __future__ import annotations

import shutil

import geopandas
import pytest
import rasterio
import yaml

from support.jobs import run_here
from support.monitored import events_of
from support.real_scenes import PAIRS, SENTINEL_1

DATES = {"landsat-labelled": ("20000101", "20030101"), "landsat7": ("19991118", "20020416")}


@pytest.mark.parametrize("name", ["landsat-labelled", "landsat7", *SENTINEL_1])
def test_a_real_pair_is_a_job_of_two_dates(real_data, tmp_path, name):
    before, after, _ = PAIRS[name]
    stamps = DATES.get(name, ("20180101", "20190101"))
    for path, stamp in zip((before, after), stamps, strict=True):
        if not (real_data / path).exists():
            pytest.skip(f"{path} is not there")
        shutil.copy(real_data / path, tmp_path / f"{stamp}.tif")
    job = {
        "site": name,
        "source": {"kind": "folder", "path": ".", "pattern": "{date:%Y%m%d}.tif"},
        "out": "out",
        "detector": {"name": "cva", "min_area": 20_000},
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    told = run_here("monitor", "run", tmp_path / "job.yaml", "--quiet")
    assert told.status == 0, told.err
    (step,) = (tmp_path / "out" / "steps").iterdir()
    changes = geopandas.read_file(step / "changes.gpkg", layer="changes")
    events = events_of(tmp_path / "out")
    assert len(events) == len(changes) > 0
    assert set(events.status) == {"new"}
    assert events.area_m2.min() >= 20_000
    assert events.area_m2.sum() == pytest.approx(changes.area_m2.sum(), rel=1e-9)
    with rasterio.open(tmp_path / f"{stamps[0]}.tif") as scene:
        assert events.crs == scene.crs
    told = run_here("monitor", "run", tmp_path / "job.yaml")
    assert (told.status, "nothing new" in told.err) == (0, True)
