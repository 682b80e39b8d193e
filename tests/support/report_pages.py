"""Results of jobs for report pages, written without a job: a raster, changes, and a record."""

from __future__ import annotations

import numpy as np
import rasterio
import shapely

from rsdetect.geopackage.changes import ChangeDescription, write_changes
from rsdetect.jobs.report.page import ReportInput
from rsdetect.regions.collected import Regions
from support.scenes import TEN_METRES, UTM

RECORD = {
    "rsdetect": "run",
    "inputs": {"before": {"path": "before.tif"}, "after": {"path": "after.tif"}},
    "options": {"score": {"model": None}, "pair": {}},
    "bands": ["red", "green", "blue"],
    "registration": None,
    "detector": {"name": "cva", "threshold": 0.5},
    "threshold": 0.5,
    "check": {
        "before": {"date": "2020-05-01"},
        "after": {"date": "2023-06-30"},
        "valid_share": 0.98,
        "before_valid_share": 0.99,
        "after_valid_share": 0.99,
        "shift": None,
        "warnings": [],
    },
    "warnings": [],
}


def boxes_of(count, edge=4, gap=4, across=250):
    """`count` squares in columns and rows: left, top, right, bottom of each."""
    row, col = np.divmod(np.arange(count), across)
    left, top = col * (edge + gap), row * (edge + gap)
    return np.stack([left, top, left + edge, top + edge], axis=1)


def written_results(folder, boxes, shape, *, kinds=None, crs=UTM, transform=TEN_METRES, warnings=()):
    """The input of a report page on changes that fill these boxes, in pixels (left, top, right, bottom)."""
    folder.mkdir(parents=True, exist_ok=True)
    boxes = np.asarray(boxes).reshape(-1, 4)
    raster = folder / "change_probability.tif"
    profile = {
        "driver": "GTiff",
        "count": 1,
        "dtype": "uint8",
        "nodata": 255,
        "crs": crs,
        "transform": transform,
    }
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "SPARSE_OK": True}
    with rasterio.open(raster, "w", height=shape[0], width=shape[1], **profile, **tiles) as file:
        for left, top, right, bottom in boxes[:50].tolist():
            window = ((top, bottom), (left, right))
            file.write(np.full((bottom - top, right - left), 80, np.uint8), 1, window=window)
    corners = shapely.get_coordinates(shapely.box(*boxes.T.astype(float)))
    placed = np.column_stack(transform @ corners.T)
    outlines = shapely.polygons(placed.reshape(-1, 5, 2))
    pixels = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).astype(np.int64)
    area = pixels * (100.0 if crs else np.nan)
    share = 0.5 + (np.arange(len(boxes)) * 37 % 50) / 100
    changes = Regions(outlines, pixels, area, area, share, share, {})
    none = Regions(outlines[:0], pixels[:0], area[:0], area[:0], share[:0], share[:0], {})
    attributes = {} if kinds is None else {"kind": np.array(kinds, dtype=object)}
    wkt = None if crs is None else rasterio.crs.CRS.from_string(crs).to_wkt()
    polygons = folder / "changes.gpkg"
    write_changes(polygons, changes, none, wkt, ChangeDescription(None, None, "cva"), attributes)
    counts = {"changed_pixels": int(pixels.sum()), "observed_pixels": shape[0] * shape[1]}
    return ReportInput(raster, polygons, RECORD | {"counts": counts, "warnings": list(warnings)})
