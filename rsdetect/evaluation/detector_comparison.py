"""Comparison of detectors on one pair: all score a tile after another while it is in memory."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Unpack

import numpy as np
import rasterio
from numpy.typing import NDArray

from rsdetect.checks.report import check_pair
from rsdetect.detectors import Detector
from rsdetect.devices import usable_cores, worker_limits
from rsdetect.evaluation.detector_contest import Contest, Contestant
from rsdetect.evaluation.detector_cost import Clock, measured_rise
from rsdetect.evaluation.detector_options import CompareKeywords, CompareOptions
from rsdetect.evaluation.detector_page import ScenePictures, render_comparison
from rsdetect.evaluation.detector_results import (
    DetectorAgreement,
    DetectorComparison,
    DetectorResult,
)
from rsdetect.evaluation.detector_tally import DetectorTally, Percent, Tallies
from rsdetect.evaluation.output_files import (
    COMPARISON,
    COMPARISON_PAGE,
    claim_comparison,
    write_comparison,
)
from rsdetect.grid import Window
from rsdetect.jobs.inputs import refuse_inputs
from rsdetect.labelled.pairs import read_truth
from rsdetect.memory import GDAL_CACHE_BYTES
from rsdetect.percent import level_of, to_percent
from rsdetect.progress import Progress, show_progress
from rsdetect.scenes.pair import Pair, read_tile
from rsdetect.scenes.scene import Scene, sharing_blocks
from rsdetect.scenes.source import SceneLike
from rsdetect.scoring.core import score_core
from rsdetect.scoring.planning import planned_windows
from rsdetect.tiles import Tile, TilePlan, TileWindow, plan_tiles

_log = logging.getLogger(__name__)
_EDGE = 512  # pixels of a core, rounded up to the strides of all detectors
_SHARED_BYTES = 256 * 2**20  # cache of decoded blocks


def compare(
    before: SceneLike,
    after: SceneLike,
    *,
    detectors: Sequence[str | Detector] | str | Detector,
    out: str | Path | None = None,
    overwrite: bool = False,
    **options: Unpack[CompareKeywords],
) -> DetectorComparison:
    """Compare detectors on one pair of scenes: scores with truth, agreement, seconds and memory.

    Every block of the scenes is decoded once for all detectors that use the same bands. Scores, and what is
    marked, are those of `detect` with each detector at its own threshold.

    Parameters
    ----------
    before, after
        As of `detect`.
    detectors
        Names, files as FILE.py:Class, or objects; a text with commas names several.
    out
        Folder for `comparison.html`, with pictures, and `comparison.json`; None = nothing is written.
    overwrite
        Replace an existing comparison.
    **options
        `truth`: a label of the changes, raster or polygons. `device` and `backend`, and the options of
        `detect` on scenes.

    Raises
    ------
    InputError
        Scenes or options are wrong, or no detector can take part; nothing was written. A single detector that
        fails is in `failed` of the result.
    ReadError
        A scene is damaged.
    JobInterrupted
        A remote scene became unavailable, or the results could not be written.
    """
    chosen = CompareOptions.from_keywords(detectors, **options)
    return run_compare(before, after, Path(out) if out else None, chosen, overwrite=overwrite)


def run_compare(
    before: SceneLike,
    after: SceneLike,
    out: Path | None,
    options: CompareOptions,
    *,
    overwrite: bool = False,
    quiet: bool = True,
    stop_at_defects: bool = False,
) -> DetectorComparison:
    """Run a comparison of detectors with its options as one object."""
    contest = Contest(options, stop_at_defects=stop_at_defects)
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        contest.open(before, after)
        pair = next(each.pair for _, each in contest)
        if out is not None:
            refuse_inputs(out, (*pair.local_files, *_files(options)), (COMPARISON, COMPARISON_PAGE))
        truth = None if options.truth is None else read_truth(options.truth, pair)
        warnings = check_pair(pair, usable_cores()).warnings
        for warning in warnings:
            _log.warning(warning)
        with claim_comparison(out, overwrite=overwrite) if out is not None else nullcontext() as work:
            for number, each in contest:
                contest.attempt(number, partial(each.fit, options.pair.normalise))
            contest.require_some()
            run = _Run(contest, pair, truth)
            pixels = pair.grid.height * pair.grid.width
            with show_progress("comparing", pixels, quiet=quiet) as progress:
                run.score(progress)
            contest.require_some()
            found = run.result(options, warnings)
            pair.require_unchanged()
            if out is not None and work is not None:
                page = render_comparison(found, run.pictures, run.drawn())
                write_comparison(found.as_json(), page, work, out)
    return found


def _files(options: CompareOptions) -> list[str]:
    """Files beside the scenes and masks that a comparison reads."""
    found = [options.pair.aoi, None if options.truth is None else str(options.truth)]
    return [each for each in found if isinstance(each, str)]


@dataclass(frozen=True)
class _ScoredTile:
    """Tile of a comparison that all detectors have scored."""

    pixels: Tile  # without a halo
    percents: dict[int, Percent]
    seconds: dict[int, float]
    reading_s: float


class _Run:
    """Run of a comparison over the tiles of a pair, once all detectors are fitted."""

    def __init__(self, contest: Contest, pair: Pair, truth: NDArray[np.uint8] | None) -> None:
        self._contest, self._pair, self._truth = contest, pair, truth
        scorers = {number: each.scorer for number, each in contest if each.scorer is not None}
        levels = {number: level_of(scorer.threshold) for number, scorer in scorers.items()}
        stride = math.lcm(*(scorer.stride for scorer in scorers.values()))
        edge = -(-min(_EDGE, max(pair.grid.shape)) // stride) * stride
        self._plans: dict[int, TilePlan] = {number: each.plan(edge) for number, each in contest}
        self._cores = plan_tiles(pair.grid, edge, 0, stride)
        self._reading: dict[str, int | float] = {"blocks": 0, "decoded_again": 0, "seconds": 0.0}
        self.tallies = Tallies(pair.grid, levels)
        self.pictures = ScenePictures(pair, truth)

    def score(self, progress: Progress) -> None:
        """Score all tiles: the first alone, to measure memory, the others side by side."""
        tiles = [tile for tile in self._cores if self._pair.intersects_aoi(tile.core)]
        if not tiles:
            return
        workers = min(usable_cores(), max(1, len(tiles) - 1))
        reading_s = 0.0
        with sharing_blocks(self._windows(tiles), _SHARED_BYTES) as shared:
            for tile, share in self._scored(tiles, workers):
                for number, spent in tile.seconds.items():
                    each = self._contest.taking_part.get(number)  # another thread may take it out
                    if each is not None:
                        each.cost.score_s += spent * share
                reading_s += tile.reading_s * share
                self._count(tile)
                progress.advance(tile.pixels.valid.size)
        self._reading = {
            "blocks": sum(len(blocks.decoded) for blocks in shared),
            "decoded_again": sum(blocks.decoded_again for blocks in shared),
            "seconds": round(reading_s, 3),
        }

    def drawn(self) -> list[DetectorTally]:
        """Tallies of the detectors in the result, in their order."""
        return [self.tallies.each[number] for number, _ in self._contest]

    def result(self, options: CompareOptions, warnings: Sequence[str]) -> DetectorComparison:
        """The comparison, once all tiles are scored."""
        there = dict(self._contest)
        names = options.names
        return DetectorComparison(
            before=self._pair.before.path,
            after=self._pair.after.path,
            truth=None if options.truth is None else str(options.truth),
            pixels=self._pair.grid.height * self._pair.grid.width,
            detectors=tuple(
                DetectorResult.of(
                    names[number], self.tallies.each[number], each, truth=self._truth is not None
                )
                for number, each in there.items()
            ),
            failed=tuple(failure for _, failure in sorted(self._contest.failed.items())),
            agreement=tuple(
                DetectorAgreement.of(names[one], names[other], found)
                for (one, other), found in self.tallies.agreement.items()
                if one in there and other in there
            ),
            reading=self._reading,
            warnings=tuple(warnings),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _windows(self, tiles: Sequence[TileWindow]) -> dict[Scene, list[Window]]:
        """Windows that the run reads of each scene: cores for the pictures, and tiles of each detector."""
        cores = [tile.core for tile in tiles]
        windows: dict[Scene, list[Window]] = {self._pair.before: list(cores)}
        windows.setdefault(self._pair.after, []).extend(cores)
        for number, each in self._contest:
            assert each.scorer is not None
            own = [self._plans[number].tile(tile.row, tile.col) for tile in tiles]
            for scene, more in planned_windows(each.pair, each.scorer, own).items():
                windows.setdefault(scene, []).extend(more)
        return windows

    def _scored(self, tiles: Sequence[TileWindow], workers: int) -> Iterator[tuple[_ScoredTile, float]]:
        """Scored tiles in order, each with the share of its seconds that counts as wall time."""
        yield self._score_tile(tiles[0], threads=usable_cores(), measured=True), 1.0
        threads = max(1, usable_cores() // workers)
        ahead: deque[Future[_ScoredTile]] = deque()
        with ThreadPoolExecutor(workers, thread_name_prefix="tile") as pool:
            for tile in tiles[1:]:
                ahead.append(pool.submit(self._score_tile, tile, threads=threads))
                if len(ahead) >= 2 * workers:
                    yield ahead.popleft().result(), 1 / workers
            while ahead:
                yield ahead.popleft().result(), 1 / workers

    def _score_tile(self, tile: TileWindow, *, threads: int, measured: bool = False) -> _ScoredTile:
        """Score a tile by all detectors that still take part."""
        clock = Clock()
        pixels = read_tile(self._pair, TileWindow(tile.row, tile.col, tile.core, tile.core))
        reading_s = clock.lap()
        percents: dict[int, Percent] = {}
        seconds: dict[int, float] = {}

        def score(number: int, each: Contestant) -> None:
            assert each.scorer is not None
            own = self._plans[number].tile(tile.row, tile.col)
            with measured_rise() if measured else nullcontext() as rise, worker_limits(threads):
                clock.lap()
                percents[number] = to_percent(score_core(each.pair, each.scorer, own))
                seconds[number] = clock.lap()
            if rise is not None:
                each.cost.tile_bytes = rise.highest

        for number, each in self._contest:
            self._contest.attempt(number, partial(score, number, each))
        return _ScoredTile(pixels, percents, seconds, reading_s)

    def _count(self, tile: _ScoredTile) -> None:
        """Add a scored tile to tallies and pictures."""
        core = tile.pixels.core
        truth = None if self._truth is None else self._truth[core.slices_in(self._pair.grid.window)]
        self.tallies.add(core, tile.percents, truth)
        self.pictures.add(tile.pixels, truth)
