"""What lies on simulated ground: what counts as change, what only resembles it, and that nothing is flat."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from rsdetect.simulation import ChangeKind, SceneSpec
from rsdetect.simulation.canvas import Canvas, Cover, Texture
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.ground.catalogue import ENTRIES, draw_catalogue
from rsdetect.simulation.ground.land import PLOT_RULES, Land, Use
from rsdetect.simulation.ground.landscape import Landscape, draw_landscape
from rsdetect.simulation.ground.painting import paint_ground
from rsdetect.simulation.ground.patch import Patch, strew_objects
from rsdetect.simulation.ground.plots import Plots
from rsdetect.simulation.ground.relief import Relief, shade_hills
from rsdetect.simulation.ground.water import Waters, map_water, paint_water
from rsdetect.simulation.noise import Frame
from rsdetect.simulation.salts import Salt
from rsdetect.simulation.world import build_world

SIZE = 200
BUILT = [ChangeKind.BUILDING_NEW, ChangeKind.BUILDING_REMOVED, ChangeKind.BUILT_UP]


def landscape(seed: int, gsd_m: float, change: float, size: int = SIZE) -> Landscape:
    world = build_world(SceneSpec(kind="vhr", height=size, width=size, seed=seed, gsd_m=gsd_m, change=change))
    return draw_landscape(world, Frame(0, 0, size, size, gsd_m, world.seed))


@pytest.mark.parametrize("gsd_m", [0.3, 1.5, 5.0, 30.0])
def test_nothing_that_comes_and_goes_is_change(gsd_m):
    # Vehicles, ships, goods, crops, tides, snow, grown crowns, leaning roofs: 0 is 0.
    for seed in range(300, 308):
        assert not landscape(seed, gsd_m, 0.0).kind.any(), seed


@pytest.mark.parametrize("gsd_m", [1.5, 5.0, 30.0])
def test_outside_the_truth_the_cover_stays_at_every_pixel_size(gsd_m):
    for seed in range(4):
        drawn = landscape(seed, gsd_m, 0.3)
        before, after = (canvas.cover for canvas in drawn.canvases)
        hidden = (before == Cover.BUILDING) | (after == Cover.BUILDING)
        still = (drawn.kind == 0) & ~hidden
        np.testing.assert_array_equal(before[still], after[still])


def test_buildings_prevail_among_changes_at_fine_pixels():
    counts = np.zeros(len(ChangeKind))
    shares = []
    for seed in range(96):
        kind = landscape(seed, 0.7, 0.3).kind
        counts += np.bincount(kind.ravel(), minlength=len(ChangeKind))
        shares.append((kind > 0).mean())
    assert counts[BUILT].sum() > 0.5 * counts[1:].sum()
    # Some places hardly change, others are developed as a whole.
    assert min(shares) < 0.1
    assert max(shares) > 0.5


def test_any_land_may_convert_at_coarse_pixels():
    counts = np.zeros(len(ChangeKind))
    for seed in range(12):
        counts += np.bincount(landscape(seed, 30.0, 0.3).kind.ravel(), minlength=len(ChangeKind))
    share = counts[1:] / counts[1:].sum()
    assert (share > 0.01).sum() >= 8
    assert share.max() < 0.4
    assert counts[[ChangeKind.BUILDING_NEW, ChangeKind.BUILDING_REMOVED]].sum() < 0.05 * counts[1:].sum()


def test_a_building_that_replaces_another_is_new():
    rebuilt = 0
    for seed in range(6):
        drawn = landscape(seed, 0.7, 0.5)
        before, after = (canvas.cover == Cover.BUILDING for canvas in drawn.canvases)
        rebuilt += ((drawn.kind == ChangeKind.BUILDING_NEW) & before & after).sum()
    assert rebuilt > 200


def test_a_building_that_stays_keeps_its_shape():
    catalogue = draw_catalogue(0.4, 0.5, Draws(1))
    stays = ~catalogue.rebuilt
    for name in ("shape", "house_m", "aspect", "position", "turn", "wing", "height_m", "pitch", "hip"):
        first, second = getattr(catalogue, name)
        np.testing.assert_array_equal(first[..., stays], second[..., stays], err_msg=name)
        assert (first[..., catalogue.rebuilt] != second[..., catalogue.rebuilt]).any(), name
    assert catalogue.rebuilt.any()
    assert (catalogue.roof[0] != catalogue.roof[1])[stays].any()  # some are repainted


def test_a_water_line_that_moves_by_metres_is_no_change():
    frame = Frame(0, 0, 800, 800, 1.0, 5)
    waters = Waters(river_m=300.0, width_m=40.0, pond_m=0.0, level=2.0, flood=0.0, tide_m=(-3.0, 3.0))
    shores = map_water(waters, frame)
    np.testing.assert_array_equal(shores.lying[0], shores.lying[1])
    low, high = shores.seen
    assert (high & ~low).sum() > 50
    assert not (low & ~high).any()
    textures = Texture.draw_pair(frame, 1.0)
    covers, rows = [], []
    for date in range(2):
        canvas = Canvas.blank((800, 800))
        paint_water(canvas, shores, date, textures[date], frame)
        covers.append(canvas.cover)
        rows.append(canvas.first)
    np.testing.assert_array_equal(*covers)
    assert (rows[0] != rows[1])[high & ~low].all()
    risen = map_water(replace(waters, flood=0.5, tide_m=(0.0, 0.0)), frame)
    assert (risen.lying[0] != risen.lying[1]).any()


@pytest.mark.parametrize("gsd_m", [0.5, 10.0])
def test_sharp_patches_are_standard_and_places_stay(gsd_m):
    frame = Frame(0, 0, 400, 400, gsd_m, 3)
    before, after = Texture.draw_pair(frame, 1.0)
    for texture in (before, after):
        leaves = texture.leaves.reshape(400, 400)
        assert abs(leaves.mean()) < 0.25
        assert leaves.std() == pytest.approx(1, abs=0.2)
        # Level within, with a step at the rim.
        assert 0.5 < (leaves[:, 1:] == leaves[:, :-1]).mean() < 0.98
        assert len(np.unique(leaves)) > 30
    np.testing.assert_array_equal(before.lasting, after.lasting)
    assert 0.6 < np.corrcoef(before.leaves, after.leaves)[0, 1] < 0.97


def test_slopes_that_face_the_sun_are_brighter():
    world = build_world(SceneSpec(seed=1))
    frame = Frame(0, 0, SIZE, SIZE, 10.0, 5)
    land = np.full((SIZE, SIZE), Land.RANGE, dtype=np.uint8)
    shades = []
    for sun in ((0.0, 1.0), (0.0, -1.0)):
        canvas = Canvas.blank((SIZE, SIZE))
        canvas.shade[:] = 1
        shade_hills(canvas, Relief(600.0, 0.3, False), land, frame, replace(world.views[0], sun=sun))
        shades.append(canvas.shade - 1)
    assert np.corrcoef(shades[0].ravel(), shades[1].ravel())[0, 1] < -0.95
    assert shades[0].std() > 0.03
    flat = Canvas.blank((SIZE, SIZE))
    flat.shade[:] = 1
    shade_hills(flat, Relief(600.0, 0.0, False), land, frame, world.views[0])
    assert (flat.shade == 1).all()


def plots_of(frame: Frame, entry: int, *, street: bool) -> Plots:
    """One plot that fills the frame."""
    shape = (frame.height, frame.width)
    length = np.float32(frame.width * frame.gsd_m)
    given = {
        "land": np.full(shape, entry // ENTRIES, np.uint8),
        "entry": np.full(shape, entry, np.intp),
        "key": np.full(shape, 123456789, np.uint32),
        "area": np.full(shape, 987654321, np.uint32),
        "along_m": np.broadcast_to(frame.x_m - length / 2, shape),
        "away_m": np.broadcast_to(frame.y_m, shape),
        "length_m": np.full(shape, length),
        "depth_m": np.full(shape, length),
        "street": np.full(shape, street),
        "street_m": np.broadcast_to(frame.x_m - length / 2, shape),
        "run_m": np.broadcast_to(frame.y_m, shape),
        "width_m": np.full(shape, 8.0, np.float32),
        "cos": np.ones(shape, np.float32),
        "sin": np.zeros(shape, np.float32),
    }
    return Plots(**{f.name: given[f.name] for f in fields(Plots)})


@pytest.mark.parametrize("gsd_m", [0.4, 2.0, 12.0])
@pytest.mark.parametrize("use", list(Use), ids=lambda use: use.name.lower())
def test_no_ground_is_flat_and_all_of_it_is_possible(use, gsd_m):
    frame = Frame(0, 0, 120, 120, gsd_m, 7)
    catalogue = draw_catalogue(0.0, gsd_m, Draws(2))
    catalogue.use[:, 0] = use
    plots = plots_of(frame, 0, street=use is Use.STREET)
    for date, texture in enumerate(Texture.draw_pair(frame, 1.0)):
        canvas = Canvas.blank((120, 120))
        assert (paint_ground(canvas, plots, catalogue, texture, date, gsd_m) == use).all()
        assert np.isfinite(canvas.shade).all()
        assert (canvas.shade > 0).mean() > 0.999
        assert canvas.mix.min() >= 0
        assert canvas.mix.max() <= 1
        assert canvas.height_m.min() >= 0
        assert canvas.height_m.max() < 12
        assert canvas.shade.std() / canvas.shade.mean() > 0.015


def test_every_use_comes_from_a_recipe():
    used = {use for recipe in PLOT_RULES.values() for use in (*recipe.uses, *recipe.turns)}
    assert used | {Use.STREET, Use.FABRIC} == set(Use)


@pytest.mark.parametrize("moved", [True, False])
def test_objects_are_displaced_only_where_they_are_moved(moved):
    frame = Frame(0, 0, 300, 300, 0.5, 7)
    plots = plots_of(frame, 0, street=False)
    texture = Texture.draw_pair(frame, 1.0)[0]
    flat = {f.name: getattr(plots, f.name, plots.key).ravel() for f in fields(Patch) if f.name != "texture"}
    found = []
    for date in range(2):
        patch = Patch(**(flat | {"texture": texture, "date": date, "gsd_m": 0.5}))
        found.append(strew_objects(patch, (6.0, 5.0), 0.3, Salt.YARD_HEAP, moved))
    share = found[0].on.mean()
    assert 0.05 < share < 0.3
    assert (found[0].on == found[1].on).all() != moved
