"""A scene pair, block by block: any window of it, the same however it is cut."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rsdetect.grid import Window
from rsdetect.simulate.buildings import paint_buildings
from rsdetect.simulate.canvas import Canvas, Cover, Texture
from rsdetect.simulate.districts import Plan, draw_plan, lay_districts
from rsdetect.simulate.ground import paint_ground
from rsdetect.simulate.land import URBAN, Catalogue, Land, draw_catalogue
from rsdetect.simulate.light import cast_shadows, cloud_cover, haze_swing, reflect
from rsdetect.simulate.look import Look, draw_looks
from rsdetect.simulate.materials import world_palette
from rsdetect.simulate.noise import Float32Array, Frame
from rsdetect.simulate.plots import Plots, lay_plots
from rsdetect.simulate.roads import Roads, park_vehicles
from rsdetect.simulate.sensor import add_noise, blur_and_shift, compress, to_numbers, tone_curve
from rsdetect.simulate.spec import ChangeKind, Rendered, SceneSpec
from rsdetect.simulate.trees import paint_trees
from rsdetect.simulate.water import Waters, lay_water, paint_water

UInt8Array = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]

BLOCK = 256  # pixels; every pixel is drawn as a part of its block and of no other frame
MARGIN = 40  # pixels drawn around a block, for what reaches in: shadows, crowns, blur, shift
_SHADOW_PX = 26
_BANDS = {"vhr": (2, 1, 0), "s2": (0, 1, 2, 3)}


@dataclass(frozen=True)
class World:
    """All that a scene is drawn from, besides the place."""

    seed: int  # 32 bits
    plan: Plan
    waters: Waters
    catalogue: Catalogue
    looks: tuple[Look, Look]
    tree_m: tuple[float, float]  # spacing of large and small trees
    cloud_m: float  # size of the clouds
    texture: float  # contrast of fine textures against the usual
    edges: tuple[
        tuple[float, float, float], ...
    ]  # swath edge by date: normal (rows, columns), offset in pixels


@lru_cache(maxsize=4)
def build_world(spec: SceneSpec) -> World:
    """Draw the world of a scene."""
    rng = np.random.default_rng(np.random.SeedSequence(spec.seed))
    seed = int(rng.integers(2**32))
    size = min(spec.height, spec.width) * spec.ground_m
    large = float(rng.uniform(6.0, 11.0))
    plan = draw_plan(spec.change, spec.ground_m, rng)
    return World(
        seed=seed,
        plan=plan,
        waters=Waters.draw(spec.change, plan.district_m, spec.ground_m, rng),
        catalogue=draw_catalogue(spec.change, spec.ground_m, rng),
        looks=draw_looks(spec, world_palette(rng), rng),
        tree_m=(large, large * float(rng.uniform(0.45, 0.65))),
        texture=float(np.exp(rng.normal(0.35, 0.4))),
        cloud_m=float(np.clip(size / 3, 40 * spec.ground_m, 4000.0)),
        edges=tuple(_draw_edge(spec, rng) for _ in range(2)),
    )


def _draw_edge(spec: SceneSpec, rng: np.random.Generator) -> tuple[float, float, float]:
    """A slanted line that leaves up to a tenth of the scene's width without data."""
    slant, left, share = rng.normal(0, 0.15), rng.random() < 0.5, rng.uniform(0.0, 0.1)
    if not spec.nodata_edge:
        return 0.0, 0.0, -1.0
    side = 1.0 if left else -1.0
    start = share * spec.width if left else -(1 - share) * spec.width
    return float(slant), side, float(start + slant * spec.height / 2)


def render(spec: SceneSpec, window: Window) -> Rendered:
    """The pixels of one window of the pair, which may be the whole.

    Parameters
    ----------
    window
        Lies inside the scene. However a scene is cut into windows, and in whatever order they are asked
        for, the pixels are the same.
    """
    assert window.row_off >= 0 and window.row_end <= spec.height, window
    assert window.col_off >= 0 and window.col_end <= spec.width, window
    out = _blank(spec, window)
    for row in range(window.row_off // BLOCK, -(-window.row_end // BLOCK)):
        for col in range(window.col_off // BLOCK, -(-window.col_end // BLOCK)):
            whole = Window(row * BLOCK, col * BLOCK, BLOCK, BLOCK)
            part = whole.intersection(window)
            block = render_block(spec, row, col)
            to, source = part.slices_in(window), part.slices_in(whole)
            for name in Rendered.__dataclass_fields__:
                getattr(out, name)[..., to[0], to[1]] = getattr(block, name)[..., source[0], source[1]]
    return out


def render_whole(spec: SceneSpec) -> Rendered:
    """The whole pair at once; for scenes that fit in memory."""
    return render(spec, Window(0, 0, spec.height, spec.width))


def _blank(spec: SceneSpec, window: Window) -> Rendered:
    images = [np.zeros((len(spec.bands), *window.shape), spec.dtype) for _ in range(2)]
    codes = [np.zeros(window.shape, np.uint8) for _ in range(2)]
    masks = [np.zeros(window.shape, np.bool_) for _ in range(4)]
    return Rendered(images[0], images[1], codes[0], codes[1], masks[0], masks[1], masks[2], masks[3])


@lru_cache(maxsize=2)
def render_block(spec: SceneSpec, row: int, col: int) -> Rendered:
    """One block of the pair, `BLOCK` pixels square; it may run beyond the scene's edge."""
    world = build_world(spec)
    size = BLOCK + 2 * MARGIN
    frame = Frame(row * BLOCK - MARGIN, col * BLOCK - MARGIN, size, size, spec.ground_m, world.seed)
    ground = draw_ground(world, frame)
    inner = Frame(row * BLOCK, col * BLOCK, BLOCK, BLOCK, spec.ground_m, world.seed)
    shots = [_shoot(spec, world, ground.canvases[date], inner, date) for date in (0, 1)]
    core = slice(MARGIN, -MARGIN)
    kind = ground.kind[core, core].copy()
    done = Rendered(
        before=shots[0][0],
        after=shots[1][0],
        truth=(kind != 0).astype(np.uint8),
        kind=kind,
        cloud_before=shots[0][1],
        cloud_after=shots[1][1],
        shadow_before=shots[0][2],
        shadow_after=shots[1][2],
    )
    for name in Rendered.__dataclass_fields__:
        getattr(done, name).flags.writeable = False  # the cache hands out the same arrays again
    return done


@dataclass(frozen=True)
class Ground:
    """Both dates' ground under a frame, before light and sensor."""

    canvases: tuple[Canvas, Canvas]
    kind: UInt8Array  # (height, width) ChangeKind


def draw_ground(world: World, frame: Frame) -> Ground:
    """Paint both dates' ground, and say what changed."""
    districts = lay_districts(world.plan, frame)
    before, after, converted = lay_plots(districts, frame)
    waters, bank = lay_water(world.waters, frame)
    roads = Roads(districts, world.plan.change, frame)
    canvases, alone = [], []
    for date, plots in enumerate((before, after)):
        canvas = Canvas.blank((frame.height, frame.width))
        texture, look = Texture.draw(frame, date, world.texture), world.looks[date]
        use = paint_ground(canvas, plots, world.catalogue, texture, date, frame.gsd_m)
        alone.append(paint_buildings(canvas, plots, world.catalogue, texture, look, date))
        if bank.any():
            paint_water(canvas, waters[date], bank, texture)
        roads.paint(canvas, texture, date, frame.gsd_m)
        roads.paint_vehicles(canvas, frame, date)
        park_vehicles(canvas, plots, use, frame, date)
        canvas.trees[:] *= np.clip(1 + 0.9 * districts.stray, 0, 2)
        for spacing in world.tree_m:
            paint_trees(canvas, frame, texture, look, spacing)
        canvases.append(canvas)

    kind = np.where(before.street, 0, world.catalogue.turned[before.entry])
    kind = np.where(converted, _converted_kind(before, after), kind)
    built = [(canvas.cover == Cover.BUILDING) for canvas in canvases]
    kind = np.where(built[0] & (alone[0] | converted), ChangeKind.BUILDING_REMOVED, kind)
    kind = np.where(built[1] & (alone[1] | converted), ChangeKind.BUILDING_NEW, kind)
    kind[bank] = 0
    kind[waters[0] != waters[1]] = ChangeKind.WATER
    roads.mark(kind)
    # A crown that hides the ground on both dates hides what happened below; cleared land is another matter.
    crowns = (canvases[0].cover == Cover.WOODY) & (canvases[1].cover == Cover.WOODY)
    kind[crowns & ~converted] = 0
    return Ground((canvases[0], canvases[1]), kind.astype(np.uint8))


def _converted_kind(before: Plots, after: Plots) -> UInt8Array:
    kind = _CONVERSION[before.land, after.land]
    street = after.street & np.isin(after.land, URBAN)
    return np.where(street, np.uint8(ChangeKind.ROAD), kind)


def _conversions() -> UInt8Array:
    """(land before, land after) -> what the truth calls the ground between buildings."""
    table = np.full((len(Land), len(Land)), ChangeKind.EARTHWORK, dtype=np.uint8)
    table[:, [int(land) for land in URBAN]] = ChangeKind.BUILT_UP
    for land in URBAN:
        table[land, [Land.BARE, Land.RANGE, Land.FARM]] = ChangeKind.CLEARANCE
    table[Land.FOREST, [Land.RANGE, Land.FARM]] = ChangeKind.CLEARED
    table[:, Land.LAKE] = table[Land.LAKE, :] = ChangeKind.WATER
    return table


_CONVERSION = _conversions()


def _shoot(
    spec: SceneSpec, world: World, canvas: Canvas, inner: Frame, date: int
) -> tuple[NDArray[np.generic], BoolArray, BoolArray]:
    """One date's image of a block, its cloud or shadow mask, and the part of it that is shadow."""
    look = world.looks[date]
    shadow = cast_shadows(canvas.height_m, look, spec.ground_m, _SHADOW_PX)
    bands = [blur_and_shift(b, look, MARGIN) for b in reflect(canvas, shadow, look, _BANDS[spec.kind])]
    opacity, thick, dark, light = cloud_cover(inner, look, spec.cloud, date, world.cloud_m)
    haze = haze_swing(inner, look, date, 8 * world.cloud_m)
    white = np.float32(0.75)
    seen: list[Float32Array] = []
    for number, band in enumerate(_BANDS[spec.kind]):
        lit = bands[number] * light + look.haze[band] * haze
        seen.append(lit + opacity * (white - lit))
    rng = np.random.default_rng([world.seed, date, inner.row + 2**31, inner.col + 2**31])
    seen = add_noise(seen, look, inner, 201 + 10 * date, rng)
    if spec.kind == "vhr":
        toned = tone_curve(seen, look)
        numbers = to_numbers(compress(toned, look.jpeg) if look.jpeg else toned, spec.dtype)
    else:
        numbers = to_numbers(
            [band * (look.gain[k] * np.float32(1e4)) for k, band in enumerate(seen)], spec.dtype
        )
    slant, side, start = world.edges[date]
    row, col = (
        np.arange(inner.row, inner.row + BLOCK)[:, None],
        np.arange(inner.col, inner.col + BLOCK)[None, :],
    )
    outside = side * col + slant * row < start
    numbers[:, outside] = 0
    clouded = (thick | dark) & ~outside
    return numbers, clouded, dark & ~outside
