"""Record of a batch, `batch.json`, and its table, both readable while it runs.

Rewriting them after each pair would take longer than the pairs of a long list. They are rewritten when that
costs a twentieth of the time; whose results the folders of the pairs hold is in a file of claims meanwhile,
to which a line is added before the first file of a pair.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rsdetect.batches.batch_report import BatchReport
from rsdetect.batches.pair_results import FINISHED, State, results_as_csv
from rsdetect.batches.pairs import INDEX, POLYGONS, REPORT, SHARDS, TABLE
from rsdetect.errors import InputError, OutputError
from rsdetect.files import append_text, as_json, hash_bytes, write_text
from rsdetect.jobs.outputs import Outputs
from rsdetect.jsontypes import JsonObject
from rsdetect.reading import refuse_endless
from rsdetect.schema import BATCH, require_known

_CLAIMS = ".batch.claims"
_SHARE = 20  # times that a rewriting takes, before the next one
_LEAST_S = 1.0  # between two of them


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class BatchRecord:
    """Record of a batch or of a shard, which also lists whose results the folders of the pairs contain."""

    list_path: Path
    out: Path  # of the folders of the pairs
    folder: Path  # of the record; that of the shard, else `out`
    options: JsonObject
    own: set[str]  # names of pairs begun or finished by this batch, now or before
    shard: str | None = None  # "i/n"
    started: str = field(default_factory=_now)
    list_sha256: str = ""
    _due: float = 0.0

    def __post_init__(self) -> None:
        self.list_sha256 = hash_bytes(self.list_path.read_bytes())

    def claim(self, name: str) -> None:
        """Record a pair as part of the batch before its first file, unless there are other results."""
        folder = self.out / name
        if name not in self.own and not any((folder / each).exists() for each in Outputs.RESULTS):
            self.own.add(name)
            # A line that a kill cut off is no JSON.
            append_text(self.folder / _CLAIMS, f"\n{json.dumps(name)}\n")

    def progress(self, report: BatchReport) -> None:
        """Write the state of a running batch, unless it was written a moment ago."""
        if time.monotonic() >= self._due:
            self.write(report)

    def write(self, report: BatchReport, *, finished: bool = False) -> None:
        """Write the record and the table of a batch.

        The first file is the record, by which the others are known as the batch's; the last one, too, because
        a finished record is of finished files.
        """
        begin = time.monotonic()
        self.own |= {row.name for row in report.results if row.state in FINISHED}
        failed = {row.name for row in report.results if row.state is State.FAILED}
        self.own -= {name for name in failed if not (self.out / name / Outputs.RECORD).exists()}
        content: JsonObject = {
            "rsdetect": "batch",
            "schema": BATCH,
            "list": str(self.list_path.absolute()),
            "list_sha256": self.list_sha256,
            "shard": self.shard,
            "options": self.options,
            "started": self.started,
            "updated": _now(),
            "finished": _now() if finished else None,
            "made": sorted(self.own),
        }
        files = [
            (self.folder / REPORT, as_json(content | report.as_content())),
            (self.folder / TABLE, results_as_csv(report.results)),
        ]
        for path, text in reversed(files) if finished else files:
            write_text(path, text)
        if finished:
            (self.folder / _CLAIMS).unlink(missing_ok=True)
        now = time.monotonic()
        self._due = now + max(_LEAST_S, _SHARE * (now - begin))


def read_batch(folder: Path) -> dict[str, Any]:
    """Content of the record of a batch or of a shard.

    Raises
    ------
    FileNotFoundError
        The folder has none.
    InputError
        It is not the record of a batch, or of a newer version.
    """
    refuse_endless(folder / REPORT)
    try:
        content: dict[str, Any] = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        content["made"] = set(content["made"])
        require_known(content, BATCH, folder / REPORT)
        return content
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / REPORT} is not the report of a batch; choose another folder.") from error


def shard_folders(out: Path) -> list[Path]:
    """Folders of the shards of a batch that have begun, in order."""
    return sorted(path.parent for path in (out / SHARDS).glob(f"*/{REPORT}"))


def pairs_of_earlier_runs(out: Path, *, overwrite: bool) -> set[str]:
    """Names of the pairs that earlier runs of the batch, and its shards, began or finished."""
    made: set[str] = set()
    for folder in (out, *shard_folders(out)):
        try:
            made |= read_batch(folder)["made"]
        except FileNotFoundError:
            for name in (TABLE, POLYGONS, INDEX):
                if (folder / name).exists() and not overwrite:
                    raise OutputError(
                        f"{folder / name} exists and is of no batch; add `overwrite=True` to replace it, or "
                        "choose another folder."
                    ) from None
        made.update(_claimed(folder))
    return made


def _claimed(folder: Path) -> Iterator[str]:
    """Names of the pairs claimed by a run of the batch that was stopped."""
    try:
        lines = (folder / _CLAIMS).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            name = json.loads(line)
        except ValueError:
            continue
        if isinstance(name, str):
            yield name
