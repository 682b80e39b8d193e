"""Warnings about implausible pairs and results: order of the dates, one file twice, too much change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rsdetect.regions.areas import metres_per_unit
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.radar import is_radar_by
from rsdetect.scenes.scene import Scene

_MUCH = 1 / 3  # share of the compared ground
_COARSE_M = 20.0  # edge of a pixel from which the figures of the shipped models do not hold


def pair_warnings(pair: Pair) -> Iterator[str]:
    """Warnings about a pair, before anything is scored."""
    before, after = pair.before, pair.after
    if pair.before_date and pair.after_date and pair.after_date < pair.before_date:
        yield (
            f"{after.path} is of {pair.after_date} and older than {before.path} of {pair.before_date}: what "
            "appeared is shown as what vanished; swap the scenes, or correct the dates with `dates`."
        )
    if is_one_file(before, after) and before.bands == after.bands and before.version == after.version:
        yield f"{before.path} is both scenes, so that nothing can have changed."


def is_one_file(before: Scene, after: Scene) -> bool:
    """True if both scenes of an implausible pair are one file, by whatever path."""
    if before.path == after.path:
        return True
    try:
        return Path(before.path).samefile(after.path)
    except (OSError, ValueError):  # no local files
        return False


def model_warnings(pair: Pair, detector: Mapping[str, Any]) -> Iterator[str]:
    """Warnings about a model on data unlike those that its figures were measured on.

    Parameters
    ----------
    detector
        Provenance of the scorer, as in the record.
    """
    if "model" not in detector:
        return
    radar = [scene.path for scene in (pair.before, pair.after) if is_radar_by(pair.bands, scene.path)]
    if radar:
        yield (
            f"{' and '.join(dict.fromkeys(radar))} {'are' if len(set(radar)) > 1 else 'is'} radar, on which "
            f"{detector['model']} was not measured; `detector='log-ratio'` compares radar echoes."
        )
    if len(set(pair.before.bands)) < len(pair.before.bands):
        yield (
            f"{pair.before.path} gives one band several times to {detector['model']}, which was not measured "
            "on that; `detector='sfa'` takes any number of bands."
        )
    grid = pair.grid
    if grid.crs is None:
        return
    east, north = metres_per_unit(grid.crs, *(grid.transform @ (grid.width / 2, grid.height / 2)))
    pixel_m = (grid.pixel_area * east * north) ** 0.5
    if pixel_m > _COARSE_M:
        yield (
            f"pixels of {pixel_m:.3g} m are coarser than those of the pairs on which {detector['model']} was "
            "measured (`rsdetect info` shows its card)."
        )


def result_warnings(counts: Mapping[str, Any]) -> Iterator[str]:
    """Warnings about the counts of a finished job."""
    changed, observed = counts["changed_pixels"], counts["observed_pixels"]
    if observed and changed > _MUCH * observed:
        yield (
            f"{changed / observed:.0%} of the compared ground is marked as changed, which is rarely true: "
            "check masks and nodata, the shift between the scenes, and whether both show one season."
        )
