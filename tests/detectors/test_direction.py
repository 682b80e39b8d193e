"""Direction of change: sector and magnitude of polygons, from detect and from vectorize alike."""

from __future__ import annotations

import numpy as np
import pyogrio
import pytest

import rsdetect
from rsdetect.batches.combined_gpkg import write_combined_gpkg
from rsdetect.detectors.direction import Direction, direction_columns
from rsdetect.jobs.vectorize import vectorize_run
from support.scenes import textured_scene, write_scene


@pytest.fixture
def scenes(tmp_path):
    """Two blocks: red and blue rose and green fell; only green rose. The dates have other units."""
    rng = np.random.default_rng(3)
    before = textured_scene(3, 3, 120, 140)
    after = before.astype(float) + rng.normal(0, 1, before.shape)
    after[0::2, 20:50, 20:60] += 90
    after[1, 20:50, 20:60] -= 90
    after[1, 70:100, 70:120] += 90
    after = (after * 40 + 5000).astype(np.uint16)
    profile = {"crs": "EPSG:32632"}
    return [write_scene(tmp_path / f"{i}.tif", date, **profile) for i, date in enumerate((before, after))]


def changes(folder):
    table = pyogrio.read_dataframe(folder / "changes.gpkg", layer="changes")
    return table.sort_values("area_m2").tail(2)


def test_polygons_have_the_sector_of_their_mean_change_vector(tmp_path, scenes):
    rsdetect.detect(*scenes, out=tmp_path / "out", detector="cva", quiet=True, tile_size=64)
    found = changes(tmp_path / "out")
    assert sorted(found["sector"]) == ["+-+", "0+0"]
    assert (found["magnitude"] > 2).all()
    assert sum(name.startswith("difference_") for name in found.columns) == 3
    vectorize_run(tmp_path / "out")
    again = changes(tmp_path / "out")
    assert again["sector"].tolist() == found["sector"].tolist()
    np.testing.assert_allclose(again["magnitude"], found["magnitude"], rtol=1e-5)


def test_a_batch_has_no_sector_where_a_pair_s_detector_states_no_direction(tmp_path, scenes):
    for name in ("cva", "difference"):
        rsdetect.detect(*scenes, out=tmp_path / name, detector=name, quiet=True)
    folders = [(name, tmp_path / name) for name in ("cva", "difference")]
    write_combined_gpkg(tmp_path / "both.gpkg", folders)
    both = pyogrio.read_dataframe(tmp_path / "both.gpkg", layer="changes")
    has = both.groupby("pair")[["sector", "magnitude"]].count()
    assert (has.loc["cva"] == (both["pair"] == "cva").sum()).all() and (has.loc["difference"] == 0).all()


def test_vectors_are_differences_of_standardised_values():
    direction = Direction((1.0, 2.0), (2.0, 4.0), (10.0, 0.0), (1.0, 2.0))
    before, after = np.float32([[3, 1], [6, 2]]), np.float32([[12, 10], [0, 0]])
    np.testing.assert_allclose(direction.vectors(before, after), [[1, 0], [-1, 0]])
    assert Direction.of_record({"direction": direction.as_record()}) == direction
    assert Direction.of_record({}) is None


def test_a_vector_without_length_has_no_sign():
    columns = direction_columns(np.zeros((2, 1)))
    assert columns["sector"].tolist() == ["00"] and columns["magnitude"].tolist() == [0.0]
    assert direction_columns(np.empty((2, 0)))["sector"].tolist() == []
