"""Planning of tiles: as large as the memory allows, and aligned to the blocks of the files."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rsdetect.detectors.base import TORCH_BYTES, Scorer
from rsdetect.grid import Window
from rsdetect.memory import MemoryBudget
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.scene import Scene
from rsdetect.scoring.core import push_height, read_windows
from rsdetect.tiles import TilePlan, TileWindow, plan_tiles

_BYTES_A_CORE_PIXEL = 10  # probability, percent, and masks

_MOST_PIXELS = 8 * 2**20  # per tile: an interruption loses only seconds of work
_EDGES = 128, 1024  # of a tile that is scored at once, in pixels: least and greatest
_WHOLE_BLOCKS = 256  # of most files; edges from twice this size are multiples of it
_TILES_PER_WORKER = 4  # at least, so that workers finish at about the same time
_ROWS_STEP = 128  # pixels, as the next
_LEAST_EDGE = 256


def plan_for(pair: Pair, scorer: Scorer, memory: MemoryBudget, workers: int) -> TilePlan:
    """Plan the tiles of a pair, with read windows aligned to the blocks of BEFORE.

    A scorer with strips gets wide and tall tiles, because its memory depends on the width only. Other scorers
    hold a whole tile, and get squares.
    """
    rows, cols = pair.before.blocks
    halo = -(-scorer.halo // scorer.stride) * scorer.stride
    if scorer.strips:
        shape = _strip_shape(pair.grid.shape, (rows, cols), halo, memory.tile, workers, scorer)
    else:
        edge = _edge(pair.grid.shape, halo, memory.tile, workers, scorer)
        shape = edge, edge
    offset = pair.before.offset
    lead = tuple(
        (halo + ahead) % block if edge % block == 0 and edge > block else 0
        for edge, block, ahead in zip(shape, (rows, cols), offset, strict=True)
    )
    return plan_tiles(pair.grid, shape, scorer.halo, scorer.stride, (lead[0], lead[1]))


def _edge(grid: tuple[int, int], halo: int, most_bytes: int, workers: int, scorer: Scorer) -> int:
    """Planned edge of square cores that minimises the total work of all workers."""
    # The memory for the program counts with torch.
    room = most_bytes + max(0, TORCH_BYTES - scorer.import_bytes) // workers
    least, highest = _EDGES
    most = int((room / scorer.bytes_per_pixel) ** 0.5) - 2 * halo
    most = max(least, min(highest, most - most % scorer.stride))

    def cost(edge: int) -> int:
        tiles = math.ceil(grid[0] / edge) * math.ceil(grid[1] / edge)
        return math.ceil(tiles / workers) * (edge + 2 * halo) ** 2

    return min(range(2 * _WHOLE_BLOCKS, most + 1, _WHOLE_BLOCKS), key=cost, default=most)


def _strip_shape(
    grid: tuple[int, int],
    blocks: tuple[int, int],
    halo: int,
    most_bytes: int,
    workers: int,
    scorer: Scorer,
) -> tuple[int, int]:
    """Planned shape (rows, columns) of strip cores that minimises the total work of all workers."""
    best, least = (_ROWS_STEP, _LEAST_EDGE), math.inf
    for wide in _even_shares(grid[1], blocks[1], _LEAST_EDGE):
        pushed = push_height(scorer, wide + 2 * halo)
        for high in _even_shares(grid[0], blocks[0], _ROWS_STEP):
            taken = (wide + 2 * halo) * pushed * scorer.bytes_per_pixel + wide * high * _BYTES_A_CORE_PIXEL
            if taken > most_bytes or wide * high > _MOST_PIXELS:
                continue
            tiles = math.ceil(grid[0] / high) * math.ceil(grid[1] / wide)
            if tiles < _TILES_PER_WORKER * workers and high > _ROWS_STEP:
                continue
            rows = math.ceil((high + 2 * halo) / pushed) * pushed
            cost = math.ceil(tiles / workers) * rows * (wide + 2 * halo)
            if cost < least:
                best, least = (high, wide), cost
    return best


def _even_shares(edge: int, block: int, step: int) -> list[int]:
    """Planning candidates for a core's edge: even shares of the grid in whole blocks or steps."""
    shares = {math.ceil(edge / pieces) for pieces in range(1, max(2, edge // step) + 1)}
    whole = {math.ceil(share / unit) * unit for share in shares for unit in (step, math.lcm(block, step))}
    return sorted(share for share in whole if share % block == 0 or block > share)


def planned_windows(pair: Pair, scorer: Scorer, tiles: Sequence[TileWindow]) -> dict[Scene, list[Window]]:
    """Planned windows of each scene for `tiles`, on the pair's grid."""
    windows = [window for tile in tiles for window in read_windows(scorer, tile)]
    both = {pair.before: windows}
    both[pair.after] = windows + both.get(pair.after, [])  # twice if both dates are one file
    return both
