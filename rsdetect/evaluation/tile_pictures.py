"""Pictures of the worst tiles of an evaluation, as data URIs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.checks.scan import Scan
from rsdetect.evaluation.pair_scores import BadTile
from rsdetect.grid import Window
from rsdetect.pages.pictures import GREY, Rgb, colour_bands, data_uri, stretch_limits, stretched
from rsdetect.percent import NOT_OBSERVED, level_of
from rsdetect.scenes.pair import Pair, read_tile
from rsdetect.tiles import TileWindow

# Distinct with red-green colour blindness: Okabe and Ito (2008), "Color universal design".
RIGHT, FALSE, MISSED, QUIET = (240, 228, 66), (213, 94, 0), (86, 180, 233), (32, 32, 36)
_CHANGED, _UNCHANGED = (255, 255, 255), (0, 0, 0)
_RAMP = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], np.float64)


@dataclass(frozen=True)
class TilePictures:
    """Pictures of a bad tile, each a data URI."""

    pair: str
    window: Window
    wrong_px: int
    before: str
    after: str
    truth: str
    probability: str
    verdict: str  # correct, false and missed pixels, by colour


def draw_tile(tile: BadTile, threshold: float) -> TilePictures:
    """Draw the pictures of a bad tile; both dates are read again."""
    before, after = (data_uri(date, "JPEG") for date in _date_pictures(tile.opened.pair, tile.window))
    observed = tile.percent != NOT_OBSERVED
    known = observed & (tile.truth <= 1)
    marked, changed = tile.percent >= level_of(threshold), tile.truth == 1
    truth = _class_picture(tile.truth.shape, {_CHANGED: changed, _UNCHANGED: tile.truth == 0})
    verdict = _class_picture(
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
        probability=data_uri(probability_picture(tile.percent, observed), "PNG"),
        verdict=data_uri(verdict, "PNG"),
    )


def _date_pictures(pair: Pair, window: Window) -> tuple[Rgb, Rgb]:
    """Pictures of both dates of a tile, each stretched by its percentiles over the whole pair."""
    bands = colour_bands(pair.bands)
    sample = Scan(pair).sample_pixels()
    tile = read_tile(pair, TileWindow(0, 0, window, window))
    return (
        stretched(tile.before[bands], stretch_limits(sample.before[bands]), tile.valid),
        stretched(tile.after[bands], stretch_limits(sample.after[bands]), tile.valid),
    )


def _class_picture(shape: tuple[int, ...], colours: dict[tuple[int, int, int], NDArray[np.bool_]]) -> Rgb:
    """Picture of a tile with one colour per class mask."""
    picture: Rgb = np.empty((3, *shape), np.uint8)
    picture[:] = np.array(GREY, np.uint8)[:, None, None]
    for colour, where in colours.items():
        picture[:, where] = np.array(colour, np.uint8)[:, None]
    return picture


def probability_picture(percent: NDArray[np.uint8], observed: NDArray[np.bool_]) -> Rgb:
    """Picture of a tile's change probability with a colour ramp, grey where not observed."""
    stops = np.linspace(0, 100, len(_RAMP))
    levels = np.stack([np.interp(np.arange(256), stops, channel) for channel in _RAMP.T])  # (3, 256)
    picture: Rgb = np.rint(levels).astype(np.uint8)[:, percent]
    picture[:, ~observed] = np.array(GREY, np.uint8)[:, None]
    return picture
