"""What hangs together, and in which order rings run, by NumPy alone.

Both are textbook parallel algorithms, which is how NumPy works: in a few sweeps over whole arrays. SciPy's
graph routines would do, but take longer to be imported than all the polygons of a scene take to be traced.
"""

from __future__ import annotations

import numpy as np

from rsdetect.arraytypes import Int64Array


def connected(count: int, one: Int64Array, other: Int64Array) -> tuple[int, Int64Array]:
    """The connected components of a graph of `count` nodes with edges from `one` to `other`.

    Returns how many there are, and the component of every node, numbered in the order of their first nodes.
    Every root is hung under the lowest root next to it until none has a neighbour (after Shiloach and
    Vishkin 1982, "An O(log n) parallel connectivity algorithm").

    >>> connected(5, np.array([3, 1]), np.array([1, 4]))
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


def rings(successor: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The cycles of a permutation.

    Returns all nodes in the order of their rings, and where in that order each ring starts. Rings start at
    their lowest node and follow in the order of it. Pointers that double their reach with every sweep find
    the lowest node and then the distance to it (Wyllie 1979, "The complexity of parallel computations").
    """
    nodes = np.arange(successor.size)
    head, ahead = np.minimum(nodes, successor), successor
    while not np.array_equal(head[successor], head):
        ahead = ahead[ahead]
        head = np.minimum(head, head[ahead])
    is_head = head == nodes
    # The way to the head, where it ends.
    ahead, distance = np.where(is_head, nodes, successor), (~is_head).astype(np.int64)
    while not np.array_equal(ahead, head):
        distance += distance[ahead]
        ahead = ahead[ahead]
    length = np.bincount(head, minlength=nodes.size)
    start = np.cumsum(np.where(is_head, length, 0)) - length
    order = np.empty_like(nodes)
    order[start[head] + (length[head] - distance) % length[head]] = nodes
    return order, start[is_head]
