"""Shares of zones against the areas of single pixels, each intersected by itself."""

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from rsdetect.regions import zones as module
from rsdetect.regions.zones import zone_shares

UTM = pyproj.CRS(32632).to_wkt()
ORIGIN = np.array([500_000.0, 5_300_000.0])


def pixels(mask):
    rows, cols = np.nonzero(mask)
    return shapely.box(cols, rows, cols + 1, rows + 1)


def regions(mask):
    return shapely.get_parts(shapely.union_all(pixels(mask))) if mask.any() else np.empty(0, object)


@given(st.integers(0, 10**6), st.lists(st.tuples(*[st.floats(-2, 10, width=16)] * 3), min_size=1, max_size=4))
def test_shares_are_those_of_every_pixel_intersected_by_itself(seed, triangles):
    random = np.random.default_rng(seed)
    seen = random.random((8, 9)) < 0.8
    changed = seen & (random.random((8, 9)) < 0.4)
    zones = np.array([shapely.Point(x, y).buffer(1 + abs(r) / 4, quad_segs=1) for x, y, r in triangles])
    found = zone_shares(zones, regions(changed), regions(seen), None)
    for number, zone in enumerate(zones):
        observed, change = (
            shapely.area(shapely.intersection(zone, pixels(mask))).sum() if mask.any() else 0.0
            for mask in (seen, changed)
        )
        assert found.observed_share[number] == pytest.approx(observed / zone.area, abs=1e-9)
        if observed > 1e-9:
            assert found.changed_share[number] == pytest.approx(change / zone.area, abs=1e-9)
    assert np.isnan(found.area_m2).all()


def test_areas_are_those_of_the_ground_and_a_large_footprint_is_cut_without_loss(monkeypatch):
    monkeypatch.setattr(module, "_MOST_VERTICES", 16)
    grid = [shapely.box(10 * i, 10 * j, 10 * i + 9, 10 * j + 9) for i in range(30) for j in range(30)]
    seen = shapely.transform(shapely.union_all(grid), lambda xy: xy * 100 + ORIGIN)
    zone = shapely.transform(shapely.box(0, 0, 300, 300), lambda xy: xy * 100 + ORIGIN)
    found = zone_shares(np.array([zone]), np.array([zone]), np.array([seen]), UTM)
    assert found.observed_share[0] == pytest.approx(0.81, rel=1e-5)
    on_ellipsoid, _ = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(
        shapely.transform(
            shapely.segmentize(zone, 100),
            lambda xy: np.column_stack(
                pyproj.Transformer.from_crs(32632, 4326, always_xy=True).transform(*xy.T)
            ),
        )
    )
    assert found.area_m2[0] == pytest.approx(abs(on_ellipsoid), rel=1e-5)
    assert found.changed_area_m2[0] == pytest.approx(found.area_m2[0]) and found.regions[0] == 1


def test_a_region_that_only_touches_a_zone_does_not_count():
    zone, region = shapely.box(0, 0, 2, 2), shapely.box(2, 0, 3, 2)
    found = zone_shares(np.array([zone]), np.array([region]), np.array([shapely.box(0, 0, 9, 9)]), None)
    assert (found.regions[0], found.changed_share[0]) == (0, 0.0)


def test_unobserved_zones_have_no_change_and_not_zero():
    found = zone_shares(np.array([shapely.box(0, 0, 1, 1)]), np.empty(0, object), np.empty(0, object), UTM)
    assert found.observed_share[0] == 0 and np.isnan([found.changed_share[0], found.changed_area_m2[0]]).all()
