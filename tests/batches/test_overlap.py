"""What a batch counts twice: shapely's union of everything is the oracle."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from rasterio.vrt import WarpedVRT

import rsdetect.batches.overlap as overlap
from rsdetect.amounts import area_text
from rsdetect.batches.overlap import PlacedChanges, area_counted_twice
from rsdetect.regions.areas import measure
from support.batches import batch, layer, write_list
from support.jobs import changed_pair, run_here
from support.scenes import TEN_METRES, write_scene

UTM = CRS(32632).to_wkt()
SITE = 'LOCAL_CS["Site grid",UNIT["metre",1],AXIS["E",EAST],AXIS["N",NORTH]]'  # planar areas
UNKNOWN = (np.datetime64("NaT", "D"), np.datetime64("NaT", "D"))


def span(before, after):
    return np.datetime64(before, "D"), np.datetime64(after, "D")


def placed(*polygons, dates=UNKNOWN, crs=SITE, to_own=lambda xy: xy):
    return PlacedChanges(np.array(polygons, dtype=object), crs, to_own, dates)


def squares(*corners, edge=10.0):
    return [shapely.box(x, y, x + edge, y + edge) for x, y in corners]


@pytest.mark.parametrize(
    ("moved", "wanted"),
    [((4, 0), 60.0), ((0, 0), 100.0), ((10, 0), 0.0), ((10, 10), 0.0), ((25, 0), 0.0)],
    ids=["overlapping", "the same", "touching", "corner to corner", "disjoint"],
)
def test_two_pairs(moved, wanted):
    assert area_counted_twice([placed(*squares((0, 0))), placed(*squares(moved))]) == pytest.approx(
        [0, wanted]
    )


def test_ground_under_three_pairs_is_surplus_twice():
    same = squares((0, 0))
    assert area_counted_twice([placed(*same)] * 3) == pytest.approx([0, 100, 100])
    # Two earlier polygons that overlap each other cover the third once.
    pairs = [placed(*squares((0, 0))), placed(*squares((5, 0))), placed(*squares((2, 0)))]
    assert area_counted_twice(pairs) == pytest.approx([0, 50, 100])


def test_polygons_of_one_pair_are_not_compared():
    assert area_counted_twice([placed(*squares((0, 0), (5, 0)))]) == [0]
    assert area_counted_twice([]) == []
    assert area_counted_twice([placed(), placed(*squares((0, 0)))]) == [0, 0]


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (span("2020-01-01", "2021-01-01"), span("2020-01-01", "2021-01-01"), True),
        (span("2020-06-01", "2021-06-01"), span("2020-06-04", "2021-06-06"), True),
        (span("2019-01-01", "2022-01-01"), span("2020-01-01", "2021-01-01"), True),
        (span("2021-01-01", "2020-01-01"), span("2020-05-01", "2020-06-01"), True),
        (span("2020-01-01", "2021-01-01"), span("2021-01-01", "2022-01-01"), False),
        (span("2022-01-01", "2023-01-01"), span("2020-01-01", "2021-01-01"), False),
        (UNKNOWN, span("2020-01-01", "2021-01-01"), True),
    ],
)
def test_pairs_of_other_times_show_other_changes(one, other, shared):
    pairs = [placed(*squares((0, 0)), dates=one), placed(*squares((0, 0)), dates=other)]
    assert area_counted_twice(pairs) == pytest.approx([0, 100 if shared else 0])


@pytest.mark.parametrize("most", [5, 8, 256])
@pytest.mark.parametrize("chunk", [3, 2000])
def test_the_sum_less_what_is_twice_is_the_union(most, chunk, monkeypatch):
    monkeypatch.setattr(overlap, "_MOST_VERTICES", most)
    monkeypatch.setattr(overlap, "_CHUNK", chunk)
    rng = np.random.default_rng(most)
    pairs, count = [], 8 if most == 5 else 40  # pieces of five vertices are many
    for _ in range(4):
        discs = shapely.buffer(shapely.points(rng.uniform(0, 300, (count, 2))), rng.uniform(2, 30, count))
        apart = shapely.get_parts(shapely.union_all(discs))  # of one pair no two polygons overlap
        pairs.append(placed(*apart))
    everything = np.concatenate([pair.geometry for pair in pairs])
    surplus = shapely.area(everything).sum() - shapely.union_all(everything).area
    assert surplus > 1000
    assert sum(area_counted_twice(pairs)) == pytest.approx(surplus, rel=1e-9)


def test_areas_are_those_of_the_pairs_own_crs():
    """Web Mercator stretches distances; areas on the ground are the same."""
    wgs84, mercator = CRS(4326), CRS(3857)
    ground = shapely.box(9.0, 48.0, 9.01, 48.01)
    there = Transformer.from_crs(wgs84, mercator, always_xy=True)

    def to_mercator(xy):
        return np.column_stack(there.transform(xy[:, 0], xy[:, 1]))

    in_degrees = placed(ground, crs=wgs84.to_wkt())
    in_mercator = placed(ground, crs=mercator.to_wkt(), to_own=to_mercator)
    own = np.array([ground]), np.array([shapely.transform(ground, to_mercator)])
    geodesic, stretched = (measure(own[i], crs.to_wkt())[0][0] for i, crs in enumerate((wgs84, mercator)))
    assert stretched == pytest.approx(geodesic, rel=1e-6)
    assert area_counted_twice([in_degrees, in_mercator]) == pytest.approx([0, stretched], rel=1e-4)
    assert area_counted_twice([in_mercator, in_degrees]) == pytest.approx([0, geodesic], rel=1e-4)


# --- the command ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """The left and right two thirds of one changed pair, and its right third."""
    folder = tmp_path_factory.mktemp("halves")
    whole = changed_pair(folder, 150, 240, seed=1)
    for name, first, last in (("west", 0, 160), ("east", 80, 240), ("rest", 160, 240)):
        for date, array in zip(("before", "after"), whole.arrays, strict=True):
            transform = TEN_METRES @ Affine.translation(first, 0)
            write_scene(folder / name / f"{date}.tif", array[:, :, first:last], nodata=0, transform=transform)
    return folder


def rows_of(folder, *names, dates=()):
    days = dates or [""] * len(names)
    return [
        f"{name};{folder / name / 'before.tif'};{folder / name / 'after.tif'};{day}"
        for name, day in zip(names, days, strict=True)
    ]


def report_of(tmp_path, rows, *options):
    pairs = write_list(tmp_path / "pairs.csv", *rows, heading="name;before;after;dates")
    told, table = batch(pairs, tmp_path / "out", *options)
    assert told.status == 0, told.err
    return told, table, json.loads((tmp_path / "out" / "batch.json").read_text())


def test_the_summary_has_the_area_counted_twice(halves, tmp_path):
    told, table, content = report_of(tmp_path, rows_of(halves, "west", "east"), "--no-join")
    changes = layer(tmp_path / "out" / "changes.gpkg")
    surplus = changes.area_m2.sum() - changes.geometry.union_all().area / 0.9996**2
    assert surplus > 1000
    assert content["counted_twice_m2"] == pytest.approx(surplus, rel=1e-5)
    assert (float(table["west"]["counted_twice_m2"]), float(table["east"]["counted_twice_m2"])) == (
        0,
        pytest.approx(surplus, rel=1e-5),
    )
    assert f"Counted twice: {area_text(surplus)} of the changed area" in told.err
    again = run_here(
        "batch", tmp_path / "pairs.csv", "--out", tmp_path / "out", "--detector", "cva", "--json"
    )
    joined = json.loads(again.out)
    assert joined["counted_twice_m2"] == content["counted_twice_m2"]
    assert joined["changed_area_m2"] == pytest.approx(content["changed_area_m2"] - surplus, rel=0.05)


def test_pairs_that_only_touch_or_follow_each_other_say_nothing(halves, tmp_path):
    told, table, content = report_of(tmp_path, rows_of(halves, "west", "rest"))
    assert content["counted_twice_m2"] == 0
    assert {row["counted_twice_m2"] for row in table.values()} == {"0.0"}
    assert "twice" not in told.err
    dates = ["2020-01-01,2021-01-01", "2021-01-01,2022-01-01"]
    (tmp_path / "later").mkdir()
    told, _, content = report_of(tmp_path / "later", rows_of(halves, "west", "east", dates=dates))
    assert content["counted_twice_m2"] == 0
    assert "twice" not in told.err


def test_pairs_of_other_crs(halves, tmp_path):
    """The east half once more in the next UTM zone: what lies there twice is found across the two."""
    for date in ("before", "after"):
        array, transform = reprojected(halves / "east" / f"{date}.tif", "EPSG:32633")
        path = tmp_path / "east33" / f"{date}.tif"
        write_scene(path, array, crs="EPSG:32633", transform=transform, nodata=0)
    rows = [*rows_of(halves, "west"), *rows_of(tmp_path, "east33")]
    _, _, content = report_of(tmp_path, rows, "--no-join")
    changes = layer(tmp_path / "out" / "changes.gpkg").to_crs(32632)
    west, east = (changes[changes["pair"] == name].geometry.union_all() for name in ("west", "east33"))
    wanted = west.intersection(east).area
    assert wanted > 1000
    assert content["counted_twice_m2"] == pytest.approx(
        wanted, rel=0.01
    )  # the scale of the two zones differs


def reprojected(path, crs):
    with rasterio.open(path) as scene, WarpedVRT(scene, crs=crs, nodata=0) as warped:
        return warped.read(), warped.transform
