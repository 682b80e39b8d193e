"""Differences stored while tiles are scored: equal to those of the scenes, or missing."""

import tracemalloc
from dataclasses import dataclass

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

import rsdetect
from rsdetect.checks.scan import Scan
from rsdetect.detectors import make_detector
from rsdetect.detectors.cva import CvaDetector
from rsdetect.grid import Grid, Window
from rsdetect.jobs.vectorize import vectorize_run
from rsdetect.percent import NOT_OBSERVED, to_percent
from rsdetect.scenes.pair import open_pair, read_tile
from rsdetect.scoring import differences
from rsdetect.scoring.core import score_core
from rsdetect.scoring.differences import PixelContent, StoredDifferences, storing_differences
from rsdetect.scoring.store import WorkStore
from rsdetect.tiles import Tile, TileWindow, plan_tiles
from support.interruption import interrupt
from support.jobs import changed_pair
from support.scenes import TEN_METRES, write_scene
from support.whole_scene import Blur, pairs, write_pair

CVA = {"detector": "cva", "quiet": True}
SIAMESE = {"detector": "siamese", "quiet": True, "threshold": 0.02, "device": "cpu"}


def scored(folder, pair, scorer, tile_size, level):
    """The store of a pair all of whose tiles were scored, its plan, and the percent values of the pair."""
    store = WorkStore(folder / "work")
    store.create()
    plan = plan_tiles(pair.grid, tile_size, scorer.halo, scorer.stride)
    percent = np.full(pair.grid.shape, NOT_OBSERVED, np.uint8)
    for tile in plan:
        if pair.intersects_aoi(tile.core):
            with storing_differences(store, tile, level, PixelContent(len(pair.bands))) as sink:
                probability = score_core(pair, scorer, tile, sink)
            percent[tile.core.slices_in(pair.grid.window)] = to_percent(probability)
    return store, plan, percent


def of_the_scenes(pair, window):
    tile = read_tile(pair, TileWindow(0, 0, window, window))
    return np.where(tile.valid, tile.after - tile.before, np.float32(np.nan))


def assert_known(kept, pair, percent, level, window):
    """What is kept of a window is what the scenes say, wherever something changed."""
    found, wanted = kept.read(window), of_the_scenes(pair, window)
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    inside = percent[window.slices_in(pair.grid.window)]
    changed = (inside >= level) & (inside != NOT_OBSERVED)
    np.testing.assert_array_equal(found[:, changed], wanted[:, changed])
    assert not np.isnan(found[:, changed]).any()
    return int(changed.sum())


def windows_in(grid, rng, count):
    for _ in range(count):
        row, col = int(rng.integers(grid.height)), int(rng.integers(grid.width))
        height, width = rng.integers(1, (grid.height - row + 1, grid.width - col + 1))
        yield Window(row, col, int(height), int(width))


@settings(max_examples=25)
@given(
    kind=pairs, seed=st.integers(0, 9999), tile_size=st.integers(7, 160), level=st.sampled_from([1, 30, 50]),
    at_once=st.sampled_from([5, 300, 2**17]), looks_around=st.booleans(),
)  # fmt: skip
def test_every_changed_pixel_of_any_window_has_the_difference_that_the_scenes_say(
    tmp_path_factory, kind, seed, tile_size, level, at_once, looks_around
):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("kept")
    pair = write_pair(folder, rng, **kind)
    scorer = Blur() if looks_around else CvaDetector().fit(Scan(pair))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(differences, "_AT_ONCE", at_once)
        store, plan, percent = scored(folder, pair, scorer, tile_size, level)
        kept = StoredDifferences(store, pair, plan, level, PixelContent(len(pair.bands)))
        assert_known(kept, pair, percent, level, pair.grid.window)
        for window in windows_in(pair.grid, rng, 5):
            assert_known(kept, pair, percent, level, window)


@pytest.mark.parametrize("tile_size", [128, 1024])
def test_down_a_strip_they_wait_for_the_probability_and_skip_what_is_still(tmp_path, tile_size):
    """Several bands of a strip, where it begins, where it ends, and where it begins again."""
    rng = np.random.default_rng(5)
    before, after = (np.kron(rng.integers(40, 220, (3, 110, 20)), np.ones((8, 8))) for _ in range(2))
    still = np.ones(before.shape[1], bool)
    still[60:200] = still[220:230] = still[700:880] = False
    after[:, still] = before[:, still]
    after[:, 100:110, 30:90] = 0
    paths = [
        write_scene(tmp_path / f"{name}.tif", array.astype(np.uint16), nodata=0)
        for name, array in (("before", before), ("after", after))
    ]
    pair = open_pair(*paths)
    scorer = make_detector("siamese").fit(Scan(pair))
    assert scorer.strips
    store, plan, percent = scored(tmp_path, pair, scorer, tile_size, 30)
    kept = StoredDifferences(store, pair, plan, 30, PixelContent(len(pair.bands)))
    changed = assert_known(kept, pair, percent, 30, pair.grid.window)
    assert changed > 5000
    for window in windows_in(pair.grid, rng, 20):
        assert_known(kept, pair, percent, 30, window)


# --- files ------------------------------------------------------------------------------------------------


@dataclass
class Kept:
    pair: object
    store: WorkStore
    plan: object
    percent: np.ndarray

    def read(self, level=50, window=None):
        content = PixelContent(len(self.pair.bands))
        return StoredDifferences(self.store, self.pair, self.plan, level, content).read(
            window or self.pair.grid.window
        )

    def file(self, row=0, col=0):
        return self.store.beside(self.plan.tile(row, col))


@pytest.fixture
def kept(tmp_path):
    scenes = changed_pair(tmp_path, 120, 140)
    pair = open_pair(scenes.before, scenes.after)
    return Kept(pair, *scored(tmp_path, pair, CvaDetector().fit(Scan(pair)), 64, 50))


def test_they_take_room_by_the_pixels_that_changed(kept):
    changed = ((kept.percent >= 50) & (kept.percent != NOT_OBSERVED)).sum()
    files = list(kept.store.folder.rglob("*.differences"))
    assert len(files) == len(kept.plan)
    ends = sum(4 * tile.core.height + 24 + 16 for tile in kept.plan)
    records = sum(path.stat().st_size for path in files) - ends
    assert 16 * changed <= records <= 17 * changed
    assert changed > 1000


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_noticed(kept, place, bit):
    content = bytearray(kept.file().read_bytes())
    content[place % len(content)] ^= 1 << bit
    whole = kept.file().read_bytes()
    kept.file().write_bytes(content)
    assert kept.read() is None
    kept.file().write_bytes(whole)
    assert kept.read() is not None


@given(length=st.integers(0, 10**6))
def test_a_file_cut_short_anywhere_is_noticed(kept, length):
    whole = kept.file().read_bytes()
    kept.file().write_bytes(whole[: length % len(whole)])
    assert kept.read() is None
    kept.file().write_bytes(whole)


def test_a_file_of_another_tile_is_not_taken_for_this_one(kept):
    kept.file(0, 1).write_bytes(kept.file(0, 0).read_bytes())
    assert kept.read() is None
    assert kept.read(window=Window(0, 0, 64, 64)) is not None  # which does not touch that tile


def test_a_file_that_is_missing_is_noticed_where_it_is_asked_for(kept):
    kept.file(1, 1).unlink()
    assert kept.read() is None
    assert kept.read(window=Window(0, 0, 64, 140)) is not None


def test_what_was_stored_for_a_level_serves_for_higher_ones_only(kept):
    assert kept.read(level=49) is None
    assert kept.read(level=50) is not None
    assert kept.read(level=90) is not None


def test_a_tile_that_cannot_be_scored_leaves_nothing(kept):
    tile = kept.plan.tile(0, 0)
    kept.file().unlink()
    with pytest.raises(ZeroDivisionError), storing_differences(kept.store, tile, 50, PixelContent(3)):
        raise ZeroDivisionError
    assert not kept.file().exists()
    assert not list(kept.store.folder.rglob("*.part"))


def test_what_a_killed_run_was_at_goes_when_the_next_begins(kept):
    unfinished = kept.file().with_name(".000000_000000.differences.0123456789ab.part")
    unfinished.write_bytes(b"half")
    files = {path.name for path in kept.store.folder.rglob("*.differences")}
    kept.store.create()
    assert not unfinished.exists()
    assert {path.name for path in kept.store.folder.rglob("*.differences")} == files


def test_memory_does_not_grow_with_the_tile_where_everything_changed(tmp_path):
    """Neither while it is stored, a strip of rows at a time, nor while a window of it is read."""
    rows, width, bands = 64, 2048, 4
    rng = np.random.default_rng(0)
    dates = [rng.random((bands, rows, width)).astype(np.float32) for _ in range(2)]
    everything = np.ones((rows, width), bool)
    certain = np.ones((rows, width), np.float32)
    store = WorkStore(tmp_path)
    store.create()

    @dataclass
    class Everywhere:
        bands = ("a", "b", "c", "d")

        def intersects_aoi(self, window):
            return True

    peaks = []
    for count in (4, 32):
        plan = plan_tiles(Grid(None, TEN_METRES, rows * count, width), (rows * count, width), 0, 1)
        tile = plan.tile(0, 0)
        tracemalloc.start()
        with storing_differences(store, tile, 50, PixelContent(bands)) as sink:
            for band in range(count):
                window = Window(band * rows, 0, rows, width)
                sink(Tile(tile.core, window, *dates, everything, everything), window, certain)
        put_down = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        read = StoredDifferences(store, Everywhere(), plan, 50, PixelContent(bands)).read(
            Window(100, 300, 128, 512)
        )
        peaks.append((put_down, tracemalloc.get_traced_memory()[1]))
        tracemalloc.stop()
        assert not np.isnan(read).any()
    assert store.beside(tile).stat().st_size > 80 * 10**6
    for small, large in zip(*peaks, strict=True):
        assert large < 1.05 * small < 40 * 10**6


# --- whole jobs -------------------------------------------------------------------------------------------


def changes(out):
    return geopandas.read_file(out / "changes.gpkg", layer="changes")


def never(*_):
    raise AssertionError("the scenes were read for the polygons")


def assert_as_read_from_the_scenes(out):
    """Polygons and columns are those of `vectorize`, which reads the scenes."""
    found = changes(out)
    vectorize_run(out)
    wanted = changes(out)
    assert len(found) > 0
    assert any(name.startswith("difference_") for name in found)
    assert found.equals(wanted)


def detect_without_reading_again(monkeypatch, *scenes, **options):
    with monkeypatch.context() as patch:
        patch.setattr("rsdetect.jobs.polygons.read_tile", never)
        rsdetect.detect(*scenes, **options)


@pytest.mark.parametrize("tile_size", [150, None])
@pytest.mark.parametrize(
    "detector",
    [
        pytest.param(CVA, id="cva"),
        pytest.param(SIAMESE | {"backend": "torch"}, id="torch"),
        pytest.param(SIAMESE | {"backend": "openvino"}, id="openvino", marks=pytest.mark.eight_bit),
        pytest.param(SIAMESE | {"backend": "onnx"}, id="onnx", marks=pytest.mark.eight_bit),
    ],
)
def test_detect_takes_them_for_its_polygons_and_vectorize_finds_the_same_in_the_scenes(
    tmp_path, monkeypatch, detector, tile_size
):
    scenes = changed_pair(tmp_path)
    ring = shapely.Polygon([(2, 3), (400, 7), (380, 290), (90, 299)], [[(90, 40), (150, 40), (90, 80)]])
    ground = shapely.transform(ring, lambda xy: xy * (10, -10) + (500000, 5300000))
    geopandas.GeoDataFrame(geometry=[ground], crs=32632).to_file(tmp_path / "aoi.gpkg")
    clouds = np.zeros((300, 420), np.uint8)
    clouds[70:120, 60:130] = 1
    mask = write_scene(tmp_path / "clouds.tif", clouds)
    detect_without_reading_again(
        *(monkeypatch, scenes.before, scenes.after), out=tmp_path / "out", tile_size=tile_size,
        aoi=str(tmp_path / "aoi.gpkg"), masks=(mask,), **detector,
    )  # fmt: skip
    assert_as_read_from_the_scenes(tmp_path / "out")


@pytest.mark.parametrize("what", ["missing", "damaged", "of a higher threshold"])
def test_where_they_are_missing_the_scenes_are_read_and_the_polygons_are_the_same(tmp_path, what):
    scenes = changed_pair(tmp_path)
    higher = what == "of a higher threshold"
    interrupt(scenes, tmp_path / "out", tiles=30, threshold=0.99 if higher else 0.5)
    files = sorted((tmp_path / "out").rglob("*.differences"))
    assert len(files) == 30
    for path in () if higher else files[::2]:
        path.unlink() if what == "missing" else path.write_bytes(path.read_bytes()[::-1])
    options = {"tile_size": 64, "threshold": 0.5} | CVA
    made = rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "out", **options)
    assert made.record["counts"]["tiles_scored_in_this_run"] == 5
    assert_as_read_from_the_scenes(tmp_path / "out")


def test_a_job_that_goes_on_with_a_higher_threshold_takes_what_is_there(tmp_path, monkeypatch):
    scenes = changed_pair(tmp_path)
    interrupt(scenes, tmp_path / "out", tiles=30, threshold=0.4)
    options = {"tile_size": 64, "threshold": 0.6} | CVA
    detect_without_reading_again(monkeypatch, scenes.before, scenes.after, out=tmp_path / "out", **options)
    assert_as_read_from_the_scenes(tmp_path / "out")
