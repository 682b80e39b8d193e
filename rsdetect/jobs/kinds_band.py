"""Second band of the probability raster on request: the kind of the polygon over each pixel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import rasterio
import shapely
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.shutil import copy as copy_raster

from rsdetect.arraytypes import UInt8Array
from rsdetect.errors import JobInterrupted, ResultMismatch
from rsdetect.files import replace
from rsdetect.geopackage.stored_changes import StoredChanges
from rsdetect.geopackage.styles.colours import KIND_COLOURS
from rsdetect.grid import Grid, Window
from rsdetect.jobs.options import PolygonOptions
from rsdetect.kinds.classes import KIND_NAMES, Kind
from rsdetect.percent import NOT_OBSERVED
from rsdetect.scenes.geotiff import QUICK, checked_writing, geotiff_profile
from rsdetect.scenes.handles import close_handles, gdal_window, one_line
from rsdetect.scoring.raster import ProbabilityRaster
from rsdetect.scoring.tally import checksum_of

KINDS_BAND = 2  # number of the band in the raster
_STRIP_PIXELS = 16 << 20  # rasterised at a time, so that an outline of many vertices is converted rarely
_BLOCK = 512


def has_kinds(raster: Path) -> bool:
    """True if a probability raster has the band of kinds."""
    with rasterio.open(raster) as dataset:
        return int(dataset.count) >= KINDS_BAND


def covered_pixels(options: PolygonOptions, made: Mapping[str, Any]) -> dict[str, int] | None:
    """Pixels of each kind that polygons cover, by the counts `made`; None = those are no pixel outlines."""
    if options.fill_holes or options.simplify:
        return None
    return {kind: found["pixels"] for kind, found in made["kinds"].items()}


def add_kinds(source: Path, target: Path, polygons: Path, counted: Mapping[str, int] | None) -> None:
    """Write the probability of `source` and the kinds of `polygons` as the raster `target`, and verify it.

    The first band keeps its values, those of the overviews too. `target` may be `source`. Names and colours
    of the kinds are in a file beside it, as GDAL stores what a TIFF of several bands cannot hold.

    Parameters
    ----------
    polygons
        GeoPackage with the layer `changes` of this raster.
    counted
        Pixels of each kind that the polygons must cover; None = outlines are not those of pixels.

    Raises
    ------
    JobInterrupted
        The disk is full or failed.
    ResultMismatch
        The finished file differs from what was written, or the polygons cover other pixels than they count.
    """
    plain, kinds, both = (target.with_name(f"kinds.{part}.tif") for part in ("plain", "band", "both"))
    try:
        with checked_writing(plain):
            strips = _write_kinds(ProbabilityRaster(source), StoredChanges.read(polygons), plain, counted)
        with checked_writing(kinds):
            _copy(str(plain), kinds, OVERVIEW_RESAMPLING="MODE")
        with checked_writing(both):
            _copy(_stacked(source, kinds), both)
        _require_same(both, source, kinds, strips)
        close_handles()  # Windows replaces no open file
        replace(both, target)  # removes what lay beside the old file
        replace(_names_beside(both), _names_beside(target))
    except (RasterioError, OSError, SystemError) as error:
        raise JobInterrupted(
            f"{target.name} could not be written: {one_line(error)}; fix this and run the same command again."
        ) from error
    finally:
        for path in (plain, kinds, both, _names_beside(both)):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _names_beside(raster: Path) -> Path:
    return raster.with_name(raster.name + ".aux.xml")


def _copy(source: str, target: Path, **options: str) -> None:
    copy_raster(
        source,
        target,
        driver="COG",
        COMPRESS="DEFLATE",
        LEVEL=3,
        BLOCKSIZE=_BLOCK,
        BIGTIFF="IF_SAFER",
        NUM_THREADS="ALL_CPUS",
        **options,
    )


_Strips = dict[Window, tuple[int, int]]  # checksums of probability and kinds


def _write_kinds(
    raster: ProbabilityRaster, changes: StoredChanges, path: Path, counted: Mapping[str, int] | None
) -> _Strips:
    """Write the kinds of all pixels to a plain file, strip by strip; the checksums of each strip."""
    profile = geotiff_profile(raster.grid, "uint8", nodata=NOT_OBSERVED, block=_BLOCK)
    found = np.zeros(NOT_OBSERVED + 1, np.int64)
    strips = {}
    with rasterio.open(path, "w", **profile, **QUICK) as file:
        for rows, kinds in _burned(raster.grid, changes):
            percent = raster.read(rows)
            kinds[percent == NOT_OBSERVED] = NOT_OBSERVED
            found += np.bincount(kinds.ravel(), minlength=found.size)
            file.write(kinds, 1, window=gdal_window(rows))
            strips[rows] = checksum_of(percent), checksum_of(kinds)
    if counted is not None:
        _require_equal(dict(zip(KIND_NAMES[1:], found[1:].tolist(), strict=False)), counted)
    return strips


def _require_equal(found: Mapping[str, int], counted: Mapping[str, int]) -> None:
    """Compare the pixels of each kind with those that the polygons counted."""
    for kind, pixels in found.items():
        if pixels != counted.get(kind, 0):
            raise ResultMismatch(
                f"raster, kinds: {pixels:,} pixels are {kind}, and {counted.get(kind, 0):,} in the polygons; "
                "run the same command again."
            )


def _burned(grid: Grid, changes: StoredChanges) -> Iterator[tuple[Window, UInt8Array]]:
    """Strips of rows with the kind of the polygon over the centre of each pixel, 0 elsewhere."""
    outlines = changes.outlines(len(changes))
    codes = [int(Kind.UNKNOWN)] * len(changes)
    if changes.kind is not None:
        codes = [KIND_NAMES.index(kind) for kind in changes.kind]
    tree = shapely.STRtree(outlines)
    rows = max(1, _STRIP_PIXELS // grid.width // _BLOCK) * _BLOCK
    for strip in grid.window.blocks(rows, grid.width):
        part = grid.crop(strip)
        here = np.sort(tree.query(shapely.box(*part.bounds)))
        kinds = np.zeros(strip.shape, np.uint8)
        if here.size:
            shapes = [(outlines[each], codes[each]) for each in here]
            rasterize(shapes, out=kinds, transform=part.transform)
        yield strip, kinds


def _stacked(source: Path, kinds: Path) -> str:
    """VRT of the probability and the kinds, each with the overviews of its file."""
    with rasterio.open(source) as file:
        size = f'rasterXSize="{file.width}" rasterYSize="{file.height}"'
        srs = "" if file.crs is None else f"<SRS>{escape(file.crs.to_wkt())}</SRS>"
        place = ", ".join(repr(float(number)) for number in file.transform.to_gdal())
        tags = "".join(
            f"<MDI key={quoteattr(key)}>{escape(value)}</MDI>" for key, value in file.tags().items()
        )
        probability = f"<Description>{escape(file.descriptions[0])}</Description>"
    categories = "".join(f"<Category>{name}</Category>" for name in KIND_NAMES)
    kind = (
        f"<Description>kind of change</Description><CategoryNames>{categories}</CategoryNames>"
        f"{_attribute_table()}"
    )
    return (
        f"<VRTDataset {size}>{srs}<GeoTransform>{place}</GeoTransform><Metadata>{tags}</Metadata>"
        + _band(1, source, probability + "<Offset>0</Offset><Scale>0.01</Scale>")
        + _band(KINDS_BAND, kinds, kind)
        + "</VRTDataset>"
    )


def _attribute_table() -> str:
    """Attribute table of the kinds as GDAL's XML: value, name and colour; no change is transparent."""
    columns = (
        ("value", 0, 5),
        ("kind", 2, 2),
        ("red", 0, 6),
        ("green", 0, 7),
        ("blue", 0, 8),
        ("alpha", 0, 9),
    )
    fields = "".join(
        f'<FieldDefn index="{index}"><Name>{name}</Name><Type>{kind}</Type><Usage>{usage}</Usage></FieldDefn>'
        for index, (name, kind, usage) in enumerate(columns)
    )
    rows = ""
    for value, name in enumerate(KIND_NAMES):
        red, green, blue = bytes.fromhex(KIND_COLOURS.get(name, "#000000")[1:])
        cells = value, name, red, green, blue, 255 if name in KIND_COLOURS else 0
        rows += f'<Row index="{value}">{"".join(f"<F>{cell}</F>" for cell in cells)}</Row>'
    return f'<GDALRasterAttributeTable tableType="thematic">{fields}{rows}</GDALRasterAttributeTable>'


def _band(number: int, file: Path, described: str) -> str:
    name = escape(str(file.absolute()))
    return (
        f'<VRTRasterBand dataType="Byte" band="{number}">{described}<NoDataValue>{NOT_OBSERVED}</NoDataValue>'
        f'<SimpleSource><SourceFilename relativeToVRT="0">{name}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
    )


def _require_same(both: Path, source: Path, kinds: Path, strips: _Strips) -> None:
    """Read the finished raster once, and compare it with what was written; its overviews too."""
    with rasterio.open(both) as raster:
        for rows, expected in strips.items():
            values = raster.read(window=gdal_window(rows))
            if tuple(checksum_of(band) for band in values) != expected:
                raise ResultMismatch(f"raster, kinds, rows from {rows.row_off}: {_DIFFERS}")
        levels = len(raster.overviews(1))
    for level in range(levels):
        with ExitStack() as stack:
            files = [
                stack.enter_context(rasterio.open(path, overview_level=level))
                for path in (both, source, kinds)
            ]
            for rows in Window(0, 0, *files[0].shape).blocks(_BLOCK, files[0].width):
                one, *others = (file.read(window=gdal_window(rows)) for file in files)
                if not np.array_equal(one, np.concatenate([each[:1] for each in others])):
                    raise ResultMismatch(f"raster, kinds, overview {level + 1}: {_DIFFERS}")


_DIFFERS = "the file does not hold what was written; run the same command again."
