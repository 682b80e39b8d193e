"""Comparisons (steps) of scenes with baselines, run by `rsdetect detect` into a folder per comparison.

A step's key covers what was requested: the pixels of both scenes, the area, bands, detector and thresholds.
The journal stores the scoring identity beside it. A step with another identity (other weights, another
version of rsdetect) is repeated under the same key, unless its scenes are gone: then it stays.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyogrio.raw
import shapely

from rsdetect.detectors import named
from rsdetect.detectors.identity import ScoringIdentity
from rsdetect.detectors.settings import as_settings
from rsdetect.errors import ReadError, RsdetectError
from rsdetect.files import hash_json
from rsdetect.geopackage.changes import CHANGES
from rsdetect.ingestion.ingested_scene import IngestedScene
from rsdetect.ingestion.site import Site
from rsdetect.ingestion.tries import MOST_TRIES, counts_as_try, given_up
from rsdetect.jobs.detect import run_detect
from rsdetect.jobs.options import DetectOptions, PolygonOptions, RunOptions, ScoreOptions
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.record import read_record
from rsdetect.monitoring.baseline import Baseline, Baselines
from rsdetect.monitoring.job import Job
from rsdetect.monitoring.journal import Journal
from rsdetect.scenes.pair import PairOptions

_OUTLINES = ("opening", "fill_holes", "min_width", "merge_gap")  # options of polygons beside `min_area`


@dataclass(frozen=True)
class Region:
    """Changed region found by a comparison."""

    geometry: Any  # shapely Polygon, or MultiPolygon if merged, in the job's CRS
    area_m2: float | None  # None without a CRS
    probability: float  # mean, 0 to 1
    kind: str | None = None  # kind of change; None = not recorded


@dataclass(frozen=True)
class Step:
    """Step: the comparison of one date's scene with its baseline."""

    scene: IngestedScene
    baseline: Baseline | None  # None = clouded, or no baseline yet
    key: str
    raster: Path | None  # its change_probability.tif, if it still exists
    regions: tuple[Region, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()  # on the result, without those of the check


class Comparer:
    """Comparisons of scenes with baselines by the job's detector, each pair once."""

    def __init__(
        self,
        journal: Journal,
        job: Job,
        site: Site,
        baselines: Baselines,
        folder: Path,
        scoring: ScoringIdentity,
    ) -> None:
        self._journal = journal
        self._baselines = baselines
        self._job = job
        self._site = site
        self._folder = folder
        self.scoring = scoring  # identity of all comparisons of this run
        self._known = journal.steps()

    def options(self, baseline: Baseline, scene: IngestedScene) -> DetectOptions:
        """Options of `rsdetect detect` for the comparison of a pair."""
        scenes, detector = self._job.scenes, self._job.detector
        masked = baseline.mask is not None or scene.mask is not None
        return DetectOptions(
            pair=PairOptions(
                bands=scenes.bands,
                masks=(baseline.mask or "", scene.mask or "") if masked else (),
                mask_values=scenes.mask_values if masked else (),
                mask_bits=scenes.mask_bits if masked else (),
                mask_kind=(scenes.mask_kind,) if masked else (),
                nodata=(scenes.nodata,),
                aoi=self._site.aoi_given,
                register=scenes.registered,
                normalise=scenes.normalise,
                accept=scenes.accept,
                dates=(baseline.day, scene.taken.date().isoformat()),
            ),
            score=ScoreOptions(
                detector=detector.name,
                model=detector.model,
                detector_options=as_settings(detector.detector_options),
                tile_size=detector.tile_size,
                device=detector.device,
                workers=detector.workers,
                scheduler=detector.scheduler,
                backend=detector.backend,
                memory=detector.memory,
            ),
            polygons=PolygonOptions(
                threshold=detector.threshold,
                **{name: getattr(detector, name) for name in ("min_area", *_OUTLINES)},
            ),
            run=RunOptions(overwrite=True, quiet=True, qgis_project=False, report=False),
        )

    def key(self, baseline: Baseline, scene: IngestedScene) -> str:
        """Key of a comparison: 16 hex digits that change with all inputs of the result, except `scoring`."""
        how = self._job.detector.model_dump(include={"name", "model", "threshold", "min_area"})
        # The others are in the key only where they are asked for: older journals do not know them.
        how |= {name: asked for name in _OUTLINES if (asked := getattr(self._job.detector, name))}
        how["name"] = named(how["name"], how["model"])
        if self._job.detector.backend != "auto":  # auto chooses among backends that hardly differ
            how["backend"] = self._job.detector.backend
        scenes = self._job.scenes  # only if they differ, so that keys of earlier versions stay
        prepared = {"register": scenes.registered, "normalise": scenes.normalise}
        how |= {name: value for name, value in prepared.items() if value not in (False, "percentile")}
        key_parts = [baseline.key, scene.fingerprint, how, self._job.scenes.bands, self._site.aoi_hash]
        return hash_json(key_parts)

    def is_done(self, baseline: Baseline, scene: IngestedScene) -> bool:
        """True if the comparison need not be repeated."""
        row = self._known.get(self.key(baseline, scene))
        return row is not None and row.state == "done" and self.is_current(row.content, baseline, scene)

    def is_current(self, content: dict[str, Any], baseline: Baseline, scene: IngestedScene) -> bool:
        """True if the journal's content for a comparison is still valid.

        It is if the same identity scored it, or if it cannot be repeated.
        """
        return content.get("scoring") == self.scoring.key or not can_be_compared(baseline, scene)

    def why_given_up(self, baseline: Baseline, scene: IngestedScene) -> str | None:
        """Reason why a comparison is not tried any more; None = it is."""
        row = self._known.get(self.key(baseline, scene))
        return given_up(row.reason) if row is not None and row.attempts >= MOST_TRIES else None

    def level(self, key: str) -> int | None:
        """Threshold of a finished comparison in percent; None = it was not made."""
        row = self._known.get(key)
        return None if row is None or row.state != "done" else int(row.content["level"])

    def compare(self, baseline: Baseline, scene: IngestedScene) -> Step:
        """Make the comparison of a scene with a baseline; the step comes from the journal where it is done.

        Raises
        ------
        RsdetectError
            The pair cannot be compared; the reason is stored in the journal.
        """
        if not self.is_done(baseline, scene):
            baseline = self._baselines.restored(baseline)
        key = self.key(baseline, scene)
        if not self.is_done(baseline, scene):
            self._journal.begin_step(key, scene.id, scene.taken, baseline.name)
            try:
                self._detect(key, baseline, scene)
            except RsdetectError as error:
                self._remove_damaged(error, baseline, scene)
                known = self._known.get(key)
                last_day = None if known is None or known.ended is None else known.ended[:10]
                self._journal.fail_step(key, str(error), is_try=counts_as_try(error, last_day))
                raise
            finally:
                self._known |= self._journal.steps(key)
        return self._step(key, baseline, scene)

    def _detect(self, key: str, baseline: Baseline, scene: IngestedScene) -> None:
        """Run `detect` for a comparison and record the step as done."""
        out = self.folder(key, scene)
        record: Mapping[str, Any] | None = self._finished_record(out)
        if record is None:
            record = run_detect(baseline.path, scene.path, out, self.options(baseline, scene)).record
        regions = _read_step_regions(out / Outputs.POLYGONS)
        content = {
            "folder": out.name,
            "scoring": self._scoring_identity(record).key,
            "level": record["level_percent"],
            "baseline": {"day": baseline.day, "path": baseline.path, "mask": baseline.mask},
            "counts": record["counts"],
            "warnings": record["check"]["warnings"],
            "implausible": [
                each for each in record.get("warnings", ()) if each not in record["check"]["warnings"]
            ],
            "kinds": _numbers_by_kind([region.kind for region in regions]),
        }
        rows = [(shapely.to_wkb(each.geometry), each.area_m2, each.probability) for each in regions]
        self._journal.end_step(key, content, rows)

    def _remove_damaged(self, error: RsdetectError, baseline: Baseline, scene: IngestedScene) -> None:
        """Remove a damaged copy or baseline of a comparison, so that the next run makes it again."""
        if not isinstance(error, ReadError):
            return
        made = {baseline.path} if baseline.is_composite else set()
        if scene.is_copy:
            made.add(scene.path)
        for path in made:
            if path in str(error):
                Path(path).unlink(missing_ok=True)

    def _finished_record(self, out: Path) -> dict[str, Any] | None:
        """Record of a comparison whose run was killed between its last file and the journal entry."""
        Outputs.settle(out)
        try:
            record = read_record(out / Outputs.RECORD)
            return record if self._scoring_identity(record) == self.scoring else None
        except (OSError, ValueError, KeyError):
            return None

    def _scoring_identity(self, record: Mapping[str, Any]) -> ScoringIdentity:
        """Scoring identity of a comparison's record."""
        return ScoringIdentity.of_record(record, self._job.detector.backend)

    def _step(self, key: str, baseline: Baseline, scene: IngestedScene) -> Step:
        """Step of a finished comparison, with its regions from the journal."""
        content = self._known[key].content
        kinds = {number: kind for kind, numbers in content.get("kinds", {}).items() for number in numbers}
        regions = tuple(
            Region(shapely.from_wkb(geometry), area, probability, kinds.get(number))
            for number, (geometry, area, probability) in enumerate(self._journal.regions(key))
        )
        raster = self.folder(key, scene) / Outputs.RASTER
        warnings = tuple(content.get("implausible", ()))
        return Step(scene, baseline, key, raster if raster.exists() else None, regions, warnings)

    def folder(self, key: str, scene: IngestedScene) -> Path:
        """Output folder of a comparison."""
        slug = re.sub("[^A-Za-z0-9._-]+", "-", scene.id)[:60]
        return self._folder / f"{scene.taken.date().isoformat()}_{slug}_{key[:8]}"


def can_be_compared(baseline: Baseline, scene: IngestedScene) -> bool:
    """False if files that a comparison needs were removed."""
    return scene.is_on_disk and baseline.is_reproducible


def _read_step_regions(path: Path) -> list[Region]:
    """Read a comparison's regions from its GeoPackage."""
    columns = ["area_m2", "probability_mean", "kind"]
    meta, _, geometry, fields = pyogrio.raw.read(path, layer=CHANGES, columns=columns)
    by_name = dict(zip(meta["fields"].tolist(), fields, strict=True))
    rows = zip(shapely.from_wkb(geometry), *(by_name[name].tolist() for name in columns), strict=True)
    # NaN, the area without a CRS, is not equal to itself; SQLite stores NULL.
    return [Region(area, size if size == size else None, share, kind) for area, size, share, kind in rows]


def _numbers_by_kind(kinds: Sequence[str | None]) -> dict[str, list[int]]:
    """Numbers of a comparison's regions of each kind, as the journal stores them."""
    found: dict[str, list[int]] = defaultdict(list)
    for number, kind in enumerate(kinds):
        if kind is not None:
            found[kind].append(number)
    return dict(found)
