"""Buildings drawn onto real ground, in clusters along streets: new, removed and permanent ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.training.compositing.moved_pieces import NOTHING, Grounds, patch_difference


@dataclass(frozen=True)
class Building:
    """Building with a rectangular or L-shaped plan, in pixels."""

    centre: tuple[float, float]  # row, column
    half: tuple[float, float]  # along the ridge, across it
    angle: float  # of the ridge
    wing: tuple[float, float] | None  # half length and half width of the wing of an L-shape
    height_px: float  # length of its shadow at a sun 45 degrees high
    colour: Float32Array  # (bands,), in spreads of the image
    pitch: float  # brightness difference of the halves of the roof, in spreads; 0 = flat


@dataclass(frozen=True)
class Sun:
    """Sun of one date, for the shadows of buildings."""

    angle: float  # of the shadows, radians
    length: float  # of a shadow, in heights
    depth: float  # share of the light blocked by a shadow


def draw_settlement(grounds: Grounds, change: float, rng: np.random.Generator) -> None:
    """Draw a settlement: a cluster of buildings, of which the share `change` exists on one date only."""
    edge, bands = grounds.before.shape[1], len(grounds.before)
    suns = _draw_building_suns(rng)
    buildings = _draw_buildings(edge, bands, rng)
    fates = rng.random(len(buildings))
    direction = rng.random()  # share of demolished among the changed buildings
    for building, fate in zip(buildings, fates, strict=True):
        dates = (0, 1) if fate > change else (int(rng.random() < direction),)
        grain = rng.integers(2**32)
        for date in dates:
            pixels = (grounds.before, grounds.after)[date]
            _paint_building(pixels, building, suns[date], np.random.default_rng(grain))
        window, roof = _building_roof(building, edge)[:2]
        covered = roof > 0.5
        grounds.truth[window][covered] = len(dates) == 1
    # A roof as grey as the ground, or in the shadow of another.
    far = patch_difference(grounds.before[:3], grounds.after[:3])
    grounds.doubtful[...] |= grounds.truth & (far < NOTHING)


def _draw_building_suns(rng: np.random.Generator) -> tuple[Sun, Sun]:
    angle = rng.uniform(0, 2 * np.pi)
    return tuple(  # type: ignore[return-value]
        Sun(float(angle + rng.normal(0, 0.5)), float(rng.uniform(0.3, 1.6)), float(rng.uniform(0.4, 1.2)))
        for _ in range(2)
    )


def _draw_buildings(edge: int, bands: int, rng: np.random.Generator) -> list[Building]:
    """Draw buildings along a few streets through a random part of the scene."""
    length = float(np.exp(rng.uniform(np.log(4), np.log(26))))  # pixels, of a typical building
    angle, centre = rng.uniform(0, np.pi), rng.uniform(0.15, 0.85, 2) * edge
    along, across = np.array([np.sin(angle), np.cos(angle)]), np.array([np.cos(angle), -np.sin(angle)])
    palette = [_roof_colour(bands, rng) for _ in range(int(rng.integers(1, 5)))]
    streets, places = int(rng.integers(1, 5)), int(rng.integers(2, 11))
    gap, pitched = length * rng.uniform(1.25, 2.5), rng.random() < 0.6
    setback = length * rng.uniform(0.8, 1.5)
    found = []
    for street in range(streets):
        for place in range(places):
            for side in (-1, 1):
                if rng.random() < 0.2:
                    continue
                at = (
                    centre
                    + along * (place - places / 2 + rng.normal(0, 0.08)) * gap
                    + across * (2.6 * street * setback + side * setback * rng.uniform(0.9, 1.1))
                )
                if not (0 < at[0] < edge and 0 < at[1] < edge):
                    continue
                colour = palette[int(rng.integers(len(palette)))]
                found.append(_draw_building(at, length, angle, colour, pitched, rng))
    return found


def _draw_building(
    at: NDArray[np.float64],
    length: float,
    angle: float,
    colour: Float32Array,
    pitched: bool,
    rng: np.random.Generator,
) -> Building:
    half = 0.5 * length * np.exp(rng.normal(0, 0.2))
    narrow = half / np.exp(rng.uniform(0.1, 0.9))
    wing = (half * rng.uniform(0.5, 0.9), narrow * rng.uniform(0.6, 1.0)) if rng.random() < 0.3 else None
    turned = angle + 0.5 * np.pi * (rng.random() < 0.3) + rng.normal(0, 0.04)
    return Building(
        (float(at[0]), float(at[1])),
        (float(half), float(narrow)),
        float(turned),
        wing,
        height_px=float(narrow * np.exp(rng.normal(-0.2, 0.5))),
        colour=np.asarray(colour + rng.normal(0, 0.15), dtype=np.float32),
        pitch=float(rng.uniform(0.3, 1.4)) if pitched else 0.0,
    )


def _roof_colour(bands: int, rng: np.random.Generator) -> Float32Array:
    """Colour of a building's roof (tiles, concrete, slate, tin) in spreads, for up to six bands."""
    kinds = (
        (1.2, 0.2, -0.1, 0.0, 1.0, 1.2),
        (1.3, 1.3, 1.3, 0.2, 1.0, 1.2),
        (-0.8, -0.8, -0.7, -1.0, -0.8, -0.6),
        (3.0, 3.0, 3.0, 1.2, 2.0, 2.2),
        (0.2, 0.9, 2.2, 0.0, 0.6, 0.8),
        (0.5, 0.5, 0.5, -0.3, 0.4, 0.5),
    )
    kind = np.array(kinds[int(rng.integers(len(kinds)))][:bands])
    return (kind * rng.uniform(0.7, 1.3) + rng.normal(0, 0.3) + rng.normal(0, 0.15, bands)).astype(np.float32)


def _paint_building(pixels: Float32Array, building: Building, sun: Sun, rng: np.random.Generator) -> None:
    """Paint a building: its shadow, then the roof in two halves of different illumination."""
    edge = pixels.shape[1]
    _paint_building_shadow(pixels, building, sun)
    window, roof, ridge = _building_roof(building, edge)
    if not roof.any():
        return
    facing = np.cos(building.angle + 0.5 * np.pi - sun.angle - np.pi)
    lit = np.float32(building.pitch * facing) * np.clip(ridge, -1, 1)
    # The texture has a separate generator per building, so that the roof is equal on both dates.
    texture = 0.12 * rng.standard_normal(roof.shape, dtype=np.float32)
    content = building.colour[:, None, None] + lit + texture
    target = pixels[(slice(None), *window)]
    target += roof * (content - target)


def _paint_building_shadow(pixels: Float32Array, building: Building, sun: Sun) -> None:
    extent = building.height_px * sun.length
    toward = np.array([np.sin(sun.angle), np.cos(sun.angle)])
    for far in np.linspace(0, extent, max(2, int(np.ceil(extent / max(building.half[1], 1.0))) + 1))[1:]:
        at = (building.centre[0] + float(far * toward[0]), building.centre[1] + float(far * toward[1]))
        window, shade, _ = _building_roof(building, pixels.shape[1], at)
        target = pixels[(slice(None), *window)]
        dark = np.minimum(target, np.float32(-0.9 - 0.6 * sun.depth))
        target += np.float32(min(sun.depth, 0.95)) * shade * (dark - target)


def _building_roof(
    building: Building, edge: int, at: tuple[float, float] | None = None
) -> tuple[tuple[slice, slice], Float32Array, Float32Array]:
    """Roof of a building, optionally moved: window, cover (0 to 1), signed pixel distance to the ridge."""
    centre = np.array(at or building.centre)

    extent = 1.45 * building.half[0] + 2 + (building.wing[0] if building.wing else 0)
    low = np.clip(np.floor(centre - extent), 0, edge).astype(int)
    high = np.clip(np.ceil(centre + extent) + 1, low, edge).astype(int)
    rows = np.arange(low[0], high[0], dtype=np.float32)[:, None] - np.float32(centre[0])
    cols = np.arange(low[1], high[1], dtype=np.float32)[None, :] - np.float32(centre[1])
    cos, sin = np.float32(np.cos(building.angle)), np.float32(np.sin(building.angle))
    u, v = cos * cols + sin * rows, cos * rows - sin * cols
    inside = np.minimum(building.half[0] - np.abs(u), building.half[1] - np.abs(v))
    if building.wing:
        length, width = building.wing
        end = u - (building.half[0] - width)
        inside = np.maximum(inside, np.minimum(width - np.abs(end), length - np.abs(v - length)))
    window = (slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])))
    return window, np.clip(0.5 + inside, 0, 1), v
