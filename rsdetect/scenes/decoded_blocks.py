"""Blocks in which a dataset decodes its pixels: its own, or for a VRT those of the files behind it."""

from __future__ import annotations

from typing import Any

import rasterio

from rsdetect.scenes.handles import GDAL_ERRORS

_MOST_SOURCES = 4  # of a mosaic, whose files are alike


def decoded_block_shape(dataset: Any) -> tuple[int, int]:
    """(rows, columns) that an open dataset decodes at a time.

    A VRT claims blocks of 128 x 128 pixels, whatever the blocks of its sources: windows of that size would
    decode a JPEG 2000 block of 1024 x 1024 pixels 64 times.
    """
    rows, cols = dataset.block_shapes[0]
    if dataset.driver != "VRT" or str(dataset.name).lstrip().startswith("<"):
        return rows, cols
    for path in dataset.files[1 : 1 + _MOST_SOURCES]:
        try:
            with rasterio.open(path) as source:
                high, wide = decoded_block_shape(source)
                down, across = (
                    own / other for own, other in zip(source.res[::-1], dataset.res[::-1], strict=True)
                )
        except GDAL_ERRORS:
            continue  # a sidecar, or no raster
        rows, cols = max(rows, round(high * down)), max(cols, round(wide * across))
    return min(rows, dataset.height), min(cols, dataset.width)
