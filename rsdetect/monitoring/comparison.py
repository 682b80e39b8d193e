"""One step: a scene compared with its baseline, by `rsdetect detect` itself, into a folder of its own.

A step has the key of what was asked for: the pixels of both, the area, bands, detector and thresholds. Beside
it the journal keeps the identity by which it was scored. A step of another identity (other weights, another
version of rsdetect) is made again in its place, unless its scenes are gone from the disk: then it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyogrio.raw
import shapely

from rsdetect.detectors import named
from rsdetect.detectors.identity import ScoringIdentity
from rsdetect.errors import RsdetectError
from rsdetect.files import hash_json
from rsdetect.geopackage.changes import CHANGES
from rsdetect.jobs.detect import run_detect
from rsdetect.jobs.options import DetectOptions, PolygonOptions, RunOptions, ScoreOptions
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.record import read_record
from rsdetect.monitoring.baseline import Baseline, Baselines
from rsdetect.monitoring.intake import TakenScene
from rsdetect.monitoring.job import Job
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.site import Site
from rsdetect.scenes.pair import PairOptions


@dataclass(frozen=True)
class Region:
    """One changed region of a step."""

    geometry: Any  # shapely Polygon in the job's CRS
    area_m2: float | None  # None without a CRS
    probability: float  # mean, 0 to 1


@dataclass(frozen=True)
class Step:
    """What one date showed."""

    scene: TakenScene
    baseline: Baseline | None  # None = clouded, or nothing to compare with yet
    key: str
    raster: Path | None  # its change_probability.tif, where that is still there
    regions: tuple[Region, ...] = field(repr=False)


class Comparer:
    """Compares scenes with baselines by the job's detector, each pair once."""

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
        self.scoring = scoring  # of all that is compared now
        self._known = journal.steps()

    def options(self, baseline: Baseline, scene: TakenScene) -> DetectOptions:
        """The options of `rsdetect detect` for a pair."""
        scenes, detector = self._job.scenes, self._job.detector
        masked = baseline.mask is not None or scene.mask is not None
        return DetectOptions(
            pair=PairOptions(
                bands=scenes.bands,
                masks=(baseline.mask or "", scene.mask or "") if masked else (),
                mask_values=scenes.mask_values if masked else (),
                mask_bits=scenes.mask_bits if masked else (),
                nodata=(scenes.nodata,),
                aoi=self._site.aoi_path,
                accept=scenes.accept,
                dates=(baseline.day, scene.taken.date().isoformat()),
            ),
            score=ScoreOptions(
                detector=detector.name,
                model=detector.model,
                tile_size=detector.tile_size,
                device=detector.device,
                workers=detector.workers,
                scheduler=detector.scheduler,
                backend=detector.backend,
                memory=detector.memory,
            ),
            polygons=PolygonOptions(threshold=detector.threshold, min_area=detector.min_area),
            run=RunOptions(overwrite=True, quiet=True),
        )

    def key(self, baseline: Baseline, scene: TakenScene) -> str:
        """16 hexadecimal digits that change with all that decides the result, but for `scoring`."""
        how = self._job.detector.model_dump(include={"name", "model", "threshold", "min_area"})
        how["name"] = named(how["name"], how["model"])
        if self._job.detector.backend != "auto":  # which takes whatever hardly differs
            how["backend"] = self._job.detector.backend
        told = [baseline.key, scene.fingerprint, how, self._job.scenes.bands, self._site.aoi_hash]
        return hash_json(told)

    def is_done(self, baseline: Baseline, scene: TakenScene) -> bool:
        """True when the comparison need not be made again."""
        row = self._known.get(self.key(baseline, scene))
        return row is not None and row.state == "done" and self.holds(row.content, baseline, scene)

    def holds(self, content: dict[str, Any], baseline: Baseline, scene: TakenScene) -> bool:
        """Whether what the journal keeps of a pair still counts.

        It does when the same identity scored it, and where it cannot be made again.
        """
        return content.get("scoring") == self.scoring.key or not can_be_compared(baseline, scene)

    def level(self, key: str) -> int | None:
        """The threshold of a finished comparison in percent; None = it was not made."""
        row = self._known.get(key)
        return None if row is None or row.state != "done" else int(row.content["level"])

    def compare(self, baseline: Baseline, scene: TakenScene) -> Step:
        """The step of a pair, from the journal where it is done.

        Raises
        ------
        RsdetectError
            The pair cannot be compared; the journal says why.
        """
        if not self.is_done(baseline, scene):
            baseline = self._baselines.ready(baseline)
        key = self.key(baseline, scene)
        if not self.is_done(baseline, scene):
            self._journal.begin_step(key, scene.id, scene.taken, baseline.name)
            try:
                self._detect(key, baseline, scene)
            except RsdetectError as error:
                self._journal.fail_step(key, str(error))
                raise
            finally:
                self._known |= self._journal.steps(key)
        return self._step(key, baseline, scene)

    def _detect(self, key: str, baseline: Baseline, scene: TakenScene) -> None:
        out = self.folder(key, scene)
        record: Mapping[str, Any] | None = self._whole_record(out)
        if record is None:
            record = run_detect(baseline.path, scene.path, out, self.options(baseline, scene)).record
        content = {
            "folder": out.name,
            "scoring": self._identity_of(record).key,
            "level": record["level_percent"],
            "baseline": {"day": baseline.day, "path": baseline.path, "mask": baseline.mask},
            "counts": record["counts"],
            "warnings": record["check"]["warnings"],
        }
        self._journal.end_step(key, content, _read_regions(out / Outputs.POLYGONS))

    def _whole_record(self, out: Path) -> dict[str, Any] | None:
        """Of a run that was killed after its results were whole and before the journal said so."""
        try:
            record = read_record(out / Outputs.RECORD)
            return record if self._identity_of(record) == self.scoring else None
        except (OSError, ValueError, KeyError):
            return None

    def _identity_of(self, record: Mapping[str, Any]) -> ScoringIdentity:
        return ScoringIdentity.of_record(record, self._job.detector.backend)

    def _step(self, key: str, baseline: Baseline, scene: TakenScene) -> Step:
        regions = tuple(
            Region(shapely.from_wkb(geometry), area, probability)
            for geometry, area, probability in self._journal.regions(key)
        )
        raster = self.folder(key, scene) / Outputs.RASTER
        return Step(scene, baseline, key, raster if raster.exists() else None, regions)

    def folder(self, key: str, scene: TakenScene) -> Path:
        """Where the results of a comparison lie."""
        slug = re.sub("[^A-Za-z0-9._-]+", "-", scene.id)[:60]
        return self._folder / f"{scene.taken.date().isoformat()}_{slug}_{key[:8]}"


def can_be_compared(baseline: Baseline, scene: TakenScene) -> bool:
    """False when files that a comparison needs are gone from the disk."""
    return scene.is_there and baseline.can_be_had


def _read_regions(path: Path) -> list[tuple[bytes, float | None, float]]:
    columns = ["area_m2", "probability_mean"]
    meta, _, geometry, fields = pyogrio.raw.read(path, layer=CHANGES, columns=columns)
    by_name = dict(zip(meta["fields"].tolist(), fields, strict=True))
    rows = zip(geometry, by_name["area_m2"].tolist(), by_name["probability_mean"].tolist(), strict=True)
    # NaN, the area without a CRS, is not equal to itself; SQLite has NULL for it.
    return [(bytes(wkb), area if area == area else None, probability) for wkb, area, probability in rows]
