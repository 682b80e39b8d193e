"""Check report of a pair: overlap, valid pixels, statistics and shift, before any work starts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np

from rsdetect.checks.described import GridDescription, SceneDescription, describe_grid, describe_scene
from rsdetect.checks.levels import level_warnings
from rsdetect.checks.mask_warnings import mask_warnings
from rsdetect.checks.plausibility import is_one_file, pair_warnings
from rsdetect.checks.register import measure_any_shift
from rsdetect.checks.registration import Shift
from rsdetect.checks.scan import Scan
from rsdetect.doubts import Doubt
from rsdetect.errors import NothingToCompare
from rsdetect.scenes.pair import Pair
from rsdetect.stats import Moments
from rsdetect.tiles import Tile

WARN_SHIFT_PX = 1.0  # shorter shifts cost little accuracy (docs/notes/register.md)


@dataclass(frozen=True)
class BandStatistics:
    """Statistics of one band on one date, over the pixels valid on both, in raw pixel values."""

    scene: str  # "before" or "after"
    band: str
    minimum: float
    maximum: float
    mean: float
    std: float


@dataclass(frozen=True)
class CheckReport:
    """Check report, as printed by `rsdetect check`."""

    before: SceneDescription
    after: SceneDescription
    overlap: GridDescription  # common grid
    valid_share: float  # share of the sampled pixels that are valid on both dates
    before_valid_share: float  # share of the sampled pixels that are valid on the before date
    after_valid_share: float
    statistics_cover: float  # share of the overlap that was sampled
    bands: tuple[BandStatistics, ...]
    shift: Shift | None  # None = no tile had enough texture
    warnings: tuple[str, ...]
    doubts: tuple[Doubt, ...] = ()  # about place, validity or units, that the user accepted

    def as_json(self) -> dict[str, object]:
        """Check report in JSON types."""
        content = asdict(self)
        if self.shift is not None:
            content["shift"] |= {"distance_px": self.shift.distance_px, "reliable": self.shift.is_reliable}
        content["doubts"] = sorted({doubt.name for doubt in self.doubts})
        plain: dict[str, object] = json.loads(json.dumps(content))
        return plain


@dataclass(frozen=True)
class _BlockCounts:
    """Counts and moments of one block for the check report."""

    seen: int
    valid: int
    before_valid: int
    after_valid: int
    before: Moments
    after: Moments

    def merge(self, other: _BlockCounts) -> _BlockCounts:
        return _BlockCounts(
            self.seen + other.seen,
            self.valid + other.valid,
            self.before_valid + other.before_valid,
            self.after_valid + other.after_valid,
            self.before.merge(other.before),
            self.after.merge(other.after),
        )


def check_pair(pair: Pair, workers: int = 1, scan: Scan | None = None) -> CheckReport:
    """Check the pixels of a pair to a report, of a large one in evenly spread blocks.

    Parameters
    ----------
    scan
        Scan of the pair, if it is also used elsewhere, so that pixels are not read twice.

    Raises
    ------
    NothingToCompare
        No pixel is valid on both dates.
    """
    scan = scan or Scan(pair, workers)
    look = scan.reduce(_count_block, _BlockCounts.merge)
    if look.valid == 0 and not scan.is_complete:
        look = Scan(pair, workers, whole=True).reduce(_count_block, _BlockCounts.merge)
    if look.valid == 0:
        raise NothingToCompare(
            f"no pixel is valid on both dates: {look.before_valid} of {look.seen} pixels are in "
            f"{pair.before.path} and {look.after_valid} in {pair.after.path}, none in both; "
            f"{_remedy(pair, look)}."
        )
    shift = measure_any_shift(pair, workers)
    return CheckReport(
        before=describe_scene(pair.before, pair.before_date),
        after=describe_scene(pair.after, pair.after_date),
        overlap=describe_grid(pair.grid),
        valid_share=look.valid / look.seen,
        before_valid_share=look.before_valid / look.seen,
        after_valid_share=look.after_valid / look.seen,
        statistics_cover=look.seen / (pair.grid.height * pair.grid.width),
        bands=tuple(_band_rows(pair, look)),
        shift=shift,
        warnings=(
            *(f"{doubt.text}; accepted by `accept={doubt.name!r}`." for doubt in pair.doubts),
            *pair.notes,
            *pair_warnings(pair),
            *_copy_warnings(pair, look),
            *mask_warnings(pair),
            *_shift_warnings(pair, shift),
            *level_warnings(pair, scan.sample_pixels()),
        ),
        doubts=pair.doubts,
    )


def _remedy(pair: Pair, look: _BlockCounts) -> str:
    """Clause on what to check where no pixel is valid on both dates."""
    scenes = ((pair.before, look.before_valid), (pair.after, look.after_valid))
    empty = [scene for scene, valid in scenes if not valid] or [pair.before, pair.after]
    masks = dict.fromkeys(scene.mask.path for scene in empty if scene.mask is not None)
    checked = [f"the mask {path} (`mask_kind`)" for path in masks]
    return f"check {', '.join(checked)}{' and ' if checked else ''}the nodata values (`nodata`)"


def _count_block(tile: Tile) -> _BlockCounts:
    valid = tile.valid
    if valid.all():
        before, after = (scene.reshape(len(scene), -1) for scene in (tile.before, tile.after))
    else:
        before, after = (scene[:, valid] for scene in (tile.before, tile.after))
    return _BlockCounts(
        valid.size,
        int(valid.sum()),
        int(tile.before_valid.sum()),
        int(tile.after_valid.sum()),
        Moments.of(before),
        Moments.of(after),
    )


def _band_rows(pair: Pair, look: _BlockCounts) -> list[BandStatistics]:
    return [
        BandStatistics(
            scene,
            band,
            float(moments.minimum[i]),
            float(moments.maximum[i]),
            float(moments.mean[i]),
            float(moments.std[i]),
        )
        for scene, moments in (("before", look.before), ("after", look.after))
        for i, band in enumerate(pair.bands)
    ]


def _copy_warnings(pair: Pair, look: _BlockCounts) -> tuple[str, ...]:
    """Check warning for a scene that is a copy of the other, by its values."""
    before, after = ((each.minimum, each.maximum, each.mean, each.std) for each in (look.before, look.after))
    if is_one_file(pair.before, pair.after) or not all(map(np.array_equal, before, after)):
        return ()
    return (
        f"{pair.before.path} and {pair.after.path} hold equal values: one seems to be a copy of the other.",
    )


def _shift_warnings(pair: Pair, shift: Shift | None) -> tuple[str, ...]:
    """Warning of a shift that costs accuracy.

    Tiles that disagree, as those of fine scenes with relief or much change do, are no sign of one.
    """
    if shift is None or not shift.is_reliable or shift.distance_px <= WARN_SHIFT_PX:
        return ()
    metres = f" ({shift.distance_m:.3g} m)" if shift.distance_m is not None else ""
    advice = "add `register=True` to undo it"
    if pair.after.displacement is not None:
        advice = "`register` did not undo all of it"
    return (
        f"{pair.after.path} lies {shift.distance_px:.2f} pixels{metres} away from {pair.before.path}: "
        f"{shift.cols_px:+.2f} columns, {shift.rows_px:+.2f} rows, as {shift.agreement:.0%} of {shift.tiles} "
        f"tiles agree; expect false change along edges: {advice}.",
    )
