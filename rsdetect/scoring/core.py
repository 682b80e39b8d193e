"""Core of scoring: the pure function `score_core` that every worker runs for a tile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.detectors.base import Scorer, Strip
from rsdetect.detectors.blame import blamed_on
from rsdetect.grid import Window
from rsdetect.scenes.pair import Pair, read_tile
from rsdetect.scoring.probabilities import as_scores, require_probabilities
from rsdetect.scoring.tally import require_complete
from rsdetect.tiles import Tile, TileWindow

# Receives, while a tile is scored, pixels, a window within them and the core, and the probability over that
# window, (height, width) float32, undefined where a pixel is not valid. Windows are disjoint and ordered from
# the top down. Outside of them the probability is 0 or NaN.
Sink = Callable[[Tile, Window, Float32Array], None]
Seen = Callable[[Tile], None]  # receives pixels as they are read

_PUSH_ROWS = 128  # of a strip at a time; half as many of a wide one, more where the halo is longer
_WIDE = 3072  # pixels
_EQUAL_RADIUS = 2  # pixels


def score_core(
    pair: Pair, scorer: Scorer, tile: TileWindow, sink: Sink | None = None, seen: Seen | None = None
) -> Float32Array:
    """Score the core of a tile: change probability, (height, width) float32; NaN if not valid on both dates.

    Equal ground is never change: the probability is 0 at a pixel that is bit-identical on both dates, if the
    scorer has no halo, and where all pixels of the 5 x 5 around it are, if it has one (single equal pixels
    inside true change are chance). This is decided per pixel, and so does not depend on the tiles. With
    `skips_equal`, the scorer is not called where all pixels within the halo are equal.

    Parameters
    ----------
    sink
        Receives the pixels with their probability while they are in memory.
    seen
        Receives all pixels that are read, scored or not; windows are disjoint.

    Raises
    ------
    DetectorError
        The scorer failed, or gave something else than a probability for each pixel.
    ReadError, SourceUnavailable
        A file broke while it was read, or its server went away; the message names the file.
    """
    if scorer.strips:
        return _score_down(pair, scorer, tile, sink, seen)
    pixels = read_tile(pair, tile)
    if seen is not None:
        seen(pixels)
    rows, cols = tile.core.slices_in(tile.read)
    valid = pixels.valid[rows, cols]
    if not valid.any():
        return np.full(tile.core.shape, np.nan, dtype=np.float32)
    live = _live(pixels)
    if scorer.skips_equal:
        still = _still(live, tile.read, tile.core, scorer.halo)
        if still is not None and (still | ~valid).all():
            return np.where(valid, np.float32(0), np.float32(np.nan))
    probability = _core_scores(scorer, pixels, valid)
    equal = _still(live, tile.read, tile.core, _equal_radius(scorer))
    if equal is not None:
        probability = np.where(equal, np.float32(0), probability)
    if sink is not None:
        sink(pixels, tile.core, probability)
    return np.where(valid, probability, np.float32(np.nan))


def _core_scores(scorer: Scorer, pixels: Tile, valid: BoolArray) -> Float32Array:
    """Scores of the core, (height, width) float32; errors if they are not probabilities.

    Parameters
    ----------
    valid
        (height, width) of the core; elsewhere scores may be any number.
    """
    with blamed_on(scorer):
        scored = as_scores(scorer, scorer.score(pixels), pixels)
    core = pixels.crop_to_core(scored)
    require_probabilities(scorer, core if valid.all() else core[valid])
    return core


def read_windows(scorer: Scorer, tile: TileWindow) -> list[Window]:
    """Windows that `score_core` reads for a tile, in order."""
    if not scorer.strips:
        return [tile.read]
    height = push_height(scorer, tile.read.width)
    # Of a tile at the edge of the raster, only what its core requires.
    end = tile.core.row_end + scorer.halo
    return [
        Window(row, tile.read.col_off, height, tile.read.width)
        for row in range(tile.read.row_off, end, height)
    ]


def push_height(scorer: Scorer, width: int) -> int:
    """Height of a push for a strip `width` pixels wide: a multiple of the stride, at least the halo."""
    rows = _PUSH_ROWS if width <= _WIDE else _PUSH_ROWS // 2
    return -(-max(rows, scorer.halo) // scorer.stride) * scorer.stride


def _score_down(
    pair: Pair, scorer: Scorer, tile: TileWindow, sink: Sink | None, seen: Seen | None
) -> Float32Array:
    """Read and score a tile by strips of rows, skipping those without any difference between the dates.

    A strip is live if a valid pixel differs between the dates. Pixels within its halo have a probability, and
    require their own halo as input: so the strips within two halos above a live one are scored, and as many
    below it, because of the delay. After a gap the strip starts again.
    """
    width = tile.read.width
    height = push_height(scorer, width)
    probability = np.zeros(tile.core.shape, dtype=np.float32)
    valid = np.zeros(tile.core.shape, dtype=bool)
    windows = read_windows(scorer, tile)
    read = Window(tile.read.row_off, tile.read.col_off, height * len(windows), width)
    live = np.zeros(read.shape, dtype=bool)
    strip: Strip | None = None
    top = tile.read.row_off  # of the strip
    above: Tile | None = None  # the band before in the strip, some rows of which come out with this one
    around = -(-2 * scorer.halo // height)  # a strip is not later than the halo
    for band, wanted in _wanted(_bands(pair, tile, windows, valid, live, seen), around):
        if not wanted:
            strip, above = None, None
            continue
        with blamed_on(scorer):
            if strip is None:
                strip, top = scorer.strip(height, width), band.read.row_off
            scored = band.read.shifted(-strip.late, 0)
            pushed = as_scores(scorer, strip.push(band), band)
        part = scored.intersection(tile.core)
        require_probabilities(scorer, _settled(pushed, scored, part, top + scorer.halo, valid, tile))
        probability[part.slices_in(tile.core)] = pushed[part.slices_in(scored)]
        if sink is not None:
            for pixels in (band,) if above is None else (above, band):
                known = part.intersection(pixels.read)
                if not known.is_empty:
                    sink(pixels, known, pushed[known.slices_in(scored)])
            above = band
    equal = _still(live, read, tile.core, _equal_radius(scorer))
    if equal is not None:
        probability[equal] = 0
    require_complete(probability, valid, tile, scorer.name)
    probability[~valid] = np.nan
    return probability


def _settled(
    pushed: Float32Array, scored: Window, part: Window, first: int, valid: BoolArray, tile: TileWindow
) -> Float32Array:
    """The scores of `part` that mean something: at valid pixels from the row `first` on, (count,) float32."""
    skipped = min(max(0, first - part.row_off), part.height)
    part = Window(part.row_off + skipped, part.col_off, part.height - skipped, part.width)
    if part.is_empty:
        return np.empty(0, np.float32)
    found: Float32Array = pushed[part.slices_in(scored)][valid[part.slices_in(tile.core)]]
    return found


def _bands(
    pair: Pair,
    tile: TileWindow,
    windows: list[Window],
    valid: BoolArray,
    live: BoolArray,
    seen: Seen | None,
) -> Iterator[tuple[Tile, bool]]:
    """Pixels of a tile to score, in strips from the top down, and whether a strip is live.

    Enters as they come into `valid` where the core is valid, and into `live`, (rows of all windows, width),
    where valid pixels differ between the dates.
    """
    for number, window in enumerate(windows):
        band = read_tile(pair, TileWindow(tile.row, tile.col, tile.core, window))
        if seen is not None:
            seen(band)
        part = window.intersection(tile.core)
        valid[part.slices_in(tile.core)] = band.valid[part.slices_in(window)]
        differs = _live(band)
        live[number * window.height : (number + 1) * window.height] = differs
        yield band, bool(differs.any())


def _live(pixels: Tile) -> BoolArray:
    """Live pixels of a tile to score, (height, width): valid, and different between the dates."""
    differs = np.zeros(pixels.valid.shape, dtype=bool)
    for before, after in zip(pixels.before, pixels.after, strict=True):
        differs |= before != after
        if differs.all():
            break
    differs &= pixels.valid
    return differs


def _equal_radius(scorer: Scorer) -> int:
    """Pixels around one that must be equal on both dates, too, for the tile to score it as unchanged."""
    return min(_EQUAL_RADIUS, scorer.halo)


def _still(live: BoolArray, read: Window, core: Window, halo: int) -> BoolArray | None:
    """Pixels of the core without live pixels within `halo` pixels, (height, width); None = there are none.

    Parameters
    ----------
    live
        Over `read`, which holds the core and the halo around it.
    """
    # A square of 2 halo + 1 pixels holds one of these cells whole, wherever it lies.
    cell = max(halo, 1)
    high, wide = (edge - edge % cell for edge in live.shape)
    cells = live[:high, :wide].reshape(high // cell, cell, wide // cell, cell)
    if cells.any(axis=(1, 3)).all():
        return None
    rows, cols = core.slices_in(read)
    near = live[rows.start - halo : rows.stop + halo, cols.start - halo : cols.stop + halo]
    for axis in (0, 1):
        near = _any_of_next(near, 2 * halo + 1, axis)
    return ~near


def _any_of_next(given: BoolArray, count: int, axis: int) -> BoolArray:
    """For the core of a tile: whether any of the next `count` values along an axis is True.

    In steps that double how far each looks: a handful of passes, whatever `count` is.

    >>> _any_of_next(np.array([[True, False, False, False, True]]), 3, 1).tolist()
    [[True, False, True]]
    """
    given, seen = np.moveaxis(given, axis, 0), 1
    while seen < count:
        step = min(seen, count - seen)
        given, seen = given[:-step] | given[step:], seen + step
    return np.moveaxis(given, 0, axis)


def _wanted(bands: Iterator[tuple[Tile, bool]], around: int) -> Iterator[tuple[Tile, bool]]:
    """Strips of a tile, and whether to score them: live, or within `around` strips of a live one."""
    held: deque[Tile] = deque()  # what the next bands decide
    since = around + 1  # bands down from a live one
    for band, is_live in bands:
        since = 0 if is_live else since + 1
        if since > around:
            held.append(band)
            if len(held) > around:
                yield held.popleft(), False
            continue
        while held:
            yield held.popleft(), True
        yield band, True
    for band in held:
        yield band, False
