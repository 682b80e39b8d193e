"""Hardscape: painters of ground that is excavated, paved, built on or under water."""

from __future__ import annotations

import numpy as np

from rsdetect.simulation.canvas import Cover
from rsdetect.simulation.ground.patch import Paint, Patch, line, palette_row, seen, strew_objects, stripes
from rsdetect.simulation.noise import uniform
from rsdetect.simulation.salts import Salt


def paint_earthwork(p: Patch) -> Paint:
    """Hardscape of excavated ground: ruts, heaps, benches of a pit, puddles, machines."""
    t = p.texture
    ruts = (np.abs(t.patch) < 0.1) | (np.abs(t.lasting) < 0.06)
    shade = 1.05 + 0.05 * t.patch + 0.05 * t.fine + 0.06 * t.grain + 0.10 * ruts + 0.11 * t.leaves
    mix = 0.45 + 0.2 * t.broad + 0.08 * t.patch + 0.06 * t.fine + 0.2 * t.leaves
    first, second = palette_row("soil", p.lot(Salt.SOIL)), palette_row("sand", p.lot(Salt.SAND))
    if p.gsd_m > 3:
        return Paint(first, second, mix, shade)
    heaps = strew_objects(
        p, (16.0, 14.0), 0.3 * (p.lot(Salt.EARTHWORK_HEAPS) < 0.6), Salt.EARTHWORK_HEAP, moved=True
    )
    machines = strew_objects(p, (11.0, 9.0), 0.04, Salt.EARTHWORK_MACHINE, moved=True)
    puddle = t.lasting + t.leaves > 3.0
    first = np.where(puddle, palette_row("mud_water"), first)
    first = np.where(machines.on, palette_row("car", machines.tone), first).astype(np.uint8)
    height = 5 * heaps.middle * heaps.on + 2.5 * machines.on
    shade = shade * np.where(heaps.on, 0.85 + 0.4 * heaps.middle, 1.0)
    return Paint(first, second, np.where(machines.on | puddle, 0.05, mix), shade, height_m=height)


def paint_site(p: Patch) -> Paint:
    """Hardscape of a building site: slabs and foundations on bare ground, stacks of goods, huts, machines."""
    t = p.texture
    slab = strew_objects(p, (34.0, 28.0), 0.8, Salt.SITE_SLAB, moved=False)
    grid = line(p.along_m, 5.0, 0.4, p.gsd_m) + line(p.away_m, 5.0, 0.4, p.gsd_m)
    goods = strew_objects(p, (6.0, 5.0), 0.18, Salt.SITE_GOODS, moved=True)
    first = np.where(slab.on, palette_row("concrete", slab.tone), palette_row("soil", p.lot(Salt.SOIL)))
    first = np.where(goods.on, palette_row("car", goods.tone), first).astype(np.uint8)
    shade = 1 + 0.08 * t.leaves + 0.06 * t.fine + 0.05 * t.grain + 0.1 * t.patch - 0.2 * grid * slab.on
    mix = np.where(slab.on | goods.on, 0.08, 0.3 + 0.2 * t.patch + 0.2 * t.leaves)
    height = np.where(goods.on, 2.0, 0.8 * slab.on)
    return Paint(
        first, palette_row("sand", p.lot(Salt.SAND)), mix, shade, height_m=height * seen(5.0, p.gsd_m)
    )


def paint_rubble(p: Patch) -> Paint:
    """Hardscape of rubble: heaps and fragments of masonry on bare ground."""
    t = p.texture
    heap = np.clip(0.6 * t.lasting + 0.6 * t.leaves + 0.4 * t.patch, 0, 2)
    shade = 1 + 0.16 * t.grain + 0.14 * t.fine + 0.12 * t.leaves
    mix = 0.35 + 0.25 * heap + 0.15 * t.fine
    height = 1.2 * heap * seen(4.0, p.gsd_m)
    return Paint(
        palette_row("soil", p.lot(Salt.SOIL)),
        palette_row("concrete", p.lot(Salt.CONCRETE)),
        mix,
        shade,
        height_m=height,
    )


def paint_yard(p: Patch) -> Paint:
    """Hardscape of a paved or gravelled yard: joints, patches, stains, and movable goods or containers."""
    t = p.texture
    joints = line(p.along_m, 11.0, 0.3, p.gsd_m) + line(p.away_m, 13.0, 0.3, p.gsd_m)
    mix = np.clip(0.1 + 0.16 * t.patch + 0.1 * t.fine + 0.1 * t.leaves, 0, 0.6)
    shade = 1 + 0.05 * t.patch + 0.05 * t.fine + 0.03 * t.grain - 0.1 * joints + 0.07 * t.leaves
    first = p.paved
    if p.gsd_m > 3:
        return Paint(first, p.soil, mix, shade, Cover.PAVED)
    heap = strew_objects(
        p,
        (7.0, 6.0),
        0.4 * p.day(Salt.YARD_HEAPS) * (p.lot(Salt.YARD_HEAPED) < 0.5),
        Salt.YARD_HEAP,
        moved=True,
    )
    box = strew_objects(
        p,
        (13.0, 2.9),
        0.9 * p.day(Salt.YARD_BOXES) * (p.lot(Salt.YARD_BOXED) > 0.85),
        Salt.YARD_BOX,
        moved=True,
    )
    goods = heap.on | box.on
    first = np.where(box.on, palette_row("roof_blue", box.tone), first)
    first = np.where(box.on & (box.tone > 0.4), palette_row("roof_tile", box.tone), first)
    first = np.where(heap.on, palette_row("car", heap.tone), first).astype(np.uint8)
    height = 1.6 * heap.on + (2.6 + 2.6 * (box.tone > 0.6)) * box.on
    return Paint(first, p.soil, np.where(goods, 0, mix), shade, Cover.PAVED, height)


def paint_parking(p: Patch) -> Paint:
    """Hardscape of a car park: asphalt with marked slots and repaired patches."""
    t = p.texture
    lane = np.mod(p.away_m, 17.0)
    slots = 0.5 * (lane < 10.5) * (line(p.along_m, 2.6, 0.2, p.gsd_m) + line(lane - 5.2, 40.0, 0.2, p.gsd_m))
    shade = 1 + 0.05 * t.patch + 0.04 * t.fine + 0.03 * t.grain + 0.07 * t.leaves
    return Paint(palette_row("asphalt", p.lot(Salt.SURFACE)), palette_row("paint"), slots, shade, Cover.PAVED)


def paint_sports(p: Patch) -> Paint:
    """Hardscape of sports grounds: a pitch or a row of courts with lines, on turf or coloured ground."""
    t = p.texture
    u, v = np.abs(p.along_m), np.abs(p.away_m - p.depth_m / 2)
    courts = p.lot(Salt.SPORTS_COURTS) < 0.4
    u = np.where(courts, np.abs(np.mod(p.along_m, 18.0) - 9), u)
    half_u = np.where(courts, 6.0, 0.42 * p.length_m)
    half_v = np.where(courts, np.minimum(12.0, 0.45 * p.depth_m), 0.42 * p.depth_m)
    inside = (u < half_u) & (v < half_v)
    wide = max(0.12, p.gsd_m / 2)
    marks = (
        (np.abs(u - half_u) < wide)
        | (np.abs(v - half_v) < wide)
        | (v < wide)
        | (u * u + v * v < (wide + 0.5) * (wide + 0.5))
    )
    marks &= (u < half_u + wide) & (v < half_v + wide)
    mown = 0.06 * stripes(p.along_m, 9.0, p.gsd_m)
    ground = np.where(
        p.lot(Salt.SPORTS_RED) < 0.5,
        palette_row("roof_tile", p.lot(Salt.SPORTS_COLOUR)),
        palette_row("roof_green", p.lot(Salt.SPORTS_COLOUR)),
    )
    turf = np.where(courts & inside, ground, palette_row("grass", p.lot(Salt.GRASS)))
    line_share = 0.6 * min(1.0, 0.2 / p.gsd_m)
    shade = 1 + 0.04 * t.fine + 0.03 * t.grain + 0.04 * t.leaves + mown * ~courts
    return Paint(turf.astype(np.uint8), palette_row("paint"), marks * line_share, shade)


def paint_solar(p: Patch) -> Paint:
    """Hardscape of a solar plant: rows of panels over grass."""
    t = p.texture
    wave = stripes(p.away_m, 4.5 + 4 * p.lot(Salt.SOLAR_SPACING), p.gsd_m)
    gaps = 0.4 * line(p.along_m, 22.0, 1.5, p.gsd_m)
    mix = np.where(p.gsd_m < 2.5, (wave > -0.15) * 1.0, 0.62) - gaps + 0.03 * t.fine
    mix = np.where(p.edge_m < 4, 0.0, mix)
    return Paint(
        palette_row("grass", p.lot(Salt.GRASS)),
        palette_row("panel", p.lot(Salt.SOLAR_PANEL)),
        mix,
        1 + 0.05 * t.grain,
        Cover.SOLAR,
    )


def paint_greenhouse(p: Patch) -> Paint:
    """Hardscape of greenhouses: bays of glass or film, some whitened, some transparent."""
    t = p.texture
    spacing = 7 + 4 * p.lot(Salt.GREENHOUSE_SPACING)
    bay = np.floor(p.along_m / spacing)
    through = 0.45 * (uniform(0, Salt.GREENHOUSE_BAY, p.key, bay) < 0.37)
    wave = stripes(p.along_m, spacing, p.gsd_m)
    mix = np.where(wave < -0.75, 0.8, 0.05 + through) + 0.05 * t.patch
    shade = 0.92 + 0.1 * stripes(p.along_m + spacing / 4, spacing, p.gsd_m) + 0.04 * t.fine
    height = np.where(p.edge_m > 1.0, 3.5, 0.0)
    return Paint(
        palette_row("film", p.lot(Salt.GREENHOUSE_COVER)), p.soil, mix, shade, Cover.GREENHOUSE, height
    )


def paint_basin(p: Patch) -> Paint:
    """Hardscape of a basin or lake."""
    t = p.texture
    mix = np.clip(0.3 + 0.15 * t.broad, 0, 1)
    shade = 1 + 0.05 * t.broad + 0.015 * t.fine + 0.015 * t.grain
    return Paint(palette_row("water"), palette_row("mud_water"), mix, shade, Cover.WATER)


def paint_street(p: Patch) -> Paint:
    """Hardscape of a street: carriageway, pavement, kerb, centre line, repairs; a narrow one is a track."""
    t = p.texture
    rim = p.width_m / 2 - np.abs(p.street_m)
    track, wide = p.width_m < 5.2, p.width_m > 6.5
    walk = (rim < 1.7) & wide & (p.lot(Salt.STREET_WALK) < 0.7)
    kerb = (np.abs(rim - 1.7) < max(0.15, p.gsd_m / 2)) & wide
    dashed = line(p.run_m, 9.0, 4.0, p.gsd_m) * (np.abs(p.street_m) < max(0.1, p.gsd_m / 2))
    marks = 0.5 * min(1.0, 0.2 / p.gsd_m) * dashed * (p.width_m > 7) + 0.15 * kerb * min(1.0, 0.4 / p.gsd_m)
    # Grass grows between the wheels and beside them.
    green = np.where(np.abs(np.abs(p.street_m) - 0.9) < 0.45, 0.1, 0.55) + 0.15 * t.patch
    first = np.where(
        walk, palette_row("concrete", p.lot(Salt.CONCRETE)), palette_row("asphalt", p.lot(Salt.SURFACE))
    )
    first = np.where(track, palette_row("gravel", p.lot(Salt.SURFACE)), first).astype(np.uint8)
    second = np.where(track, palette_row("grass", p.lot(Salt.GRASS)), palette_row("paint")).astype(np.uint8)
    shade = 1 + 0.05 * t.patch + 0.04 * t.fine + 0.08 * t.leaves + 0.03 * t.grain
    return Paint(first, second, np.where(track, green, marks), shade, Cover.PAVED)


def paint_fabric(p: Patch) -> Paint:
    """Hardscape of a settlement of houses smaller than a pixel: roofs, gardens and streets mixed."""
    t = p.texture
    mix = 0.3 + 0.25 * p.region(Salt.FABRIC_MIX) + 0.1 * (p.cover - 0.5)
    mix += 0.10 * t.patch + 0.12 * t.leaves + 0.10 * t.fine + 0.12 * t.grain
    # Squares, halls and parks remain visible.
    mix += 0.35 * (t.lasting > 1.8) - 0.3 * (t.lasting < -1.9)
    streets = line(p.along_m, 6.3 * p.gsd_m, 14.0, p.gsd_m) + line(p.away_m, 4.1 * p.gsd_m, 14.0, p.gsd_m)
    shade = 1.25 + 0.14 * t.leaves + 0.12 * t.fine + 0.13 * t.grain + 0.06 * t.broad
    shade += 0.5 * (t.grain + t.fine + t.leaves > 3.2)
    return Paint(
        palette_row("asphalt"),
        palette_row("grass", p.lot(Salt.GRASS)),
        mix - 0.2 * streets,
        shade,
        Cover.PAVED,
    )
