"""Pictures of tiles, as data that a page carries in itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.checks.scan import Scan
from rsdetect.evaluation.measure import BadTile
from rsdetect.grid import Window
from rsdetect.pages.pictures import GREY, Rgb, colour_bands, data_uri, stretch_limits, stretched
from rsdetect.percent import NOT_OBSERVED, level_of
from rsdetect.scenes.pair import Pair, read_tile
from rsdetect.tiles import TileWindow

# Told apart by those who see red and green alike: Okabe and Ito (2008), "Color universal design".
RIGHT, FALSE, MISSED, QUIET = (240, 228, 66), (213, 94, 0), (86, 180, 233), (32, 32, 36)
_CHANGED, _UNCHANGED = (255, 255, 255), (0, 0, 0)
_RAMP = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], np.float64)


@dataclass(frozen=True)
class TilePictures:
    """A bad tile as pictures, each a data URI."""

    pair: str
    window: Window
    wrong_px: int
    before: str
    after: str
    truth: str
    probability: str
    verdict: str  # right, false and missed pixels in their colours


def draw_tile(tile: BadTile, threshold: float) -> TilePictures:
    """Read both dates of the tile again and draw it."""
    before, after = (data_uri(date, "JPEG") for date in _dates(tile.opened.pair, tile.window))
    observed = tile.percent != NOT_OBSERVED
    known = observed & (tile.truth <= 1)
    marked, changed = tile.percent >= level_of(threshold), tile.truth == 1
    truth = _painted(tile.truth.shape, {_CHANGED: changed, _UNCHANGED: tile.truth == 0})
    verdict = _painted(
        tile.truth.shape,
        {
            RIGHT: known & marked & changed,
            FALSE: known & marked & ~changed,
            MISSED: known & ~marked & changed,
            QUIET: known & ~marked & ~changed,
        },
    )
    return TilePictures(
        pair=tile.opened.labelled.name,
        window=tile.window,
        wrong_px=tile.wrong_px,
        before=before,
        after=after,
        truth=data_uri(truth, "PNG"),
        probability=data_uri(_ramp(tile.percent, observed), "PNG"),
        verdict=data_uri(verdict, "PNG"),
    )


def _dates(pair: Pair, window: Window) -> tuple[Rgb, Rgb]:
    """Both dates in colours, each stretched by its percentiles over the whole pair."""
    bands = colour_bands(pair.bands)
    sample = Scan(pair).sample_pixels()
    tile = read_tile(pair, TileWindow(0, 0, window, window))
    return (
        stretched(tile.before[bands], stretch_limits(sample.before[bands]), tile.valid),
        stretched(tile.after[bands], stretch_limits(sample.after[bands]), tile.valid),
    )


def _painted(shape: tuple[int, ...], colours: dict[tuple[int, int, int], NDArray[np.bool_]]) -> Rgb:
    picture: Rgb = np.empty((3, *shape), np.uint8)
    picture[:] = np.array(GREY, np.uint8)[:, None, None]
    for colour, where in colours.items():
        picture[:, where] = np.array(colour, np.uint8)[:, None]
    return picture


def _ramp(percent: NDArray[np.uint8], observed: NDArray[np.bool_]) -> Rgb:
    stops = np.linspace(0, 100, len(_RAMP))
    levels = np.stack([np.interp(np.arange(256), stops, channel) for channel in _RAMP.T])  # (3, 256)
    picture: Rgb = np.rint(levels).astype(np.uint8)[:, percent]
    picture[:, ~observed] = np.array(GREY, np.uint8)[:, None]
    return picture
