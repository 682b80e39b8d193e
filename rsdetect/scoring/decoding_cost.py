"""How often the blocks of a pair's files are decoded by a plan, and which layouts cost."""

from __future__ import annotations

from pathlib import Path

from rsdetect.memory import MemoryBudget
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.scene import Scene, bytes_per_pixel
from rsdetect.tiles import TilePlan

_COSTLY = 1.5  # times that a block is decoded, from which on a warning pays


def costly_layouts(pair: Pair, plan: TilePlan, memory: MemoryBudget) -> list[str]:
    """A sentence for each scene whose blocks lie so that they are decoded again and again."""
    told = []
    for scene in dict.fromkeys((pair.before, pair.after)):
        if scene.warp is not None:
            continue
        times = _times_decoded(scene, plan, memory.shared_blocks // 2)
        if times >= _COSTLY:
            rows, cols = scene.blocks
            told.append(
                f"{scene.path} is stored in blocks of {cols} x {rows} pixels, which lie across the tiles, "
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
    """How often a block is decoded, about, when tiles come in reading order and `kept_bytes` can be kept.

    Of blocks that reach over several tiles what the tiles further right need is kept until they come.
    """
    rows, cols = scene.blocks
    width = plan.grid.width
    high, wide = (edge + 2 * plan.halo for edge in plan.tile_shape)
    if cols <= wide and rows <= high:
        return 1
    across, down = min(cols, width) / wide, min(rows, plan.grid.height) / high
    waiting = bytes_per_pixel(scene) * (high + rows) * min(cols, width)
    return max(1.0, across) * max(1.0, down) if waiting > kept_bytes else 1
