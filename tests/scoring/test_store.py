"""The work store: whole tiles or none, whatever happens to the files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsdetect.grid import Window
from rsdetect.scoring.store import WorkStore
from rsdetect.tiles import TileWindow

TILE = TileWindow(3, 12, Window(30, 120, 9, 14), Window(28, 118, 13, 18))
PERCENT = np.random.default_rng(0).integers(0, 101, TILE.core.shape).astype(np.uint8)


@pytest.fixture
def store(tmp_path):
    store = WorkStore(tmp_path / "work")
    store.create()
    return store


def the_file(store):
    (path,) = store.folder.rglob("*.tile")
    return path


def test_a_tile_is_loaded_as_it_was_stored(store):
    assert store.get(TILE) is None
    store.put(TILE, PERCENT)
    np.testing.assert_array_equal(store.get(TILE), PERCENT)


def test_nothing_but_the_tile_is_left_in_the_store(store):
    store.put(TILE, PERCENT)
    assert [path.name for path in store.folder.rglob("*") if path.is_file()] == ["000003_000012.tile"]


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_noticed(store, place, bit):
    store.put(TILE, PERCENT)
    content = bytearray(the_file(store).read_bytes())
    content[place % len(content)] ^= 1 << bit
    the_file(store).write_bytes(content)
    assert store.get(TILE) is None


@given(length=st.integers(0, 10_000))
def test_a_tile_cut_short_anywhere_is_noticed(store, length):
    store.put(TILE, PERCENT)
    content = the_file(store).read_bytes()
    the_file(store).write_bytes(content[: length % len(content)])
    assert store.get(TILE) is None


def test_a_damaged_tile_is_taken_away(store):
    store.put(TILE, PERCENT)
    the_file(store).write_bytes(b"")
    store.get(TILE)
    assert not list(store.folder.rglob("*.tile"))


def test_a_tile_of_another_shape_is_not_taken_for_this_one(store):
    store.put(TILE, PERCENT)
    assert store.get(TileWindow(3, 12, Window(30, 120, 9, 13), TILE.read)) is None


def test_a_tile_that_cannot_be_written_leaves_no_file(store, monkeypatch):
    def full(path, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space"):
        store.put(TILE, PERCENT)
    assert not [path for path in store.folder.rglob("*") if path.is_file()]
