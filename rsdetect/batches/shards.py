"""Shards of a batch: parts of a list that run apart, on other machines or at other times, and are collected.

Every n-th pair of the list belongs to a shard, so that neighbours in the list, which are often alike, are
spread over all. Shards write into one output folder, which all of them see; each has its record in a folder
of its own, and shares nothing else with the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio

from rsdetect.batches.batch_polygons import write_batch_polygons
from rsdetect.batches.batch_record import BatchRecord, read_batch, shard_folders
from rsdetect.batches.batch_report import BatchReport
from rsdetect.batches.index_page import write_index
from rsdetect.batches.pair_results import PairResult, waiting_result
from rsdetect.batches.pairs import INDEX, POLYGONS, REPORT, SHARDS, TABLE, BatchPair, read_pairs
from rsdetect.errors import InputError
from rsdetect.files import clear_unfinished, hash_bytes
from rsdetect.jobs.inputs import refuse_inputs
from rsdetect.jobs.options import DetectOptions
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.zones import Zones
from rsdetect.memory import GDAL_CACHE_BYTES


@dataclass(frozen=True)
class Shard:
    """Part of the list of a batch: pairs number, number + count, number + 2 count, ..."""

    number: int  # from 1
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Parse a shard.

        >>> str(Shard.parse("3/8"))
        '3/8'
        """
        found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise InputError(f"`shard` {text!r} is not I/N, such as 1/8 to 8/8.")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, pairs: list[BatchPair]) -> list[BatchPair]:
        """Pairs of the shard; none if the list is shorter than the number of shards."""
        return pairs[self.number - 1 :: self.count]

    def folder(self, out: Path) -> Path:
        """Folder of the record of the shard."""
        digits = len(str(self.count))
        return out / SHARDS / f"{self.number:0{digits}}-of-{self.count}"


def collect_batch(list_path: Path, out: Path, *, join: bool = True) -> BatchReport:
    """Collect the shards of a batch: one table, one record and one GeoPackage for all pairs.

    Pairs of shards that are missing or not finished are waiting; collecting can be repeated.

    Raises
    ------
    InputError
        There is no shard, or one of another list or with other options.
    """
    pairs = read_pairs(list_path, DetectOptions())
    records = _require_one_batch(list_path, out)
    rows = {row["name"]: PairResult.of_record(row) for record in records for row in record["pairs"]}
    path = records[0]["options"].get("run", {}).get("zones")
    zones = None if path is None else Zones.read(path)
    results = [rows.get(pair.name) or waiting_result(pair) for pair in pairs]
    refuse_inputs(out, [list_path], (TABLE, REPORT, POLYGONS, INDEX))
    with Outputs.hold(out), rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):  # once, not for each reading
        clear_unfinished(out, TABLE, REPORT, POLYGONS, INDEX)
        made = set().union(*(record["made"] for record in records))
        collected = BatchRecord(list_path, out, out, records[0]["options"], made)
        collected.write(BatchReport(results, None, None, [], join))
        report = write_batch_polygons(out, results, join=join, zones=zones)
        if records[0]["options"].get("run", {}).get("report"):
            write_index(out, report.results)
        collected.write(report, finished=True)
    return report


def _require_one_batch(list_path: Path, out: Path) -> Sequence[dict[str, Any]]:
    """Records of the shards to collect, all of one list, with one count and one set of options."""
    found = [(folder, read_batch(folder)) for folder in shard_folders(out)]
    if not found:
        raise InputError(f"{out} has no shards of a batch; run the list with `shard='1/N'` and so on first.")
    wanted = hash_bytes(list_path.read_bytes())
    first, reference = found[0]
    for folder, record in found:
        if record["list_sha256"] != wanted:
            raise InputError(
                f"{folder} is a shard of another list than {list_path}, or the list was edited since; run "
                "the shards of one list into one folder."
            )
        if record["shard"].partition("/")[2] != reference["shard"].partition("/")[2]:
            raise InputError(
                f"{folder} and {first} divide the list into different numbers of shards; remove the folder "
                "of those that are not wanted."
            )
        if record["options"] != reference["options"]:
            raise InputError(f"{folder} and {first} have other options; run all shards with the same.")
    return [record for _, record in found]
