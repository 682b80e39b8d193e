"""Report of a batch: the results of its pairs, exit status, remarks, and the content of `batch.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from rsdetect.amounts import area_text, count_text
from rsdetect.batches.pair_results import FINISHED, MOST_ROWS, PairResult, State
from rsdetect.batches.pairs import POLYGONS, TABLE
from rsdetect.jsontypes import JsonObject

_LEAST_REPORTED_M2 = 0.5  # less would be displayed as 0


@dataclass(frozen=True)
class BatchReport:
    """Report of a batch: its results and files."""

    results: list[PairResult]  # in the order of the list
    polygons: Path | None  # combined GeoPackage; None if no pair is finished
    crs: str | None  # name of its CRS
    unplaced: list[str]  # pairs without a CRS, not in it
    join: bool = True  # neighbouring pairs are joined in it
    regions: int | None = None  # features of it
    changed_area_m2: float | None = None  # of these
    notes: tuple[str, ...] = ()  # on its zones

    @property
    def exit_status(self) -> int:
        """Exit status of a batch run: 0 all finished; 3 some may finish later; 2 some cannot; 1 a bug."""
        found = {3 if row.state is State.WAITING else row.exit_status for row in self.results}
        return next((status for status in (1, 3, 2) if status in found), 0)

    def remarks(self) -> list[str]:
        """Remarks on a batch run that are not in the table, one per line."""
        lines = []
        if len(self.results) > MOST_ROWS:
            finished = sum(row.state in FINISHED for row in self.results)
            lines.append(f"{count_text(finished, 'pair')} finished: {TABLE} has a row for each.")
        failed = sum(row.state is State.FAILED for row in self.results)
        if failed:
            lines.append(f"{failed} of {len(self.results)} pairs failed; the others are done.")
        waiting = sum(row.state is State.WAITING for row in self.results)
        if waiting:
            lines.append(f"{waiting} of {len(self.results)} pairs are waiting.")
        if self.unplaced:
            lines.append(f"Not in {POLYGONS}, because they have no CRS: {', '.join(self.unplaced)}.")
        lines += self.notes
        if self.polygons is not None:
            lines += self._overlap_remark()
            lines.append(f"All changes, in {self.crs}: {self.polygons}")
        return lines

    @property
    def counted_twice_m2(self) -> float:
        """Changed area of a batch run in m2 that several pairs count; see `rsdetect.batches.overlap`."""
        return round(sum(row.counted_twice_m2 or 0.0 for row in self.results), 3)

    def _overlap_remark(self) -> list[str]:
        """Remark of a batch run on the area counted twice, if any."""
        area = self.counted_twice_m2
        if area < _LEAST_REPORTED_M2:
            return []
        once = f" {POLYGONS} counts it once." if self.join else ""
        return [
            f"Counted twice: {area_text(area)} of the changed area, where pairs overlap. "
            f"{TABLE} has the part of each pair that earlier pairs count (counted_twice_m2).{once}"
        ]

    def as_content(self) -> JsonObject:
        """Content of `batch.json` for a batch run."""
        counts = {str(state): sum(row.state is state for row in self.results) for state in State}
        return {
            "exit_status": self.exit_status,
            "counts": counts,
            "polygons": None if self.polygons is None else self.polygons.name,
            "crs": self.crs,
            "join": self.join,
            "regions": self.regions,
            "changed_area_m2": self.changed_area_m2,
            "counted_twice_m2": self.counted_twice_m2,
            "pairs_without_crs": self.unplaced,
            "pairs": [asdict(row) for row in self.results],
        }
