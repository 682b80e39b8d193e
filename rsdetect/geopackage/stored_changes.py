"""Changes of a finished GeoPackage: their columns, and the outlines of some of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array, Int64Array
from rsdetect.geopackage.changes import CHANGES
from rsdetect.geopackage.file import GEOMETRY
from rsdetect.geopackage.stored_layers import wkb_of


@dataclass(frozen=True)
class StoredChanges:
    """Changes of a GeoPackage as columns, the largest first."""

    path: Path
    change_id: Int64Array
    pixels: Int64Array
    area_m2: Float64Array  # NaN without a CRS
    probability_mean: Float64Array
    probability_max: Float64Array
    kind: tuple[str, ...] | None  # of each change; None = no kind is known
    boxes: Float64Array  # (changes, 4): west, south, east, north

    def __len__(self) -> int:
        return len(self.change_id)

    @classmethod
    def read(cls, path: Path) -> StoredChanges:
        """Read the columns of all changes of a GeoPackage.

        Raises
        ------
        sqlite3.Error
            The file is damaged, or no GeoPackage of rsdetect.
        """
        names = ("change_id", "pixels", "area_m2", "probability_mean", "probability_max")
        with closing(sqlite3.connect(path)) as database:
            known = {
                name for (name,) in database.execute("SELECT name FROM pragma_table_info(?)", (CHANGES,))
            }
            kind = "kind" if "kind" in known else "NULL"
            rows = database.execute(
                f"SELECT {', '.join(names)}, minx, miny, maxx, maxy, {kind} FROM {CHANGES} "  # noqa: S608
                f"JOIN rtree_{CHANGES}_{GEOMETRY} ON fid = id ORDER BY pixels DESC, change_id"
            ).fetchall()
        *numbers, kinds = zip(*rows, strict=True) if rows else [()] * (len(names) + 5)
        columns = [np.array(column, np.float64) for column in numbers]
        named = tuple(each or "unknown" for each in kinds)
        change_id, pixels, area_m2, mean, highest, *sides = columns
        return cls(
            path,
            change_id.astype(np.int64),
            pixels.astype(np.int64),
            area_m2,
            mean,
            highest,
            named if set(named) - {"unknown"} else None,
            np.stack(sides, axis=1),
        )

    def outlines(self, count: int) -> NDArray[np.object_]:
        """Outlines of the `count` largest changes, in the order of the columns."""
        ids = self.change_id[:count].tolist()
        found: dict[int, bytes] = {}
        with closing(sqlite3.connect(self.path)) as database:
            for some in _portions(ids):
                marks = ", ".join("?" * len(some))
                found |= dict(
                    database.execute(
                        f"SELECT change_id, {GEOMETRY} FROM {CHANGES} WHERE change_id IN ({marks})",  # noqa: S608
                        some,
                    )
                )
        geometry: NDArray[np.object_] = shapely.from_wkb([wkb_of(found[each]) for each in ids])
        return geometry


def _portions(items: Sequence[Any], size: int = 500) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
