"""Connected components of a graph and cycles of a permutation, in NumPy.

Both are textbook parallel algorithms, which suit NumPy: a few sweeps over whole arrays. SciPy has graph
routines, but its import takes longer than tracing all polygons of a scene.
"""

from __future__ import annotations

import numpy as np

from rsdetect.arraytypes import Int64Array


def connected_components(count: int, one: Int64Array, other: Int64Array) -> tuple[int, Int64Array]:
    """Connected components of a graph of `count` nodes with edges from `one` to `other`.

    Returns their number, and the component of every node, numbered in the order of their first nodes. Every
    root is linked to its lowest adjacent root until none has a neighbour (after Shiloach and Vishkin 1982,
    "An O(log n) parallel connectivity algorithm").

    >>> connected_components(5, np.array([3, 1]), np.array([1, 4]))
    (3, array([0, 1, 2, 1, 1]))
    """
    root = np.arange(count)
    while one.size:
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(above := root[root], root):
            root = above
        one, other = root[one], root[other]
        apart = one != other
        one, other = one[apart], other[apart]
    first = root == np.arange(count)
    return int(np.count_nonzero(first)), (np.cumsum(first) - 1)[root]


def cycles(successor: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Connected cycles of a permutation.

    Returns all nodes in the order of their cycles, and the start of each cycle in that order. Cycles start at
    their lowest node and are sorted by it. Pointer doubling finds the lowest node and then the distance to it
    (Wyllie 1979, "The complexity of parallel computations").
    """
    nodes = np.arange(successor.size)
    head, ahead = np.minimum(nodes, successor), successor
    while not np.array_equal(head[successor], head):
        ahead = ahead[ahead]
        head = np.minimum(head, head[ahead])
    is_head = head == nodes
    # Pointers to the head, which end there.
    ahead, distance = np.where(is_head, nodes, successor), (~is_head).astype(np.int64)
    while not np.array_equal(ahead, head):
        distance += distance[ahead]
        ahead = ahead[ahead]
    length = np.bincount(head, minlength=nodes.size)
    start = np.cumsum(np.where(is_head, length, 0)) - length
    order = np.empty_like(nodes)
    order[start[head] + (length[head] - distance) % length[head]] = nodes
    return order, start[is_head]
