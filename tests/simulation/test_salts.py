"""Every random number of the simulator is independent of every other."""

from __future__ import annotations

import ast
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

import rsdetect.simulation
from rsdetect.simulation.ground.patch import Patch
from rsdetect.simulation.noise import hashed, uniform
from rsdetect.simulation.salts import Salt

SOURCES = sorted(Path(rsdetect.simulation.__file__).parent.rglob("*.py"))
PLOTS = 40_000
# Functions that take a salt, and which argument it is.
SALTED = {
    "hashed": 1,
    "uniform": 1,
    "white": 1,
    "smooth": 1,
    "rough": 1,
    "strew_objects": 3,
    "lot": 0,
    "region": 0,
    "day": 0,
}
GARDEN = [salt for salt in Salt if salt.name.startswith("LAWN_")]


def plots(date: int = 0) -> Patch:
    """A pixel of each of many plots."""
    key = hashed(3, Salt.PLOT_KEY, np.arange(PLOTS))
    given = dict.fromkeys(Patch.__dataclass_fields__, np.zeros(PLOTS, np.float32))
    return Patch(**(given | {"date": date, "gsd_m": 0.5, "key": key, "area": key}))


def test_the_properties_of_a_plot_are_even_and_below_one():
    patch = plots()
    for salt in Salt:
        drawn = patch.lot(salt)
        assert drawn.min() >= 0
        assert drawn.max() < 1
        assert scipy.stats.kstest(drawn, "uniform").pvalue > 1e-5, salt
    # The largest hash there is.
    assert np.float32(np.uint32(0xFFFFFFFF) >> np.uint32(8)) * np.float32(2.0**-24) < 1


def test_the_properties_of_a_plot_are_independent():
    draws = {salt: plots().lot(salt) for salt in Salt}
    draws_of_days = [plots(date).day(salt) for salt in GARDEN for date in (1, 2)]
    table = np.array([*draws.values(), *draws_of_days])
    # Of 20 000 pairs some stray by four standard deviations, none by six.
    apart = np.corrcoef(table) - np.eye(len(table))
    assert np.abs(apart).max() < 6 / PLOTS**0.5
    for one, other in combinations(range(len(table)), 2):
        if (one + other) % 7 == 0:
            both = ((table[one] < 0.12) & (table[other] < 0.3)).sum()
            expected = 0.12 * 0.3 * PLOTS
            assert abs(both - expected) < 6 * (expected * (1 - 0.036)) ** 0.5, (one, other)


def test_a_garden_with_a_pool_has_beds_as_often_as_another():
    patch = plots()
    pool, beds = patch.lot(Salt.LAWN_POOL) < 0.12, patch.lot(Salt.LAWN_BEDS) < 0.3
    assert beds[pool].mean() == pytest.approx(0.3, abs=6 * (0.3 * 0.7 / pool.sum()) ** 0.5)


def test_parts_of_a_use_differ_from_every_other_use():
    keys = np.arange(64)
    seen = {hashed(1, salt, keys, part=part).tobytes() for salt in Salt for part in range(24)}
    assert len(seen) == 24 * len(Salt)
    with pytest.raises(AssertionError):
        uniform(1, Salt.POND, 0, part=1 << 16)


def test_sources_name_every_salt():
    """No bare number, and no sum with one, is passed for a salt; every salt is used, each for one use."""
    bare, used = [], set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Salt":
                used.add(node.attr)
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func).rsplit(".", 1)[-1]
            if (
                name not in SALTED
                or "rng." in ast.unparse(node.func)
                or ast.unparse(node.func) == "self.uniform"
            ):
                continue
            salt = node.args[SALTED[name]]
            text = ast.unparse(salt)
            named = text.startswith("Salt.") and isinstance(salt, ast.Attribute)
            if not (named or text in ("salt", "traffic.taken", "traffic.tone")):
                bare.append(f"{path.name}:{node.lineno} {text}")
    assert bare == []
    assert {salt.name for salt in Salt} - used == set()
