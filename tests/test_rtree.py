"""The packed spatial index, checked and searched by SQLite itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from rsdetect.rtree import fill_rtree


def boxes(count, seed=0):
    rng = np.random.default_rng(seed)
    low = rng.uniform([400_000, 5_890_000], [510_000, 6_000_000], (count, 2))
    return np.hstack([low, low + rng.exponential(300, (count, 2))])


@pytest.fixture
def database():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        opened.execute("PRAGMA page_size = 4096")
        opened.execute("CREATE VIRTUAL TABLE tree USING rtree(id, minx, maxx, miny, maxy)")
        yield opened


def found(database, window):
    query = "SELECT id FROM tree WHERE maxx >= ? AND maxy >= ? AND minx <= ? AND miny <= ? ORDER BY id"
    return [number for (number,) in database.execute(query, window)]


@pytest.mark.parametrize("count", [0, 1, 51, 52, 51 * 51, 51 * 51 + 1, 140_000])
def test_sqlite_finds_nothing_wrong_with_it(database, count):
    fill_rtree(database, "tree", boxes(count))
    assert database.execute("SELECT rtreecheck('tree')").fetchone() == ("ok",)
    assert database.execute("SELECT count(*) FROM tree").fetchone() == (count,)


def test_every_search_finds_all_boxes_that_meet_the_window_and_few_others(database):
    bounds = boxes(5000, seed=1)
    fill_rtree(database, "tree", bounds)
    for window in boxes(200, seed=2) + np.array([-2000, -2000, 2000, 2000]):
        west, south, east, north = window
        meets = (
            (bounds[:, 2] >= west)
            & (bounds[:, 3] >= south)
            & (bounds[:, 0] <= east)
            & (bounds[:, 1] <= north)
        )
        expected = (np.flatnonzero(meets) + 1).tolist()
        numbers = found(database, window.tolist())
        assert set(expected) <= set(numbers)
        assert len(numbers) <= len(expected) + 2  # by what 32-bit floats round a corner outwards


def test_it_goes_on_growing_and_shrinking(database):
    fill_rtree(database, "tree", boxes(3000))
    database.execute("DELETE FROM tree WHERE id % 3 = 0")
    database.executemany(
        "INSERT INTO tree VALUES (?, ?, ?, ?, ?)",
        [(10_000 + number, *box[[0, 2, 1, 3]].tolist()) for number, box in enumerate(boxes(500, seed=3))],
    )
    assert database.execute("SELECT rtreecheck('tree')").fetchone() == ("ok",)
    assert database.execute("SELECT count(*) FROM tree").fetchone() == (2500,)
