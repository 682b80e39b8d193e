"""Files that only ground control points or RPCs place: refused, or warped by the points under --align."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from scipy.ndimage import binary_erosion

from rsdetect import open_pair
from rsdetect.checks.settle import open_settled
from rsdetect.errors import DoubtError, SceneError
from rsdetect.feeds.scene_refs import SceneRef
from rsdetect.ingestion.site import choose_site
from rsdetect.scenes.control_points import outliers_of
from rsdetect.scenes.pair import PairOptions
from rsdetect.scenes.scene import read_scene
from support.jobs import run_here
from support.scenes import UTM, write_scene

HEIGHT, WIDTH = 90, 110
TILTED = Affine.translation(500300, 5299700) @ Affine.rotation(-20) @ Affine.scale(10, -10)


def ground(x, y):
    """A surface over the ground, linear in x and y, so that any fitting interpolation gives it exactly."""
    return (x - 500000) * 0.5 + (5300000 - y) * 0.25


def place(col, row, bend):
    """Where a pixel of the tilted image lies; `bend` metres in a swath's middle."""
    x, y = TILTED @ np.array([col, row])
    return x + bend * np.sin(np.pi * np.asarray(row) / HEIGHT), y


def write_swath(path, *, bend=0.0, crs=UTM, points=5, dtype="float32", fill=None):
    cols, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    values = ground(*place(cols, rows, bend)).astype(dtype)
    if fill is not None:
        values[:, :20] = fill
    control = []
    for row in np.linspace(0, HEIGHT, points):
        for col in np.linspace(0, WIDTH, points):
            x, y = place(col, row, bend)
            if crs != UTM:
                x, y = pyproj.Transformer.from_crs(UTM, crs, always_xy=True).transform(x, y)
            control.append(GroundControlPoint(row=row, col=col, x=float(x), y=float(y), z=0.0))
    return write_scene(path, values, crs=crs, transform=Affine.identity(), gcps=control)


@pytest.fixture
def north_up(tmp_path):
    """A scene of the same ground on a grid."""
    cols, rows = np.meshgrid(np.arange(100) + 0.5, np.arange(100) + 0.5)
    return write_scene(
        tmp_path / "north up.tif", ground(500000 + 10 * cols, 5300000 - 10 * rows).astype("float32")
    )


def largest_difference(scene, grid):
    values, valid = read_scene(scene, grid.window)
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    xs, ys = grid.transform @ np.array([cols.ravel(), rows.ravel()])
    inner = binary_erosion(valid)  # at its edge the kernel has only one side
    assert inner.sum() > 2000
    return abs(values[0] - ground(xs, ys).reshape(grid.shape))[inner].max() / 5  # in pixels of 10 m


@pytest.mark.parametrize(("crs", "bend"), [(UTM, 0.0), ("EPSG:4326", 0.0), (UTM, 60.0)])
def test_a_scene_is_warped_by_its_points(tmp_path, north_up, crs, bend):
    swath = write_swath(tmp_path / "swath.tif", crs=crs, bend=bend, points=9)
    pair = open_pair(north_up, swath, PairOptions(align=True))
    assert pair.grid.transform == Affine(10, 0, 500000, 0, -10, 5300000) @ Affine.translation(
        pair.before.offset[1], pair.before.offset[0]
    )
    assert largest_difference(pair.after, pair.grid) < 0.1
    (note,) = (note for note in pair.notes if "control points" in note)
    assert "81 ground control points" in note and ("splines" in note) == (bend > 0)


def test_the_first_scene_is_brought_to_a_grid_north_up(tmp_path, north_up):
    swath = write_swath(tmp_path / "swath.tif")
    other = write_swath(tmp_path / "other.tif", crs="EPSG:4326")
    for after in (north_up, other, swath):
        pair = open_pair(swath, after, PairOptions(align=True))
        assert pair.grid.pixel_size == pytest.approx((10, 10), rel=0.05)
        assert pair.grid.transform.b == 0
        assert largest_difference(pair.before, pair.grid) < 0.1
        assert largest_difference(pair.after, pair.grid) < 0.1


def scattered(count, wrong, *, bend=0.0, metres=3000):
    """Control points on a lattice, those with the numbers `wrong` (from 1) off by `metres`."""
    side = int(np.ceil(np.sqrt(count)))
    places = [(0, 0), (WIDTH, 0), (0, HEIGHT), (WIDTH, HEIGHT), (60, 30)]
    if count > len(places):
        places = [(i % side * WIDTH / side, i // side * HEIGHT / side) for i in range(count)]
    control = []
    for number, (col, row) in enumerate(places, 1):
        x, y = place(col, row, bend)
        x += metres * (number in wrong)
        control.append(GroundControlPoint(row=row, col=col, x=float(x), y=float(y), z=0.0))
    return control


@pytest.mark.parametrize(("count", "wrong"), [(5, (1,)), (5, (5,)), (9, (9,)), (25, (3,)), (25, (1, 2, 13))])
def test_points_that_disagree_with_the_others_are_a_doubt(tmp_path, north_up, count, wrong):
    swath = write_scene(
        tmp_path / "swath.tif",
        np.ones((HEIGHT, WIDTH), "float32"),
        transform=Affine.identity(),
        gcps=scattered(count, wrong),
    )
    listed = ", ".join(f"{number} by 300 pixels" for number in wrong)
    with pytest.raises(
        DoubtError, match=rf"swath\.tif has ground control points? \({listed}; .*accept='control-point'"
    ):
        open_pair(north_up, swath, PairOptions(align=True))
    accepted = PairOptions(align=True, accept=("control-point",))
    assert [doubt.name for doubt in open_pair(north_up, swath, accepted).doubts] == ["control-point"]


@pytest.mark.parametrize("count", [5, 6, 9, 11, 12, 25, 100])
def test_points_of_bent_or_inaccurate_swaths_are_none(count):
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0, 8, (count, 2))
        points = scattered(count, (), bend=60.0)
        rows = np.array(
            [
                (each.col, each.row, each.x + dx, each.y + dy)
                for each, (dx, dy) in zip(points, noise, strict=True)
            ]
        )
        assert outliers_of(rows) == []


def test_without_align_it_is_refused_and_the_option_is_named(tmp_path, north_up):
    swath = write_swath(tmp_path / "swath.tif")
    told = run_here("check", north_up, swath)
    assert told.status == 2
    assert "swath.tif is placed by 25 ground control points and has no grid" in told.err
    assert "`--align`" in told.err or "--align" in told.err
    with rasterio.open(swath) as dataset:
        assert open_pair(north_up, dataset, PairOptions(align=True)).after.path == swath


def test_undeclared_fill_is_found_before_the_warp(tmp_path, north_up):
    swath = write_swath(tmp_path / "swath.tif", fill=0)
    pair = open_settled(north_up, swath, PairOptions(align=True))
    assert any("probably fill" in note for note in pair.notes)
    assert largest_difference(pair.after, pair.grid) < 0.1


def test_rpcs_and_points_that_place_nothing_are_refused(tmp_path, north_up):
    none, one = [0.0] * 20, [1.0] + [0.0] * 19
    rpc = RPC(
        height_off=0, height_scale=500, lat_off=48, lat_scale=0.1, line_off=20, line_scale=40, long_off=9,
        long_scale=0.1, samp_off=25, samp_scale=50, line_num_coeff=none, line_den_coeff=one,
        samp_num_coeff=none, samp_den_coeff=one, err_bias=0, err_rand=0,
    )  # fmt: skip
    path = write_scene(
        tmp_path / "rpc.tif", np.ones((1, 40, 50), np.uint8), crs=None, transform=Affine.identity()
    )
    with rasterio.open(path, "r+") as dataset:
        dataset.rpcs = rpc
    with pytest.raises(SceneError, match=r"rpc\.tif is placed by RPCs, .* RPC_DEM"):
        open_pair(path, path, PairOptions(align=True))
    line = [GroundControlPoint(row=i, col=i, x=9 + i / 1e4, y=48.0) for i in range(4)]
    path = write_scene(
        tmp_path / "line.tif",
        np.ones((1, 40, 50), np.uint8),
        crs="EPSG:4326",
        transform=Affine.identity(),
        gcps=line,
    )
    with pytest.raises(SceneError, match=r"line\.tif place"):
        open_pair(path, path, PairOptions(align=True))


def test_a_watched_site_takes_them_with_align(tmp_path):
    ref = SceneRef("a", datetime(2024, 5, 3, tzinfo=UTC), (write_swath(tmp_path / "swath.tif"),))
    assert choose_site([ref], None, None) is None
    site = choose_site([ref], None, None, align=True)
    assert site is not None and site.grid.transform.b == 0
