"""A seed gives the same scene on every processor: exact functions, draws, and pixels without vector units."""

from __future__ import annotations

import ast
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from scipy.fft import dctn, idctn

import rsdetect.simulation
from rsdetect.simulation import exact
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.imaging import compression

SOURCES = sorted(Path(rsdetect.simulation.__file__).parent.rglob("*.py"))
# What IEEE 754 does not settle, by the names that NumPy and `math` have for it.
INEXACT = {
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin", "arccos",
    "arctan", "arctan2", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "hypot", "power", "pow",
    "float_power", "cbrt", "interp", "dot", "matmul", "einsum", "tensordot", "inner", "vdot", "convolve",
    "std", "var", "erf", "gamma", "lgamma", "dist", "logspace", "geomspace", "linalg", "fft",
}  # fmt: skip
# Draws every kind of scene, and a series, and prints a digest of all pixels.
DRAW = """
import hashlib
from datetime import date, timedelta
import numpy as np
from rsdetect.simulation import render_whole, training_pair, SceneSpec
from rsdetect.simulation.time_series import Series
from rsdetect.simulation.time_series_spec import SeriesSpec
from rsdetect.simulation.imaging.sensors import SENSORS

digest = hashlib.sha256()
def add(*arrays):
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
for number, kind in enumerate(SENSORS):
    for drawn in (
        render_whole(SceneSpec(kind=kind, height=64, width=72, seed=number, change=0.3, cloud=0.2)),
        *(training_pair(seed, 64, kind) for seed in range(SEEDS)),
    ):
        add(*(getattr(drawn, name) for name in drawn.__dataclass_fields__))
    print(kind, digest.hexdigest())
dates = tuple(date(2024, 1, 1) + timedelta(20 * n) for n in range(12))
series = Series(SeriesSpec(dates=dates, size=96, floods=1))
add(*(change.where for change in series.planted))
for number in range(12):
    add(*series.draw(number))
print("series", digest.hexdigest())
"""


def extensions() -> list[str]:
    """NumPy's names for the vector units that it uses here."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return [name for name in __cpu_dispatch__ if __cpu_features__[name]]


def draw(disabled: list[str], openblas: str, seeds: int) -> str:
    """What the script says with these units switched off."""
    environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(disabled), "OPENBLAS_CORETYPE": openblas}
    done = subprocess.run(
        [sys.executable, "-c", DRAW.replace("SEEDS", str(seeds))],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ImportWarning" not in done.stderr
    return done.stdout


def test_pixels_do_not_depend_on_vector_units():
    used = extensions()
    wide = [name for name in used if name.startswith("AVX512") or name == "X86_V4"]
    pixels = draw([], "Haswell", 4)
    assert draw(wide, "Nehalem", 4) == pixels
    assert draw(used, "Nehalem", 4) == pixels


def inexact(node: ast.AST) -> bool:
    """Whether a processor or a library may give other bits here than another one does."""
    if isinstance(node, ast.Attribute):
        owner = ast.unparse(node.value)
        if node.attr == "default_rng":  # raw bits are NumPy's promise, its distributions are not
            return True
        return owner in ("np", "math") and node.attr in INEXACT
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        names = {item.name for item in node.names}
        # Of SciPy only the growing of masks, which computes with truth values.
        return (module == "math" and bool(names & INEXACT)) or (
            module.startswith("scipy") and names != {"binary_dilation"}
        )
    if isinstance(node, ast.BinOp | ast.AugAssign):
        power_of_two = isinstance(node, ast.BinOp) and ast.unparse(node.left) in ("2", "2.0")
        return isinstance(node.op, ast.MatMult) or (isinstance(node.op, ast.Pow) and not power_of_two)
    return False


def test_sources_use_exact_operations_only():
    found = [
        f"{path.name}:{node.lineno} {ast.unparse(node)}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if inexact(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("function", "reference", "domain"),
    [
        (exact.exp, math.exp, np.linspace(-300, 300, 4001)),
        (exact.log, math.log, np.exp(np.linspace(-300, 300, 4000))),
        (lambda x: exact.power(x, 0.37), lambda x: x**0.37, np.linspace(0, 50, 4001)),
        (exact.cos_turns, lambda x: math.cos(2 * math.pi * x), np.linspace(-2, 2, 4001)),
        (exact.sin_turns, lambda x: math.sin(2 * math.pi * x), np.linspace(-2, 2, 4001)),
    ],
    ids=["exp", "log", "power", "cos", "sin"],
)
def test_functions_are_as_accurate_as_the_library(function, reference, domain):
    expected = np.array([reference(float(x)) for x in domain])
    np.testing.assert_allclose(function(domain), expected, rtol=1e-13, atol=1e-14)
    # One number and many give the same bits.
    assert [function(float(x)) for x in domain] == function(domain).tolist()


def test_functions_of_float32_are_float32():
    turns, x = (np.linspace(-2, 2, 999, dtype=np.float32) for _ in range(2))
    for found, expected in (
        (exact.cos_turns(turns), np.cos(2 * np.pi * turns.astype(float))),
        (exact.exp(x), np.exp(x.astype(float))),
    ):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_the_normal_quantile_is_that_of_the_distribution():
    share = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 5001), 10.0 ** -np.arange(7, 17)])
    np.testing.assert_allclose(
        exact.normal_quantile(share), scipy.stats.norm.ppf(share), rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize(
    ("sample", "distribution"),
    [
        (lambda d: d.random(4000), scipy.stats.uniform()),
        (lambda d: d.uniform(2, 5, 4000), scipy.stats.uniform(2, 3)),
        (lambda d: d.normal(1, 2, 4000), scipy.stats.norm(1, 2)),
        (lambda d: np.array([d.normal(1, 2) for _ in range(4000)]), scipy.stats.norm(1, 2)),
        (lambda d: d.pixel_noise((40, 100)).ravel(), scipy.stats.norm()),
        (lambda d: d.log_normal(0.5, 0.3, 4000), scipy.stats.lognorm(0.3, scale=math.exp(0.5))),
        (lambda d: np.array([d.log_uniform(2, 60) for _ in range(4000)]), scipy.stats.loguniform(2, 60)),
        (lambda d: np.array([d.gamma(1.3, 2.0) for _ in range(4000)]), scipy.stats.gamma(1.3, scale=2)),
        (lambda d: np.array([d.gamma(0.4, 2.0) for _ in range(4000)]), scipy.stats.gamma(0.4, scale=2)),
        (lambda d: np.array([d.beta(1.3, 0.9) for _ in range(4000)]), scipy.stats.beta(1.3, 0.9)),
        (lambda d: np.array([d.shares((0.9, 0.5, 0.2))[1] for _ in range(4000)]), scipy.stats.beta(0.5, 1.1)),
    ],
)
def test_draws_follow_their_distribution(sample, distribution):
    assert scipy.stats.kstest(sample(Draws(5)), distribution.cdf).pvalue > 1e-3


def test_integer_draws_are_uniform_and_in_range():
    draws = Draws([1, 2])
    for values in (draws.integers(3, 9, 6000), np.array([draws.integers(3, 9) for _ in range(6000)])):
        assert values.min() == 3
        assert values.max() == 8
        assert scipy.stats.chisquare(np.bincount(values, minlength=9)[3:]).pvalue > 1e-3
    counts = np.bincount(draws.index([1, 0, 3], 8000), minlength=3)
    assert counts[1] == 0
    assert counts[2] / 8000 == pytest.approx(0.75, abs=0.02)
    assert sorted(draws.permutation(np.arange(50)).tolist()) == list(range(50))
    assert {draws.choice("ab") for _ in range(40)} == {"a", "b"}
    assert draws.integers(0, 1 << 62) > 1 << 40


def test_the_block_transform_is_the_cosine_transform():
    blocks = np.random.default_rng(0).uniform(0, 255, (8, 8, 3, 5)).astype(np.float32)
    waves = compression._transform_both_axes(compression._cosine_transform, blocks)
    np.testing.assert_allclose(waves, dctn(blocks, axes=(0, 1), norm="ortho"), atol=1e-3)
    back = compression._transform_both_axes(compression._inverse_cosine_transform, waves)
    np.testing.assert_allclose(back, idctn(waves, axes=(0, 1), norm="ortho"), atol=1e-3)
