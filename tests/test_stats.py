"""Cut anyhow, merged in any order: the same answer as NumPy on the whole."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsdetect.grid import Window
from rsdetect.stats import Histogram, Moments, PixelSample, robust_scale
from rsdetect.tiles import Tile
from support.scenes import random_scene

counts = st.integers(0, 60)
scales = st.sampled_from([1e-6, 1.0, 250.0, 1e12])


def cut(rng, values):
    """The values in pieces of random length, some empty, in random order."""
    edges = np.sort(rng.integers(0, values.shape[1] + 1, rng.integers(0, 9)))
    pieces = np.split(values, edges, axis=1)
    return [pieces[i] for i in rng.permutation(len(pieces))]


@given(seed=st.integers(0, 9999), bands=st.integers(1, 4), count=counts, scale=scales, shift=scales)
def test_moments_cut_anyhow_are_numpys_on_the_whole(seed, bands, count, scale, shift):
    rng = np.random.default_rng(seed)
    values = (rng.normal(size=(bands, count)) * scale + shift).astype(np.float32)
    merged = functools.reduce(Moments.merge, map(Moments.of, cut(rng, values)))
    assert merged.count == count
    if count == 0:
        assert (merged.minimum == np.inf).all() and (merged.std == 0).all()
        return
    exact = values.astype(np.float64)
    np.testing.assert_allclose(merged.mean, exact.mean(axis=1), rtol=1e-12, atol=1e-12 * scale)
    np.testing.assert_allclose(merged.std, exact.std(axis=1), rtol=1e-9, atol=1e-9 * (scale + shift))
    np.testing.assert_array_equal(merged.minimum, exact.min(axis=1))
    np.testing.assert_array_equal(merged.maximum, exact.max(axis=1))


def test_moments_keep_a_small_spread_far_from_zero():
    """The textbook formula, mean of squares less square of mean, loses it here."""
    values = 1e9 + np.arange(4.0).reshape(1, 4)
    merged = Moments.of(values[:, :1]).merge(Moments.of(values[:, 1:]))
    np.testing.assert_allclose(merged.std, values.std(axis=1), rtol=1e-12)


@given(
    seed=st.integers(0, 9999), count=counts, bins=st.integers(1, 50),
    low=st.integers(-100, 100), width=st.integers(1, 500),
)  # fmt: skip
def test_histograms_cut_anyhow_are_numpys_on_the_whole(seed, count, bins, low, width):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(1, count)) * 200
    merged = functools.reduce(
        Histogram.merge, [Histogram.of(piece, low, low + width, bins) for piece in cut(rng, values)]
    )
    inner_edges = np.linspace(low, low + width, bins + 1)
    expected = np.histogram(np.clip(values, low, low + width), inner_edges)[0]
    np.testing.assert_array_equal(merged.counts, expected)
    np.testing.assert_allclose(merged.centres, (inner_edges[1:] + inner_edges[:-1]) / 2, atol=1e-9)


@pytest.mark.parametrize("odd", [1e30, np.inf, -np.inf, np.float32(3e38)])
def test_a_value_beyond_all_bins_is_counted_in_the_last(odd):
    found = Histogram.of(np.array([odd, 0.5], np.float32), 0.0, 1.0, 2).counts
    assert found.tolist() == ([0, 2] if odd > 0 else [1, 1])


def tile_of(rng, bands, height, width):
    window = Window(0, 0, height, width)
    before, after = (
        random_scene(rng, bands, height, width, "float32"),
        random_scene(rng, bands, height, width, "float32"),
    )
    return Tile(
        window, window, before, after, rng.random((height, width)) < 0.7, rng.random((height, width)) < 0.7
    )


@given(
    seed=st.integers(0, 9999), bands=st.integers(1, 4),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)), every=st.integers(1, 7),
)  # fmt: skip
def test_a_sample_holds_every_nth_pixel_that_both_dates_have(seed, bands, size, every):
    rng = np.random.default_rng(seed)
    tile = tile_of(rng, bands, *size)
    sample = PixelSample.of(tile, every)
    np.testing.assert_array_equal(sample.before, tile.before[:, tile.valid][:, ::every])
    np.testing.assert_array_equal(sample.after, tile.after[:, tile.valid][:, ::every])
    other = PixelSample.of(tile_of(rng, bands, 5, 5), 1)
    both = sample.merge(other)
    assert both.count == sample.count + other.count
    np.testing.assert_array_equal(both.before, np.hstack([sample.before, other.before]))


def test_the_robust_scale_of_a_normal_distribution_is_its_own():
    values = np.random.default_rng(0).normal(40, 7, (2, 200_000)).astype(np.float32)
    centre, scale = robust_scale(values)
    np.testing.assert_allclose(centre, 40, atol=0.1)
    np.testing.assert_allclose(scale, 7, rtol=0.01)


def test_one_hot_pixel_in_a_hundred_does_not_stretch_the_scale():
    values = np.random.default_rng(0).normal(40, 7, (1, 10_000))
    hot = values.copy()
    hot[0, ::100] = 1e30
    np.testing.assert_allclose(robust_scale(hot), robust_scale(values), rtol=0.1)


@pytest.mark.parametrize("value", [0.0, -3.0, 1e30, 2.0**31])
def test_a_constant_band_has_scale_one(value):
    assert robust_scale(np.full((1, 9), value, np.float32))[1] == (1.0,)


def test_a_band_that_is_constant_but_for_a_few_pixels_still_has_a_usable_scale():
    values = np.zeros((1, 1000))
    values[0, :5] = 100
    assert robust_scale(values) == ((0.0,), (1.0,))
