"""Check of a detector against the contract: seams, invariance and probabilities, on small simulated pairs.

Each check compares what the detector gives for pixels that it must give the same for: other tiles, another
order, other values where nothing is valid. A failure is one `DetectorError` with the difference.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.checks.scan import Scan
from rsdetect.detectors.base import Detector, Scorer
from rsdetect.detectors.blame import blamed_on
from rsdetect.detectors.fitting import fit_detector, read_fit, write_fit
from rsdetect.errors import DetectorError
from rsdetect.files import as_json
from rsdetect.scenes.handles import close_handles
from rsdetect.scenes.pair import Pair, open_pair, read_tile
from rsdetect.scoring.core import score_core
from rsdetect.tiles import TileWindow, plan_tiles

_HEIGHT, _WIDTH = 190, 230  # pixels; not multiples of a tile or a stride
_BANDS = 4  # of a detector that takes any
_TOLERANCE = 1e-5  # between tilings, because of the order of summation
_TILES = (64, 97, (128, 48))  # edges in pixels, or (rows, columns)
_REMEDY_OF_HALO = (
    "; its scorer's attribute halo is {} px: it must be as many pixels as a score depends on to each side, "
    "and statistics of the whole pair must come from fit()"
)


@dataclass(frozen=True)
class _Trial:
    """Trial of a detector: a pair and its scores in one tile."""

    pair: Pair
    scorer: Scorer
    whole: Float32Array  # (height, width), NaN where not valid


def check_contract(detector: Detector, report: Callable[[str], None] = lambda _: None) -> list[str]:
    """Check a detector against the contract.

    Parameters
    ----------
    report
        Receives a line for each passed check.

    Returns
    -------
    list of str
        Passed checks.

    Raises
    ------
    DetectorError
        A check failed; the message has the difference.
    """
    passed = []
    with TemporaryDirectory() as folder, _closing(), _trial(detector, Path(folder) / "changed") as trial:
        for said, check in _CHECKS:
            with blamed_on(detector):
                check(detector, trial, Path(folder))
            report(f"passed: {said}")
            passed.append(said)
    return passed


def _record(detector: Detector, trial: _Trial, _: Path) -> None:
    told = trial.scorer.provenance()
    for key in ("name", "threshold"):
        if key not in told:
            raise _failure(detector, f"has a provenance without {key!r}")
    if told["name"] != detector.name or trial.scorer.name != detector.name:
        raise _failure(detector, f"has a scorer of another name, {trial.scorer.name!r}")
    threshold = trial.scorer.threshold
    if not 0 < threshold <= 1 or told["threshold"] != threshold:
        raise _failure(detector, f"has no threshold in (0, 1] but {told['threshold']}")
    try:
        as_json(told)
        as_json(detector.parameters)
    except (TypeError, ValueError) as error:
        raise _failure(detector, f"has a provenance or parameters that are no JSON ({error})") from error


def _tiles(detector: Detector, trial: _Trial, _: Path) -> None:
    for size in _TILES:
        tiled = _score(trial.pair, trial.scorer, size)
        _require_equal(
            detector,
            tiled,
            trial.whole,
            f"other scores in tiles of {size} pixels",
            remedy=_REMEDY_OF_HALO.format(trial.scorer.halo),
        )


def _order(detector: Detector, trial: _Trial, _: Path) -> None:
    order = np.random.default_rng(0).permutation
    backwards = _score(trial.pair, trial.scorer, 64, order)
    forwards = _score(trial.pair, trial.scorer, 64)
    _require_equal(detector, backwards, forwards, "other scores when tiles come in another order", 0)


def _twice(detector: Detector, trial: _Trial, _: Path) -> None:
    again = _score(trial.pair, trial.scorer, max(trial.pair.grid.shape))
    _require_equal(detector, again, trial.whole, "other scores for the same tile the second time", 0)


def _inputs(detector: Detector, trial: _Trial, _: Path) -> None:
    window = trial.pair.grid.window
    tile = read_tile(trial.pair, TileWindow(0, 0, window, window))
    before, after = tile.before.copy(), tile.after.copy()
    if not trial.scorer.strips:
        trial.scorer.score(tile)
    if not (np.array_equal(tile.before, before) and np.array_equal(tile.after, after)):
        raise _failure(detector, "changes the pixels that it is given; copy them first")


def _fit(detector: Detector, trial: _Trial, _: Path) -> None:
    again = fit_detector(detector, Scan(trial.pair, workers=3))
    whole = _score(trial.pair, again, max(trial.pair.grid.shape))
    _require_equal(detector, whole, trial.whole, "other scores after fitting the same pair again, by threads")


def _pickles(detector: Detector, trial: _Trial, _: Path) -> None:
    try:
        back: Scorer = pickle.loads(pickle.dumps(trial.scorer))  # noqa: S301, of a line above
    except Exception as error:
        raise _failure(detector, f"has a scorer that does not pickle ({error})") from error
    whole = _score(trial.pair, back, max(trial.pair.grid.shape))
    _require_equal(detector, whole, trial.whole, "other scores once its scorer was pickled", 0)


def _nodata(detector: Detector, trial: _Trial, folder: Path) -> None:
    """Check that values of masked pixels affect neither fit nor scores."""
    with _trial(detector, folder / "hidden", under_nodata=250) as other:
        _require_equal(detector, other.whole, trial.whole, "other scores when values under nodata change")


def _state(detector: Detector, trial: _Trial, folder: Path) -> None:
    if trial.scorer.state() is None:
        if detector.trains:
            raise _failure(detector, "trains and gives no state(), so that a resumed job would train again")
        return
    write_fit(folder / "fit", trial.scorer)
    back = read_fit(folder / "fit", detector)
    if back is None or back.provenance() != trial.scorer.provenance():
        raise _failure(detector, "restores another scorer from state() than the one that gave it")
    whole = _score(trial.pair, back, max(trial.pair.grid.shape))
    _require_equal(detector, whole, trial.whole, "other scores once its state was stored and restored", 0)


_CHECKS: Sequence[tuple[str, Callable[[Detector, _Trial, Path], None]]] = (
    ("one probability in [0, 1] for each pixel", lambda *_: None),  # by scoring the pair at all
    ("name, threshold and parameters are in the record", _record),
    ("the same tile gives the same scores again", _twice),
    ("the size of the tiles does not matter", _tiles),
    ("the order of the tiles does not matter", _order),
    ("the pixels it is given are left as they are", _inputs),
    ("the same pair gives the same fit", _fit),
    ("the scorer pickles", _pickles),
    ("values under nodata do not matter", _nodata),
    ("a stored fit is the fit", _state),
)


def _failure(detector: Detector, what: str) -> DetectorError:
    return DetectorError(f"the detector {detector.name} {what}.")


def _require_equal(
    detector: Detector,
    found: Float32Array,
    wanted: Float32Array,
    what: str,
    most: float = _TOLERANCE,
    remedy: str = "",
) -> None:
    apart = np.abs(np.nan_to_num(found) - np.nan_to_num(wanted))
    if np.array_equal(np.isnan(found), np.isnan(wanted)) and apart.max() <= most:
        return
    row, col = (int(i) for i in np.unravel_index(np.argmax(apart), apart.shape))
    raise _failure(
        detector, f"gives {what}: up to {apart.max():.2g} apart, at row {row}, column {col}{remedy}"
    )


def _score(
    pair: Pair,
    scorer: Scorer,
    size: int | tuple[int, int],
    order: Callable[[int], NDArray[np.int64]] | None = None,
) -> Float32Array:
    """Scores of all tiles of a trial of the checked detector, (height, width)."""
    plan = plan_tiles(pair.grid, size, scorer.halo, scorer.stride)
    tiles, whole = list(plan), np.full(pair.grid.shape, np.nan, np.float32)
    for i in order(len(tiles)) if order else range(len(tiles)):
        whole[tiles[i].core.slices_in(pair.grid.window)] = score_core(pair, scorer, tiles[i])
    return whole


@contextmanager
def _closing() -> Iterator[None]:
    try:
        yield
    finally:
        close_handles()  # Windows removes no folder of open files


@contextmanager
def _trial(detector: Detector, folder: Path, *, under_nodata: int = 17) -> Iterator[_Trial]:
    """Trial of a detector on a pair in `folder`, scored in one tile."""
    names = None if detector.bands is None else detector.bands.names
    before, after, valid = _pixels(len(names) if names else _BANDS)
    folder.mkdir()
    dates = {"before": before, "after": after}
    paths = []
    for date, pixels in dates.items():
        pixels = np.where(valid, pixels, np.uint8(under_nodata))
        paths.append(_write(folder / f"{date}.tif", pixels, valid, names))
    pair = open_pair(paths[0], paths[1], wanted=detector.bands)
    scorer = fit_detector(detector, Scan(pair))
    yield _Trial(pair, scorer, _score(pair, scorer, max(pair.grid.shape)))


def _pixels(bands: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    """Trial scenes to check a detector: two textured dates, (bands, height, width), and validity."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(5)
    ground = gaussian_filter(rng.normal(size=(bands, _HEIGHT, _WIDTH)), (0, 1.5, 1.5))
    ground = 110 + 30 * ground / ground.std()
    moved = ground * 1.05 + rng.normal(scale=2, size=ground.shape)
    moved[:, 40:80, 50:110] += 70
    moved[: bands // 2 + 1, 120:150, 130:190] -= 60
    valid = rng.random((_HEIGHT, _WIDTH)) > 0.02
    valid[:9, :] = False
    before, after = (np.clip(date, 1, 250).astype(np.uint8) for date in (ground, moved))
    return before, after, valid


def _write(
    path: Path, pixels: NDArray[np.uint8], valid: NDArray[np.bool_], names: Sequence[str] | None
) -> str:
    bands, height, width = pixels.shape
    profile = {"driver": "GTiff", "dtype": "uint8", "count": bands, "height": height, "width": width}
    transform = Affine(10, 0, 500_000, 0, -10, 5_300_000)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **profile, crs="EPSG:32632", transform=transform) as file,
    ):
        if names:
            file.descriptions = names
        file.write(pixels)
        file.write_mask(np.where(valid, 255, 0).astype(np.uint8))
    return str(path)
