"""Vegetation: painters of crops, orchards, grass, scrub, forest, wetland."""

from __future__ import annotations

import numpy as np

from rsdetect.simulation.canvas import Cover
from rsdetect.simulation.exact import cos_turns
from rsdetect.simulation.ground.patch import Paint, Patch, line, palette_row, seen, strew_objects, stripes
from rsdetect.simulation.noise import uniform
from rsdetect.simulation.salts import Salt


def paint_crop(p: Patch) -> Paint:
    """Vegetation of a field at a random stage: rows, tramlines, beds, partial harvest, bales."""
    t = p.texture
    turned = p.lot(Salt.CROP_TURNED) < 0.35
    across = np.where(turned, p.along_m, p.away_m)
    # The headland is worked in the other direction.
    across = np.where(p.edge_m < 7 * (p.lot(Salt.CROP_HEADLAND) < 0.5), p.along_m + p.away_m - across, across)
    beds = np.floor(across / (3 + 9 * p.lot(Salt.CROP_BED_WIDTH)))
    # Some fields have beds at different stages.
    stage = cos_turns(uniform(0, Salt.CROP_BED_TONE, p.key, beds, part=p.date))
    bed_tone = stage * (p.lot(Salt.CROP_BEDS) < 0.25) * 0.35
    # Harvest and drilling take days: a part of some fields is ahead.
    front = (p.day(Salt.CROP_FRONT) - 0.5) * np.where(turned, p.depth_m, p.length_m)
    along = np.where(turned, p.away_m - p.depth_m / 2, p.along_m)
    cover = np.where(
        (p.day(Salt.CROP_HARVEST) < 0.2) & (along > front), 0.1 + 0.2 * p.day(Salt.CROP_STUBBLE), p.cover
    )
    # A centre pivot irrigates only a circle.
    radius = np.minimum(p.length_m, p.depth_m) / 2
    pivot = (p.lot(Salt.CROP_PIVOT) < 0.15) & (radius > 0.3 * np.maximum(p.length_m, p.depth_m))
    pivot &= np.square(p.along_m) + np.square(p.away_m - p.depth_m / 2) > np.square(0.97 * radius)
    cover = np.where(pivot, 0.25, cover)
    mix = cover + 0.10 * t.patch + 0.08 * t.broad + 0.05 * t.fine + 0.11 * t.leaves
    mix += bed_tone * np.sqrt(cover * (1 - cover)) + 0.22 * stripes(across, p.rows_m, p.gsd_m)
    mix -= 0.6 * cover * (line(across, 18.0, 0.5, p.gsd_m) + line(across + 1.9, 18.0, 0.5, p.gsd_m))
    # Ploughed, rolled, wet: bare soil is darker or lighter each time.
    shade = (0.78 + 0.4 * p.day(Salt.CROP_BRIGHTNESS)) * (
        1 + 0.05 * t.fine + 0.05 * t.grain + 0.07 * t.patch + 0.04 * t.leaves
    )
    shade *= 1 + 0.06 * stripes(across, 3.1, p.gsd_m)
    if p.gsd_m > 1.5:
        return Paint(p.soil, p.plant, mix, shade)
    bales = strew_objects(p, (17.0, 13.0), 0.5, Salt.CROP_BALE, moved=True)
    on = bales.on & (bales.middle > 0.65) & (cover < 0.3) & (p.day(Salt.CROP_BALES) < 0.2)
    return Paint(p.soil, p.plant, mix, np.where(on, 1.3, shade), height_m=1.3 * on)


def paint_orchard(p: Patch) -> Paint:
    """Vegetation of an orchard: trees on a square or oblong grid over grass or bare soil, with gaps."""
    t = p.texture
    gap = 3.5 + 6 * p.lot(Salt.ORCHARD_GAP)
    away = gap * (1 + 0.6 * (p.lot(Salt.ORCHARD_OBLONG) < 0.4))
    column, row = np.floor(p.along_m / gap), np.floor(p.away_m / away)
    u = p.along_m - (column + 0.5) * gap
    v = p.away_m - (row + 0.5) * away
    size = gap * (0.3 + 0.14 * p.lot(Salt.ORCHARD_CROWN)) * (0.8 + 0.12 * t.patch)
    depth = 1 - (u * u + v * v) / np.square(np.maximum(size, 0.3))
    clear = np.float32(seen(3.5, 1.3 * p.gsd_m))
    crown = (depth > 0) * clear + (1 - clear) * (0.4 + 0.08 * t.fine + 0.1 * t.patch)
    grassy = np.where(p.lot(Salt.ORCHARD_BARE) < 0.5, p.soil, palette_row("grass", p.lot(Salt.GRASS))).astype(
        np.uint8
    )
    shade = 1 + 0.06 * t.fine + 0.06 * t.grain + 0.05 * t.leaves - 0.25 * crown * (1 - depth.clip(0, 1))
    return Paint(
        grassy, palette_row("leaf", p.lot(Salt.LEAF)), crown, shade, height_m=(3.5 * depth.clip(0)) * clear
    )


def paint_vineyard(p: Patch) -> Paint:
    """Vegetation of a vineyard: close rows of vines or bushes over tilled soil or grass."""
    t = p.texture
    gap = 1.8 + 1.6 * p.lot(Salt.VINEYARD_GAP)
    across = np.where(p.lot(Salt.VINEYARD_TURNED) < 0.5, p.along_m, p.away_m)
    wave = stripes(across, gap, p.gsd_m)
    mix = 0.25 + 0.35 * p.cover + 0.45 * wave + 0.08 * t.patch + 0.06 * t.fine + 0.06 * t.leaves
    shade = 1 + 0.08 * t.grain + 0.05 * t.fine
    return Paint(p.soil, palette_row("leaf", p.lot(Salt.LEAF)), mix, shade)


def paint_meadow(p: Patch) -> Paint:
    """Vegetation of pasture and hay: trodden paths, patches, mown in swaths on some dates."""
    t = p.texture
    mix = 0.55 + 0.3 * p.cover + 0.13 * t.patch + 0.12 * t.broad + 0.06 * t.fine + 0.12 * t.leaves
    swaths = (p.day(Salt.MEADOW_MOWN) < 0.3) * stripes(p.along_m, 6 + 6 * p.day(Salt.MEADOW_SWATH), p.gsd_m)
    mix -= 0.5 * (np.abs(t.lasting) < 0.035) * seen(1.0, p.gsd_m)
    shade = 1 + 0.07 * t.fine + 0.07 * t.grain + 0.05 * t.patch + 0.05 * t.leaves + 0.09 * swaths
    return Paint(p.soil, palette_row("grass", p.lot(Salt.GRASS)), mix, shade)


def paint_lawn(p: Patch) -> Paint:
    """Vegetation of a garden: lawn, beds, hedge, drive, terrace, pool, and movable objects."""
    t = p.texture
    mix = (
        0.2 + 0.45 * p.lot(Salt.LAWN_COVER) + 0.35 * p.cover + 0.14 * t.patch + 0.1 * t.fine + 0.14 * t.leaves
    )
    shade = 1 + 0.1 * t.fine + 0.08 * t.grain + 0.05 * t.leaves
    if p.gsd_m > 2.5:
        return Paint(p.soil, palette_row("grass", p.lot(Salt.GRASS)), mix, shade)
    # Beds and paths: a pattern finer than the plot.
    mix -= 0.5 * line(p.along_m, 7 + 6 * float(p.gsd_m < 1), 0.8, p.gsd_m) * (p.lot(Salt.LAWN_BEDS) < 0.3)
    drive = np.abs(p.along_m - 9 * (p.lot(Salt.LAWN_DRIVE_PLACE) - 0.5)) < 1.6 + p.lot(Salt.LAWN_DRIVE_WIDTH)
    drive &= (p.away_m < 9) & (p.lot(Salt.LAWN_DRIVE) < 0.7)
    terrace = np.abs(p.away_m - 18 - 4 * p.lot(Salt.LAWN_TERRACE_PLACE)) < 2.2
    terrace &= np.abs(p.along_m) < 2 + 3 * p.lot(Salt.LAWN_TERRACE_WIDTH)
    pool = np.square(p.along_m - 4) + 2 * np.square(p.away_m - 27) < 14 * (p.lot(Salt.LAWN_POOL) < 0.12)
    paved = drive | (terrace & (p.lot(Salt.LAWN_TERRACE) < 0.5))
    first = np.where(pool, palette_row("pool"), np.where(paved, p.paved, p.soil))
    mix = np.where(pool | paved, np.float32(0.05), mix)
    hedge = (p.edge_m < 0.9) & (p.away_m > 3) & (p.lot(Salt.LAWN_HEDGE) < 0.45)
    # Sheds are permanent, trampolines, cars and covers are not; neither counts as a building.
    shed = strew_objects(p, (9.0, 11.0), 0.16 * (p.lot(Salt.LAWN_SHEDS) < 0.6), Salt.LAWN_SHED, moved=False)
    loose = strew_objects(p, (5.0, 5.0), 0.10 * p.day(Salt.LAWN_LOOSE), Salt.LAWN_LOOSE_OBJECT, moved=True)
    on_shed, on_loose = shed.on & (p.away_m > 15), loose.on & ~pool
    second = np.where(hedge, palette_row("leaf", p.lot(Salt.LEAF)), palette_row("grass", p.lot(Salt.GRASS)))
    first = np.where(on_shed, palette_row("roof_grey", shed.tone), first)
    first = np.where(on_loose, palette_row("car", loose.tone), first)
    mix = np.where(on_shed | on_loose, np.float32(0), np.where(hedge, np.float32(0.95), mix))
    height = np.where(hedge, 1.6, 0.0) + 2.3 * on_shed + 0.7 * (on_loose & ~on_shed)
    return Paint(first.astype(np.uint8), second.astype(np.uint8), mix, shade, height_m=height)


def paint_range(p: Patch) -> Paint:
    """Vegetation of rangeland, heath, steppe or near-desert: patches at every scale, paths, gullies."""
    t = p.texture
    dry = 0.5 * (p.region(Salt.RANGE_DRY) - 0.5) + 0.12 * (p.lot(Salt.RANGE_PLOT_DRY) - 0.5)
    mix = (
        0.45
        + dry
        + 0.3 * p.cover * (p.lot(Salt.RANGE_COVERED) < 0.5)
        + 0.2 * t.broad
        + 0.22 * t.patch
        + 0.12 * t.fine
    )
    mix += 0.25 * t.leaves + 0.1 * t.grain - 0.6 * (np.abs(t.lasting) < 0.04) * seen(1.5, p.gsd_m)
    shade = 1 + 0.08 * t.fine + 0.1 * t.grain + 0.09 * t.leaves
    return Paint(
        palette_row("soil", p.region(Salt.SOIL)), palette_row("grass", p.region(Salt.GRASS)), mix, shade
    )


def paint_forest(p: Patch) -> Paint:
    """Vegetation of a forest: floor and understory between the crowns, or the canopy at coarse pixels."""
    t = p.texture
    # Forests vary independently of plots, except where they were planted.
    stand = (
        p.region(Salt.FOREST_STAND)
        + 0.12 * t.lasting
        + 0.25 * (p.lot(Salt.FOREST_PLOT_STAND) - 0.5) * (p.region(Salt.FOREST_PLANTED) < 0.4)
    )
    kind = np.where(
        stand < 0.45,
        palette_row("conifer", p.region(Salt.FOREST_CONIFER)),
        palette_row("leaf", p.region(Salt.LEAF)),
    )
    mix = 0.3 + 0.2 * t.fine + 0.2 * t.patch + 0.25 * t.leaves
    shade = 0.72 + 0.14 * t.fine + 0.12 * t.grain + 0.06 * t.patch + 0.07 * t.leaves
    # Glades with visible ground.
    glade = t.lasting > 2.1
    first = np.where(glade, palette_row("straw", p.lot(Salt.STRAW)), kind)
    return Paint(
        first.astype(np.uint8), palette_row("leaf", p.region(Salt.FOREST_UNDERSTORY)), mix, shade, Cover.WOODY
    )


def paint_wetland(p: Patch) -> Paint:
    """Vegetation of a wetland: reed, grass and seasonal pools."""
    t = p.texture
    pool = t.lasting + 0.5 * t.leaves + 0.7 * t.patch > 1.0 + 1.2 * p.day(Salt.WETLAND_LEVEL)
    first = np.where(pool, palette_row("mud_water"), palette_row("straw", p.lot(Salt.STRAW)))
    mix = np.where(pool, 0.1, 0.5 + 0.25 * t.leaves + 0.2 * t.patch + 0.1 * t.fine)
    return Paint(
        first.astype(np.uint8),
        palette_row("grass", p.lot(Salt.GRASS)),
        mix,
        0.9 + 0.1 * t.fine + 0.1 * t.grain,
    )


def paint_golf(p: Patch) -> Paint:
    """Vegetation of a golf course or park: smooth mown ground with rougher parts and sand."""
    t = p.texture
    smooth = t.lasting + 0.1 * t.fine > 0.2
    sand = (np.abs(t.lasting - 0.75) < 0.16) & (t.fine + t.patch > 1.5)
    mix = np.where(
        smooth, 0.92 + 0.05 * stripes(p.along_m, 9.0, p.gsd_m), 0.55 + 0.2 * t.patch + 0.15 * t.leaves
    )
    first = np.where(sand, palette_row("sand"), p.soil)
    shade = 1 + np.where(smooth, 0.03, 0.1) * (t.fine + t.grain)
    return Paint(
        first.astype(np.uint8), palette_row("grass", p.lot(Salt.GRASS)), np.where(sand, 0.03, mix), shade
    )


def paint_burnt(p: Patch) -> Paint:
    """Vegetation after a fire: ash and scorched ground, with unburnt islands."""
    t = p.texture
    mix = 0.25 + 0.2 * t.patch + 0.15 * t.fine + 0.08 * t.grain + 0.2 * t.leaves
    return Paint(palette_row("ash", p.lot(Salt.ASH)), p.soil, mix, 1 + 0.15 * t.fine)
