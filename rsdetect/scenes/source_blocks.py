"""Source blocks of a mosaic: the blocks that the files behind a VRT decode for a window of it.

A VRT whose blocks do not end where those of its files do decodes blocks of theirs for several of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from xml.etree import ElementTree

import rasterio

from rsdetect.grid import Grid, Window
from rsdetect.scenes.handles import GDAL_ERRORS

_MOST_BYTES = 2**24  # of a VRT that is read
_MOST_WINDOWS = 4096  # of a mosaic that are counted
Part = tuple[str, int, int]  # file, row and column of a block in it
_Rect = tuple[float, float, float, float]  # x, y, width, height


@dataclass(frozen=True)
class SourceFile:
    """Source file of a mosaic, its place on the grid of the VRT, and the shape of its blocks."""

    path: str
    source: _Rect
    target: _Rect
    block: tuple[int, int]  # (rows, columns)

    def under(self, window: Window) -> Iterator[Part]:
        """Blocks of the source file under a window of the mosaic."""
        x, y, width, height = self.target
        rows = _blocks(window.row_off, window.row_end, (y, height), self.source[1::2], self.block[0])
        cols = _blocks(window.col_off, window.col_end, (x, width), self.source[::2], self.block[1])
        for row, col in product(rows, cols):
            yield self.path, row, col


def source_files(path: str) -> tuple[SourceFile, ...]:
    """Source files of the first band of a local VRT that is a mosaic; empty for any other file."""
    vrt = Path(path)
    try:
        if vrt.suffix.lower() != ".vrt" or vrt.stat().st_size > _MOST_BYTES:
            return ()
        band = ElementTree.fromstring(vrt.read_bytes()).find("VRTRasterBand")  # noqa: S314 a scene's own file
    except (OSError, ElementTree.ParseError, ValueError):
        return ()
    sources = [] if band is None else [each for each in band if each.tag.endswith("Source")]
    found = (_source_file(each, vrt) for each in sources)
    return tuple(each for each in found if each is not None)


def parts_under(files: Iterable[SourceFile], window: Window) -> list[Part]:
    """Blocks of all source files under a window of the mosaic."""
    return [part for file in files for part in file.under(window)]


def decodings(path: str, grid: Grid, block: tuple[int, int]) -> float:
    """Decodings of each source block of a mosaic that is read once in blocks, at most; 1 for other files.

    Parameters
    ----------
    block
        (rows, columns) in which the mosaic is read.
    """
    files = source_files(path)
    counts: Counter[Part] = Counter()
    rows, cols = range(0, grid.height, block[0]), range(0, grid.width, block[1])
    for row, col in islice(product(rows, cols), _MOST_WINDOWS if files else 0):
        counts.update(parts_under(files, Window(row, col, *block)))
    return counts.total() / len(counts) if counts else 1.0


def _source_file(element: ElementTree.Element, vrt: Path) -> SourceFile | None:
    name = element.find("SourceFilename")
    source, target = _rect(element.find("SrcRect")), _rect(element.find("DstRect"))
    if name is None or not name.text or source is None or target is None:
        return None
    path = str(vrt.parent / name.text) if name.get("relativeToVRT") == "1" else name.text
    try:
        with rasterio.open(path) as dataset:
            block = dataset.block_shapes[0]
    except GDAL_ERRORS:
        return None
    return SourceFile(path, source, target, block)


def _rect(element: ElementTree.Element | None) -> _Rect | None:
    if element is None:
        return None
    try:
        x, y, width, height = (float(element.get(key, "")) for key in ("xOff", "yOff", "xSize", "ySize"))
    except ValueError:
        return None
    return (x, y, width, height) if width > 0 and height > 0 else None


def _blocks(start: int, stop: int, target: tuple[float, ...], source: tuple[float, ...], edge: int) -> range:
    """Numbers of the source blocks along one axis under [start, stop) of the mosaic."""
    scale = source[1] / target[1]
    low = max(start, target[0]) - target[0]
    high = min(stop, target[0] + target[1]) - target[0]
    if high <= low:
        return range(0)
    first, last = source[0] + low * scale, source[0] + high * scale
    return range(int(first // edge), int(-(-last // edge)))
