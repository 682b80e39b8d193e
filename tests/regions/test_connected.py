"""Connected components and cycles, against SciPy and against a walk along them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components as scipy_components

from rsdetect.regions.connected import connected_components, cycles


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 60))
    node = st.integers(0, count - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=80))
    one, other = np.array(edges, np.int64).reshape(-1, 2).T
    return count, one, other


@given(graphs())
def test_components_are_those_of_scipy_numbered_by_their_first_nodes(graph):
    count, one, other = graph
    found, component = connected_components(count, one, other)
    matrix = coo_array((np.ones(one.size), (one, other)), shape=(count, count))
    expected, label = scipy_components(matrix, directed=False)
    assert found == expected
    assert len(set(zip(component.tolist(), label.tolist(), strict=True))) == expected
    first_seen = np.unique(component, return_index=True)[1]
    assert (np.diff(first_seen) > 0).all()


def test_a_long_chain_in_any_order_is_one_component():
    way = np.random.default_rng(3).permutation(100_000)
    count, component = connected_components(way.size, way[1:], way[:-1])
    assert count == 1
    assert not component.any()


@given(st.integers(1, 80).flatmap(lambda count: st.permutations(range(count))))
def test_rings_start_at_their_lowest_node_and_follow_in_its_order(successor):
    order, starts = cycles(np.array(successor))
    expected, heads, seen = [], [], set()
    for node in range(len(successor)):
        if node not in seen:
            heads.append(len(expected))
        while node not in seen:
            seen.add(node)
            expected.append(node)
            node = successor[node]
    assert order.tolist() == expected
    assert starts.tolist() == heads
