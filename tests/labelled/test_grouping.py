"""Grouping of labelled pairs into places, by distance and by name."""

from pathlib import Path

import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS, Geod, Transformer

from rsdetect.errors import InputError
from rsdetect.evaluation import evaluate
from rsdetect.grid import Grid
from rsdetect.labelled import LabelledPair
from rsdetect.labelled.grouping import GroupBy, adjoining_places, group_neighbours, neighbouring_footprints
from support.jobs import run_here
from support.labelled_sets import write_set
from support.scenes import TEN_METRES

UTM_32, UTM_33, DEGREES = (CRS(code).to_wkt() for code in (32632, 32633, 4326))


def grid(x, y, *, edge=1000.0, crs=UTM_33, pixels=100):
    """A square with its upper left corner at (x, y)."""
    return Grid(crs, Affine(edge / pixels, 0, x, 0, -edge / pixels, y), pixels, pixels)


def pair(name, place):
    return LabelledPair(name, place, *[Path(name)] * 3)


def test_chains_of_neighbours_are_one_place_named_after_the_first():
    row = [grid(500_000 + x, 5_000_000) for x in (0, 1400, 2800, 9000)]
    assert group_neighbours(["b", "a", "c", "d"], row, 500) == ["a", "a", "a", "d"]
    assert group_neighbours(["b", "a", "c", "d"], row, 300) == ["b", "a", "c", "d"]
    assert group_neighbours(["b", "a", "b", "d"], row, 0) == ["b", "a", "b", "d"]
    assert adjoining_places(["b", "a", "c", "d"], row) == {"a": {"b", "c"}, "b": {"a"}, "c": {"a"}}
    assert adjoining_places(["a", "a", "a", "d"], row) == {}


def test_what_touches_is_near_whatever_its_crs():
    to_other = Transformer.from_crs(UTM_33, UTM_32, always_xy=True)
    to_degrees = Transformer.from_crs(UTM_33, DEGREES, always_xy=True)
    x, y = 500_000, 5_000_000
    other_zone = grid(*to_other.transform(x + 1300, y), crs=UTM_32)
    degrees = grid(*to_degrees.transform(x - 600, y), edge=0.004, crs=DEGREES)  # 316 m from west to east
    grids = [grid(x, y), other_zone, degrees]
    assert set(neighbouring_footprints(grids, 400)) == {(0, 1), (0, 2)}
    assert set(neighbouring_footprints(grids, 200)) == set()


@given(st.floats(-75, 75), st.floats(-180, 180), st.floats(0, 360), st.floats(1, 30_000), st.booleans())
def test_distances_are_those_of_the_ellipsoid(latitude, longitude, azimuth, distance, nearer):
    there = Geod(ellps="WGS84").fwd(longitude, latitude, azimuth, distance)
    small = {"edge": 1e-7, "crs": DEGREES, "pixels": 10}
    grids = [grid(longitude, latitude, **small), grid(there[0], there[1], **small)]
    found = list(neighbouring_footprints(grids, distance * (1.015 if nearer else 0.985)))
    assert found == ([(0, 1)] if nearer else [])


def test_grids_without_georeference_have_no_neighbours():
    assert list(neighbouring_footprints([grid(0, 0, crs=None), grid(0, 0, crs=None), grid(0, 0)], 1e6)) == []
    assert list(neighbouring_footprints([], 100)) == []


def test_places_by_a_match_in_names():
    pairs = [pair(name, name) for name in ("ulm_1", "ulm_2", "bonn_1")]
    found = GroupBy.parse("^[a-z]+").apply(pairs, [grid(0, 0)] * 3)
    assert [each.place for each in found] == ["ulm", "ulm", "bonn"]
    found = GroupBy.parse(r"_(\d)").apply(pairs, [grid(0, 0)] * 3)
    assert [each.place for each in found] == ["1", "2", "1"]
    with pytest.raises(InputError, match=r"finds no place in the name bonn_1"):
        GroupBy.parse("ulm").apply(pairs, [grid(0, 0)] * 3)


def test_distances_as_people_write_them():
    assert [GroupBy.parse(text).distance_m for text in ("500m", "2 km", "0.5km")] == [500, 2000, 500]
    with pytest.raises(InputError, match="neither a distance like 500m nor a regular expression"):
        GroupBy.parse("(")


@pytest.fixture(scope="module")
def valley(tmp_path_factory):
    """Four tiles of 1.4 km: two that touch, one 700 m farther on, one far away."""
    folder = tmp_path_factory.mktemp("sets") / "valley"
    for name, column in (("a", 0), ("b", 140), ("c", 350), ("quiet", 5000)):
        write_set(folder, (name,), transform=TEN_METRES @ Affine.translation(column, 0))
    return folder


def test_evaluate_draws_neighbours_together(valley, tmp_path):
    def places(**options):
        (source,) = evaluate([valley], detector="cva", shifts_px=(), **options).sources
        return {scene.name: scene.place for scene in source.scenes}, source.figures

    alone, narrow = places()
    assert list(alone.values()) == ["a", "b", "c", "quiet"]
    assert list(places(group_by="500m")[0].values()) == ["a", "a", "c", "quiet"]
    near, wide = places(group_by="1km")
    assert list(near.values()) == ["a", "a", "a", "quiet"]
    assert narrow["changed_share"].value == wide["changed_share"].value
    assert narrow["changed_share"].low != wide["changed_share"].low
    done = run_here("evaluate", valley, "--out", tmp_path / "out", "--detector", "cva", "--group-by", "(")
    assert (done.status, "neither a distance" in done.err) == (2, True)


def test_a_distance_needs_georeferences(tmp_path):
    folder = write_set(tmp_path / "set", ("a", "b"), crs=None, driver="PNG", transform=Affine.identity())
    done = run_here("evaluate", folder, "--out", tmp_path / "out", "--detector", "cva", "--group-by", "500m")
    assert done.status == 2
    assert "has no georeference, so distances to it are unknown" in done.err
