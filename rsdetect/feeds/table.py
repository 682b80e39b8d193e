"""Table of scenes, as CSV or GeoParquet.

A row is either one scene (`scene`, `date`, and optionally `mask`, `id`), or one pair (`before`, `after`,
`before_date`, `after_date`, and optionally `before_mask`, `after_mask`), whose scenes are listed singly.
Missing dates are taken from the file names. Relative paths start at the table's folder.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from rsdetect.errors import InputError
from rsdetect.extras import missing_extra
from rsdetect.feeds.scene_refs import SceneListing, SceneRef
from rsdetect.paths import from_folder
from rsdetect.reading import read_text, refuse_endless
from rsdetect.scenes.dates import date_in_name
from rsdetect.secrets import name_of_address, without_signatures

_SCENE = ("scene", "date", "mask", "id")
_PAIR = ("before", "after", "before_date", "after_date", "before_mask", "after_mask")
_PARQUET = (".parquet", ".geoparquet")


@dataclass(frozen=True)
class TableOfScenes:
    """Table of scenes: the scenes listed in a CSV or GeoParquet file."""

    path: Path

    def list_scenes(self) -> SceneListing:
        """List the scenes of the table, each once.

        Raises
        ------
        InputError
            The table cannot be read, lacks a column or a date, or contradicts itself on a scene.
        """
        rows = _parquet_rows(self.path) if self.path.suffix.lower() in _PARQUET else _csv_rows(self.path)
        if not rows:
            raise InputError(f"{self.path} lists no scene.")
        columns = set(rows[0][1])
        if "scene" not in columns and not {"before", "after"} <= columns:
            raise InputError(
                f"{self.path} has neither a column 'scene' nor the columns 'before' and 'after'; it has "
                f"{', '.join(sorted(columns))}."
            )
        scenes: dict[str, SceneRef] = {}
        for line, row in rows:
            for found in self._row_scenes(f"{self.path}, {line}", row):
                other = scenes.setdefault(found.id, found)
                if _statement(other) != _statement(found):
                    raise InputError(f"{found.source} contradicts {other.source} on {found.id}.")
        return SceneListing(tuple(scenes.values()))

    def _row_scenes(self, line: str, row: dict[str, str]) -> Iterable[SceneRef]:
        """Scene references of a row: one, or the two of a pair."""
        if "scene" in row:
            yield self._row_scene(
                line, row.get("id", ""), *(row.get(key, "") for key in ("scene", "date", "mask"))
            )
            return
        for which in ("before", "after"):
            keys = (which, f"{which}_date", f"{which}_mask")
            yield self._row_scene(line, "", *(row.get(key, "") for key in keys))

    def _row_scene(self, line: str, name: str, file: str, day: str, mask: str) -> SceneRef:
        """Scene reference of a row's columns."""
        if not file:
            raise InputError(f"{line} names no scene.")
        folder = self.path.absolute().parent
        return SceneRef(
            id=name or name_of_address(file),
            taken=_row_datetime(line, day or date_in_name(file) or ""),
            files=(from_folder(file, folder),),
            mask=from_folder(mask, folder) if mask else None,
            source=line,
        )


def _statement(scene: SceneRef) -> tuple[object, ...]:
    """Statement of a line on its scene, without the signatures of addresses."""
    return scene.taken, *map(without_signatures, (*scene.files, scene.mask or ""))


def _csv_rows(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Rows of a CSV table, each with its line number as text."""
    text = read_text(path, "a table of scenes", encoding="utf-8-sig")
    separator = ";" if ";" in text.partition("\n")[0] else ","
    reader = csv.DictReader(io.StringIO(text), delimiter=separator)
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
    return [
        (f"line {reader.line_num}", {key: (value or "").strip() for key, value in row.items() if key})
        for row in reader
    ]


def _parquet_rows(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Rows of a GeoParquet table, each with its number as text."""
    import geopandas

    refuse_endless(path)
    try:
        frame = geopandas.read_parquet(path)
    except ImportError:
        raise missing_extra("monitor", f"{path} is a GeoParquet, which") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as GeoParquet: {' '.join(str(error).split())}.") from error
    known = [column for column in frame.columns if column.lower() in (*_SCENE, *_PAIR)]
    rows = frame[known].rename(columns=str.lower).to_dict("records")
    return [
        (f"row {number}", {key: _cell_text(value) for key, value in row.items()})
        for number, row in enumerate(rows, 1)
    ]


def _cell_text(value: object) -> str:
    """Text of a table cell; empty for every kind of missing value."""
    if value is None or value != value:  # NaN and NaT are not equal to themselves
        return ""
    return value.isoformat() if isinstance(value, date) else str(value).strip()


def _row_datetime(line: str, text: str) -> datetime:
    """Acquisition time in a table's row."""
    try:
        taken = datetime.fromisoformat(text)
    except ValueError:
        problem = (
            f"{text!r} is not a date" if text else "there is no date, neither here nor in the file's name"
        )
        raise InputError(f"{line}: {problem}; write 2024-05-03 or 2024-05-03T10:20:00Z.") from None
    return taken if taken.tzinfo is not None else taken.replace(tzinfo=UTC)
