"""A spatial index as SQLite keeps it, packed at once instead of grown box by box.

SQLite's R*Tree module keeps a tree in three plain tables. Inserting boxes one after the other costs more
than all else that is written; GDAL, too, fills the tables by itself. The format is that of
https://www.sqlite.org/rtree.html#shadow_tables (root = node 1, numbers big-endian, corners as 32-bit floats
rounded outwards). Which boxes share a node: sort-tile-recursive (Leutenegger, Lopez and Edgington 1997, "STR:
a simple and efficient algorithm for R-tree packing").
"""

from __future__ import annotations

import sqlite3

import numpy as np
from numpy.typing import NDArray

# ruff: noqa: S608 - the table's name is this program's own
_CELLS = 51  # a node, which is as many as SQLite puts into one
_CELL = np.dtype([("id", ">i8"), ("box", ">f4", (4,))])
_NODE = np.dtype([("depth", ">u2"), ("count", ">u2"), ("cells", _CELL, (_CELLS,))])
_ROOT = 1


def fill_rtree(database: sqlite3.Connection, table: str, bounds: NDArray[np.float64]) -> None:
    """Fill an R*Tree that was just made, with ids from 1.

    Parameters
    ----------
    database
        Inside a transaction that made `table` as a virtual table of (id, minx, maxx, miny, maxy), in a file
        with pages of at least 2048 bytes.
    bounds
        (n, 4), minx, miny, maxx, maxy.
    """
    if not len(bounds):
        return
    box = _rounded_outwards(bounds)
    order = _tiled(box)
    leaf = np.empty(len(box), np.int64)
    leaf[order] = _fill_level(database, table, order + 1, box[order], 0, _ROOT + 1)
    database.executemany(f'INSERT INTO "{table}_rowid" VALUES (?, ?)', enumerate(leaf.tolist(), start=1))


def _fill_level(
    database: sqlite3.Connection,
    table: str,
    ids: NDArray[np.int64],
    box: NDArray[np.float32],
    depth: int,
    number: int,
) -> NDArray[np.int64]:
    """Fill the nodes that hold `ids`, numbered from `number`, and those above; the node of each of `ids`."""
    cells = np.zeros(len(ids), _CELL)
    cells["id"], cells["box"] = ids, box
    place = np.arange(len(ids))
    nodes = np.zeros(-(-len(ids) // _CELLS), _NODE)
    nodes["cells"][place // _CELLS, place % _CELLS] = cells
    nodes["count"] = np.bincount(place // _CELLS)
    numbers = number + np.arange(len(nodes))
    if len(nodes) == 1:
        numbers[0], nodes["depth"] = _ROOT, depth  # only the root says how deep the tree is
    else:
        starts = place[::_CELLS]
        low, high = np.minimum.reduceat(box, starts), np.maximum.reduceat(box, starts)
        around = np.where([True, False, True, False], low, high)
        parents = _fill_level(database, table, numbers, around, depth + 1, number + len(nodes))
        database.executemany(
            f'INSERT INTO "{table}_parent" VALUES (?, ?)',
            zip(numbers.tolist(), parents.tolist(), strict=True),
        )
    database.executemany(
        f'INSERT OR REPLACE INTO "{table}_node" VALUES (?, ?)',
        ((one, node.tobytes()) for one, node in zip(numbers.tolist(), nodes, strict=True)),
    )
    node_of: NDArray[np.int64] = numbers[place // _CELLS]
    return node_of


def _rounded_outwards(bounds: NDArray[np.float64]) -> NDArray[np.float32]:
    """(n, 4) minx, maxx, miny, maxy that hold the boxes."""
    exact = bounds[:, [0, 2, 1, 3]]
    box = exact.astype(np.float32)
    low, high = box[:, ::2], box[:, 1::2]
    low[low > exact[:, ::2]] = np.nextafter(low, np.float32(-np.inf))[low > exact[:, ::2]]
    high[high < exact[:, 1::2]] = np.nextafter(high, np.float32(np.inf))[high < exact[:, 1::2]]
    return box


def _tiled(box: NDArray[np.float32]) -> NDArray[np.int64]:
    """An order in which neighbours follow each other: upright slices of the plane, each from below."""
    leaves = -(-len(box) // _CELLS)
    a_slice = _CELLS * int(np.ceil(leaves**0.5))
    rank = np.empty(len(box), np.int64)
    rank[np.argsort(box[:, 0], kind="stable")] = np.arange(len(box))
    order: NDArray[np.int64] = np.lexsort((box[:, 2], rank // a_slice))
    return order
