"""Kinds of change: rules against plain NumPy, hostile values, and columns that no tiling changes."""

from __future__ import annotations

from dataclasses import replace

import geopandas
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rsdetect
from rsdetect.kinds.classes import KIND_NAMES, KIND_OF, Kind, Land, kinds_of_codes, pair_codes
from rsdetect.kinds.columns import KIND_COLUMNS, kind_columns
from rsdetect.kinds.named import MEASURED, named_kinds
from rsdetect.kinds.rules import BASES, LandRules, Scale, index, wanted_bands
from rsdetect.regions.code_counts import CodeCounts
from support.memory import memory_scene

BLUE, GREEN, RED, NIR, SWIR1, SWIR2 = range(6)
# Reflectance of typical ground in six bands.
GROUND = {
    Land.TREES: (0.02, 0.04, 0.03, 0.25, 0.11, 0.05),
    Land.LOW_VEGETATION: (0.05, 0.09, 0.07, 0.38, 0.22, 0.11),
    Land.BARE: (0.09, 0.13, 0.18, 0.25, 0.33, 0.28),
    Land.BUILT: (0.19, 0.20, 0.21, 0.22, 0.24, 0.23),
    Land.WATER: (0.06, 0.055, 0.04, 0.015, 0.006, 0.005),
    Land.SNOW: (0.86, 0.86, 0.85, 0.78, 0.10, 0.06),
    Land.BURNT: (0.035, 0.038, 0.042, 0.06, 0.115, 0.145),
}


def rules(basis="swir"):
    count = len(wanted_bands(basis))
    scale = Scale((1.0,) * count, (0.0,) * count)
    return LandRules(basis, tuple(range(count)), scale, scale)


def classes_of(basis, values):
    codes = rules(basis).codes(values, values)
    before, after = np.divmod(codes, len(Land))
    np.testing.assert_array_equal(before, after)
    return before


def test_typical_ground_has_its_class():
    values = np.array([GROUND[land] for land in GROUND], np.float32).T
    assert classes_of("swir", values).tolist() == list(GROUND)


def test_an_index_is_what_numpy_says_and_0_where_both_bands_are_0():
    rng = np.random.default_rng(3)
    more, less = rng.random((2, 1000)).astype(np.float32)
    more[:10] = less[:10] = 0
    with np.errstate(invalid="ignore"):
        expected = (more.astype(float) - less) / (more.astype(float) + less)
    np.testing.assert_allclose(index(more, less), np.nan_to_num(expected), atol=1e-6)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("value", [0.0, -0.3, 1e15, -1e15, 1e-30])
def test_values_that_no_ground_has_give_a_class_without_a_warning(basis, value):
    values = np.full((len(wanted_bands(basis)), 5), value, np.float32)
    with np.errstate(all="raise"):
        assert set(classes_of(basis, values)) <= set(Land)


@settings(max_examples=40)
@given(st.integers(0, 9999), st.sampled_from(BASES))
def test_reversed_dates_swap_the_classes_and_gain_with_loss(seed, basis):
    rng = np.random.default_rng(seed)
    before, after = rng.random((2, len(wanted_bands(basis)), 50)).astype(np.float32)
    first, second = np.divmod(rules(basis).codes(before, after), len(Land))
    back = np.divmod(rules(basis).codes(after, before), len(Land))
    np.testing.assert_array_equal(back, (second, first))
    swapped = {Kind.WATER_GAIN: Kind.WATER_LOSS, Kind.WATER_LOSS: Kind.WATER_GAIN}
    for one, other in zip(KIND_OF[first, second], KIND_OF[second, first], strict=True):
        assert one not in swapped or other == swapped[one]


def test_what_is_there_afterwards_decides_and_unknown_stays_unknown():
    kinds = {
        (Land.TREES, Land.BUILT): "built or sealed",
        (Land.TREES, Land.LOW_VEGETATION): "vegetation loss",
        (Land.LOW_VEGETATION, Land.TREES): "vegetation gain",
        (Land.LOW_VEGETATION, Land.BARE): "opened ground",
        (Land.BARE, Land.WATER): "water gain",
        (Land.WATER, Land.BUILT): "water loss",
        (Land.WATER, Land.SNOW): "snow or ice",
        (Land.TREES, Land.BURNT): "burnt",
        (Land.TREES, Land.TREES): "other",
        (Land.UNKNOWN, Land.WATER): "unknown",
    }
    for (before, after), name in kinds.items():
        assert KIND_NAMES[kinds_of_codes(pair_codes(np.array([before]), np.array([after])))[0]] == name


def test_a_region_has_the_kind_of_most_of_its_pixels_and_the_classes_of_these():
    trees, bare, built = Land.TREES, Land.BARE, Land.BUILT
    before, after = np.array([trees, trees, bare, bare, 0]), np.array([built, built, built, bare, 0])
    codes = CodeCounts.of(np.array([1, 1, 1, 1, 2]), pair_codes(before, after).astype(np.int64))
    found = kind_columns(codes, np.array([3, 4, 1]))
    assert tuple(found) == KIND_COLUMNS
    assert found["kind"].tolist() == ["unknown", "built or sealed", "unknown"]
    assert found["from_class"].tolist() == ["unknown", "trees", "unknown"]
    assert found["to_class"].tolist() == ["unknown", "built or sealed", "unknown"]
    assert found["kind_probability"][1] == 0.75 and found["from_probability"][1] == 0.5
    assert np.isnan(found["kind_probability"][[0, 2]]).all()


def test_a_kind_that_is_not_to_be_named_is_unknown_and_so_are_its_classes():
    before, after = np.array([Land.TREES, Land.LOW_VEGETATION]), np.array([Land.BURNT, Land.BUILT])
    codes = CodeCounts.of(np.array([0, 1]), pair_codes(before, after).astype(np.int64))
    found = kind_columns(codes, np.array([1, 1]), named={Kind.BUILT})
    assert found["kind"].tolist() == ["unknown", "built or sealed"]
    assert found["from_class"].tolist() == ["unknown", "low vegetation"]
    assert found["to_class"].tolist() == ["unknown", "built or sealed"]
    for name in ("kind_probability", "from_probability", "to_probability"):
        assert np.isnan(found[name]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("basis", "units"), [("swir", "reflectance"), ("nir", "stretched"), ("rgb", "stretched")]
)
def test_what_is_named_agreed_in_60_percent_of_half_a_percent_of_the_area(basis, units):
    measured = {"swir": "reflectance", "nir": "stretched", "rgb": "picture"}[basis]
    named = named_kinds(replace(rules(basis), units=units)) - {Kind.OTHER, Kind.UNKNOWN}
    assert named and Kind.VEGETATION_GAIN not in named
    assert all(MEASURED[measured][kind].agreement >= 0.6 for kind in named)
    assert named_kinds(None) == {Kind.OTHER, Kind.UNKNOWN}


def test_no_region_gives_empty_columns():
    found = kind_columns(CodeCounts.nothing(), np.empty(0, np.int64))
    assert [len(column) for column in found.values()] == [0] * 6


@given(st.integers(0, 9999))
def test_counts_of_parts_joined_and_grouped_are_those_of_all_pixels(seed):
    rng = np.random.default_rng(seed)
    owners = [int(count) for count in rng.integers(1, 6, 3)]
    pixels = [(rng.integers(0, count, 40), rng.integers(0, 5, 40)) for count in owners]
    joined = CodeCounts.joined([CodeCounts.of(*part) for part in pixels], owners)
    first = np.cumsum([0, *owners[:-1]])
    owner = np.concatenate([one + start for (one, _), start in zip(pixels, first, strict=True)])
    code = np.concatenate([code for _, code in pixels])
    group = rng.integers(0, 4, sum(owners))
    table = np.zeros((4, 5), int)
    np.add.at(table, (group[owner], code), 1)
    found = joined.grouped(group)
    again = np.zeros_like(table)
    again[found.owner, found.code] = found.count
    np.testing.assert_array_equal(again, table)
    chosen = rng.permutation(4)[:2]
    some = found.chosen(chosen, 4)
    picked = np.zeros((2, 5), int)
    picked[some.owner, some.code] = some.count
    np.testing.assert_array_equal(picked, table[chosen])


def pair_of(land, height=90, width=110):
    """Scenes of six bands in which blocks change from each class to the next one."""
    rng = np.random.default_rng(1)
    spectra = np.array([GROUND[each] for each in land]).T
    noise = rng.normal(1, 0.01, (2, 6, height, width))
    blocks = np.arange(height)[:, None] // 15 * 5 + np.arange(width) // 22
    inside = (np.arange(height)[:, None] % 15 > 2) & (np.arange(width) % 22 > 2)
    before = spectra[:, blocks % len(land)]
    after = np.where(inside, spectra[:, (blocks + 1) % len(land)], before)
    return [
        (date * part * 1e4).clip(1).astype(np.uint16)
        for date, part in zip((before, after), noise, strict=True)
    ]


def detected(out, arrays, **options):
    scenes = [
        memory_scene(array, name=date, nodata=0, names=wanted_bands("swir"))
        for array, date in zip(arrays, ("before", "after"), strict=True)
    ]
    rsdetect.detect(
        *scenes, out=out, threshold=0.2, detector="cva", quiet=True, qgis_project=False, **options
    )
    return geopandas.read_file(out / "changes.gpkg", layer="changes")


def test_no_tile_size_changes_a_kind(tmp_path):
    arrays = pair_of(list(GROUND))
    whole = detected(tmp_path / "whole", arrays)
    assert set(whole.kind) >= {"water gain", "built or sealed", "vegetation loss", "unknown"}
    assert whole.equals(detected(tmp_path / "tiles", arrays, tile_size=64))
