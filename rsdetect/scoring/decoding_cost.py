"""Decoding cost of a plan: decodings per block of a pair's files, and warnings of costly layouts."""

from __future__ import annotations

from pathlib import Path

from rsdetect.memory import MemoryBudget
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.scene import Scene, bytes_per_pixel
from rsdetect.scenes.source_blocks import decodings
from rsdetect.tiles import TilePlan

_COSTLY = 1.5  # decodings per block from which on a warning is given


def costly_layouts(pair: Pair, plan: TilePlan, memory: MemoryBudget) -> list[str]:
    """Warning for each scene whose block layout causes repeated decoding."""
    told = []
    for scene in dict.fromkeys((pair.before, pair.after)):
        if scene.warp is not None:
            continue
        times = _times_decoded(scene, plan, memory.shared_blocks // 2)
        rows, cols = scene.blocks
        mosaic = decodings(scene.path, scene.grid, scene.blocks)
        if mosaic >= _COSTLY:
            told.append(
                f"{scene.path} is a mosaic whose blocks of {cols} x {rows} pixels do not end where those of "
                f"its files do, so that each of theirs is decoded up to {mosaic * times:.1f} times; "
                f"{_other_layout(scene)} helps"
            )
        elif times >= _COSTLY:
            told.append(
                f"{scene.path} is stored in blocks of {cols} x {rows} pixels, not aligned to the tiles, "
                f"so that each is decoded about {times:.0f} times; more `memory` helps, or "
                f"{_other_layout(scene)}"
            )
    return told


def _other_layout(scene: Scene) -> str:
    if scene.source is not None:
        return "other chunks where the array is made, of 512 to 2048 pixels"
    if scene.files is not None:
        return "copies in other blocks (gdal_translate -of COG)"
    return f"a copy in other blocks: gdal_translate -of COG {scene.path} {Path(scene.path).stem}_cog.tif"


def _times_decoded(scene: Scene, plan: TilePlan, kept_bytes: int) -> float:
    """Approximate decodings per block, if tiles are in reading order and `kept_bytes` can be cached.

    Of blocks over several tiles, the part for tiles further right is cached.
    """
    rows, cols = scene.blocks
    width = plan.grid.width
    high, wide = (edge + 2 * plan.halo for edge in plan.tile_shape)
    if cols <= wide and rows <= high:
        return 1
    across, down = min(cols, width) / wide, min(rows, plan.grid.height) / high
    waiting = bytes_per_pixel(scene) * (high + rows) * min(cols, width)
    return max(1.0, across) * max(1.0, down) if waiting > kept_bytes else 1
