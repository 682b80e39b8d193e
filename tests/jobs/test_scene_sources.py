"""Jobs on scenes that are not files: the same results, resumable, refused where they cannot be sent."""

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile

import rsdetect
from rsdetect.errors import InputError, SourceUnavailable
from rsdetect.scenes.source import Source
from rsdetect.scoring.engine import run_tiles
from support.jobs import changed_pair, read_raster, run_here
from support.memory import data_array, memory_scene

rioxarray = pytest.importorskip("rioxarray")  # of the dev group
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # of rioxarray

CVA = {"detector": "cva", "quiet": True, "tile_size": 128}
NAMES = ("red", "green", "blue")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """For names without a date."""
    return changed_pair(tmp_path_factory.mktemp("scenes"), names=NAMES)


@pytest.fixture(scope="module")
def by_path(scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp("files")
    rsdetect.detect(scenes.before, scenes.after, out=out, **CVA)
    return out


def assert_same_results(out, wanted):
    np.testing.assert_array_equal(read_raster(out), read_raster(wanted))
    for layer in ("changes", "footprint"):
        found, other = (geopandas.read_file(each / "changes.gpkg", layer=layer) for each in (out, wanted))
        assert found.equals(other)


def arrays(scenes, which):
    if which == "rioxarray":
        return [rioxarray.open_rasterio(path) for path in (scenes.before, scenes.after)]
    if which == "one lazy, turned":
        lazy = rioxarray.open_rasterio(scenes.before, chunks=100).sortby("y")
        return lazy, rioxarray.open_rasterio(scenes.after, masked=True).transpose("x", "y", "band")
    if which == "coordinates":
        return [data_array(array, nodata=0, names=list(NAMES)) for array in scenes.arrays]
    if which == "a file and a source":
        return scenes.before, memory_scene(scenes.arrays[1], nodata=0, names=NAMES)
    return [rasterio.open(path) for path in (scenes.before, scenes.after)]


@pytest.mark.parametrize(
    "which", ["rioxarray", "one lazy, turned", "coordinates", "a file and a source", "datasets"]
)
def test_raster_and_polygons_are_those_of_the_files(scenes, by_path, tmp_path, which):
    before, after = arrays(scenes, which)
    made = rsdetect.detect(before, after, out=tmp_path, **CVA)
    assert_same_results(tmp_path, by_path)
    is_file = [isinstance(each, str | rasterio.DatasetReader) for each in (before, after)]
    assert ["token" not in made.record["inputs"][date] for date in ("before", "after")] == is_file


def test_score_and_check_take_them_too(scenes):
    before, after = arrays(scenes, "one lazy, turned")
    expected = rsdetect.score(scenes.before, scenes.after, detector="cva").compute()
    np.testing.assert_array_equal(rsdetect.score(before, after, detector="cva").compute(), expected)
    reports = [rsdetect.check(*pair).as_json() for pair in ((before, after), (scenes.before, scenes.after))]
    assert reports[0]["shift"] == reports[1]["shift"]


def test_what_anybody_writes_with_these_methods_is_a_source(scenes):
    assert isinstance(memory_scene(scenes.arrays[0]), Source)


class Failing:
    """A scene in memory of which rows from 280 on cannot be read while it is `broken`."""

    name, in_process, broken = "failing", True, False

    def __init__(self, scene):
        self.header, self.token, self._read = scene.header, scene.token, scene.read

    def read(self, window, bands):
        if self.broken and window.row_end > 280:
            raise ValueError("the archive is offline")
        return self._read(window, bands)


def test_a_source_that_fails_in_the_middle_interrupts_and_the_same_call_resumes_it(
    scenes, by_path, tmp_path, monkeypatch
):
    before, after = (memory_scene(array, nodata=0, names=NAMES) for array in scenes.arrays)
    failing = Failing(after)
    monkeypatch.setattr(
        "rsdetect.jobs.detect.run_tiles",
        lambda *a, **k: setattr(failing, "broken", True) or run_tiles(*a, **k),
    )
    with pytest.raises(SourceUnavailable, match=r"memory cannot be read.*offline; once it can be read again"):
        rsdetect.detect(before, failing, out=tmp_path, workers=1, **CVA)
    monkeypatch.undo()
    failing.broken = False
    made = rsdetect.detect(before, failing, out=tmp_path, workers=1, **CVA)
    assert 0 < made.record["counts"]["tiles_scored_in_this_run"] < made.record["counts"]["tiles"]
    assert_same_results(tmp_path, by_path)


def test_vectorize_says_that_differences_of_arrays_cannot_be_read_again(scenes, tmp_path):
    before, after = arrays(scenes, "coordinates")
    rsdetect.detect(before, after, out=tmp_path, **CVA)
    columns = set(geopandas.read_file(tmp_path / "changes.gpkg", layer="changes").columns)
    done = run_here("vectorize", tmp_path, "--min-area", 500)
    assert done.status == 0
    assert "before (DataArray) and after (DataArray) came from memory" in done.err
    left = set(geopandas.read_file(tmp_path / "changes.gpkg", layer="changes").columns)
    assert len(left) < len(columns)
    assert json.loads((tmp_path / "run.json").read_text())["min_area"] == 500


@pytest.mark.parametrize("which", ["rioxarray", "a file and a source", "in memory"])
def test_what_is_in_this_process_is_not_sent_to_a_cluster(scenes, tmp_path, which):
    """Before anybody looks for the scheduler."""
    with MemoryFile(Path(scenes.before).read_bytes()) as memory, memory.open() as dataset:
        before, after = (dataset, scenes.after) if which == "in memory" else arrays(scenes, which)
        with pytest.raises(InputError, match=r"in this process.*write the scene to a file.*`scheduler` out"):
            rsdetect.detect(before, after, out=tmp_path / "out", scheduler="tcp://127.0.0.1:9", **CVA)
    assert not (tmp_path / "out").exists()
