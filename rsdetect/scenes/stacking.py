"""Stacking of band files to one raster: a VRT that GDAL opens from text, so that no file is written.

Bands on the finest grid of the set are read as they are. All others are warped to it by a view that does not
depend on the window (`rsdetect.scenes.warping`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from affine import Affine

from rsdetect.errors import GridMismatch, InputError, NothingToCompare, SceneError
from rsdetect.grid import Grid
from rsdetect.paths import as_gdal_path
from rsdetect.scenes.alignment import crs_name, offset_between, same_crs, window_of
from rsdetect.scenes.band_files import BandFile, BandFiles, Known, file_version, name_of_files
from rsdetect.scenes.dates import acquisition_date
from rsdetect.scenes.handles import open_raster, source_name, with_gdal_environment
from rsdetect.scenes.header import Header, read_header
from rsdetect.scenes.quality import known_mask
from rsdetect.scenes.radiometry import Linear
from rsdetect.scenes.validity import Nodata, Validity, cannot_be_data, validity_of
from rsdetect.scenes.warping import warped_bands

_VRT_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32",
    "int32": "Int32", "float32": "Float32", "float64": "Float64",
}  # fmt: skip


@dataclass(frozen=True)
class _Band:
    file: BandFile
    header: Header
    nodata: float | None
    linear: Linear | None = None  # scale and offset of its numbers; None = unknown
    given: Nodata = "auto"  # nodata of the user
    resampling: str | None = None  # None = on the grid of the set

    @property
    def path(self) -> str:
        return self.file.shown


@with_gdal_environment
def stack_files(paths: Mapping[str, str | os.PathLike[str]], known: Known | None = None) -> BandFiles:
    """Stack the bands `name: file` to one scene on the grid of the finest.

    Raises
    ------
    SceneError
        One of them is no raster.
    InputError
        A file holds several bands, or one alone has a georeference.
    GridMismatch, NothingToCompare
        The files lie in different CRSs or at different places.
    """
    known = known or Known()
    bands = [_open(name, os.fspath(path), known) for name, path in paths.items()]
    if not bands:
        raise InputError("a scene of band files names no file; write {'red': 'B04.tif', 'nir': 'B08.tif'}.")
    finest = min(bands, key=lambda band: _pixel_size(band, bands))
    grid = finest.header.grid
    bands = [_placed(band, finest) for band in bands]
    name = known.name or name_of_files([band.file.path for band in bands])
    return BandFiles(
        name=name,
        files=tuple(band.file for band in bands),
        vrt=_vrt(bands, finest, known.date or _date(bands)),
        mask=known.mask,
        notes=(*known.notes, *_notes(name, bands, grid)),
        known=known,
    )


def with_nodata(files: BandFiles, given: Nodata) -> BandFiles:
    """Band files stacked again with a nodata value of the user or of undeclared fill.

    It holds before bands of coarser grids are warped, which would blend it with ground.
    """
    if given == files.known.given or not any(file.moved for file in files.files):
        return files
    return stack_files({file.name: file.path for file in files.files}, replace(files.known, given=given))


def _open(name: str, path: str, known: Known) -> _Band:
    path = str(Path(path).absolute()) if Path(path).exists() else as_gdal_path(path)
    file = BandFile(name.strip().lower(), path, file_version(path))
    try:
        header = read_header(path)
    except SceneError as error:  # in a message without the signature of a URL
        raise SceneError(str(error).replace(path, file.shown)) from None
    if len(header.dtypes) != 1:
        raise InputError(
            f"{file.shown} holds {len(header.dtypes)} bands and is given as the one band {file.name!r}; "
            "give it as a scene of its own, or split it (gdal_translate -b 1 ...)."
        )
    if header.dtypes[0] not in _VRT_TYPES:
        raise InputError(f"{file.shown} holds {header.dtypes[0]} values, which bands of a scene cannot have.")
    nodata = known.nodata if header.nodata is None and not header.mask_band else header.nodata
    if known.given != "auto":
        nodata = None if known.given == "none" else float(known.given)
    own = (header.scales[0], header.offsets[0]) if header.scales else None
    return _Band(file, header, nodata, known.linear.get(file.name, own), known.given)


def _pixel_size(band: _Band, bands: list[_Band]) -> float:
    """Pixel size to order stacked bands; of files without georeference, from their size."""
    if any(other.header.georeferenced != band.header.georeferenced for other in bands):
        placed = next(other for other in bands if other.header.georeferenced)
        other = next(other for other in bands if not other.header.georeferenced)
        raise InputError(
            f"{placed.path} is georeferenced and {other.path} is not; give all bands of a scene a "
            "georeference (gdal_translate -a_srs ... -a_ullr ...), or none."
        )
    grid = band.header.grid
    return grid.pixel_area if band.header.georeferenced else 1 / (grid.height * grid.width)


def _placed(band: _Band, finest: _Band) -> _Band:
    """Band to stack, with the resampling to the grid of the finest."""
    own, grid = band.header.grid, finest.header.grid
    if not band.header.georeferenced:
        same = own.shape == grid.shape
        place = Affine.scale(grid.width / own.width, grid.height / own.height)
        own = Grid(None, grid.transform @ place, *own.shape)
        return _with(band, own, None if same else _resampling(band))
    if not same_crs(own.crs, grid.crs):
        raise GridMismatch(
            f"{finest.path} is in {crs_name(grid.crs)} and {band.path} in {crs_name(own.crs)}; bands of a "
            "scene lie in one CRS: warp the other (gdalwarp -t_srs ...)."
        )
    if _covered(own, grid) == 0:
        raise NothingToCompare(
            f"{finest.path} and {band.path} do not overlap; give bands of one scene of one place."
        )
    offset = offset_between(grid, own)
    if offset == (0, 0) and own.shape == grid.shape:
        return _with(band, own, None)
    return _with(band, own, "nearest" if offset is not None else _resampling(band))


def _with(band: _Band, grid: Grid, resampling: str | None) -> _Band:
    file = replace(band.file, moved=resampling is not None)
    return replace(band, file=file, header=replace(band.header, grid=grid), resampling=resampling)


def _resampling(band: _Band) -> str:
    """Resampling of a stacked band: nearest for classes, else bilinear."""
    return "nearest" if band.header.has_palette or known_mask(band.file.name) else "bilinear"


def _covered(own: Grid, grid: Grid) -> float:
    """Share of the stack's `grid` that `own` covers."""
    if grid.crs is None:
        left, bottom, right, top = own.bounds
        other = grid.bounds
        wide = min(right, other[2]) - max(left, other[0])
        high = min(top, other[3]) - max(bottom, other[1])
        return max(wide, 0) * max(high, 0) / (grid.pixel_area * grid.height * grid.width)
    window = window_of(own, grid)
    return 0 if window.is_empty else window.height * window.width / (grid.height * grid.width)


def _date(bands: list[_Band]) -> str | None:
    return next((found for band in bands if (found := acquisition_date(band.header))), None)


def _notes(name: str, bands: list[_Band], grid: Grid) -> list[str]:
    notes = []
    for resampling in ("bilinear", "nearest"):
        moved = [band.file.name for band in bands if band.resampling == resampling]
        if moved:
            size = "" if grid.crs is None else f" of {grid.pixel_size[0]:.7g}"
            notes.append(
                f"{', '.join(moved)} of {name} {'is' if len(moved) == 1 else 'are'} brought to the finest "
                f"grid{size} of its bands ({resampling})."
            )
    for band in bands:
        share = _covered(band.header.grid, grid) if band.header.georeferenced else 1
        if share < 0.99:  # coarse pixels end a little before or behind fine ones
            notes.append(f"{band.path} covers {share:.0%} of the other bands; the rest is not compared.")
    return notes


def _vrt(bands: list[_Band], finest: _Band, date: str | None) -> str:
    grid = finest.header.grid
    place = ""
    if finest.header.georeferenced:
        numbers = ",".join(repr(float(number)) for number in grid.transform.to_gdal())
        place = f"<SRS>{escape(grid.crs or '')}</SRS><GeoTransform>{numbers}</GeoTransform>"
    tags = finest.header.tags | ({"ACQUISITION_DATE": date} if date else {})
    listed = "".join(f"<MDI key={quoteattr(key)}>{escape(value)}</MDI>" for key, value in tags.items())
    # Rasterio reads bands of one data type only.
    moved = any(band.resampling is not None for band in bands)
    dtype = str(np.result_type(*(band.header.dtypes[0] for band in bands), *(["float32"] if moved else [])))
    views = [_view(band, grid) for band in bands]
    drawn = "".join(
        _raster_band(number, band, _VRT_TYPES[dtype], view, grid, finest.header.block_shape)
        for number, (band, view) in enumerate(zip(bands, views, strict=True), 1)
    )
    return (
        f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}">{place}'
        f"<Metadata>{listed}</Metadata>{drawn}{_mask_band(bands, views)}</VRTDataset>"
    )


def _view(band: _Band, grid: Grid) -> str:
    """VRT of a band on the grid of the stack."""
    if band.resampling is None:
        return source_name(band.file.path)
    header = band.header
    rule = validity_of((band.nodata,), header.dtypes, (1,), masked=header.mask_band, given=band.given)
    if not rule.values:
        rule = Validity(rule.masked, in_one=((1, math.nan),))  # so that what the file does not cover is NaN
    filling = _filling(band, grid)
    with open_raster(band.file.path) as dataset:
        return warped_bands(dataset, (1,), grid, band.resampling, rule, own=header.grid, filling=filling)


def _filling(band: _Band, grid: Grid) -> float:
    """Fill value of a warped band of the stack where it has no data.

    Its nodata value, where that may be data beside other bands; NaN, which never is, where the value cannot
    be, and for a file that ends before the grid does.
    """
    value = band.nodata
    if value is None or band.header.mask_band or not math.isfinite(value):
        return math.nan
    if cannot_be_data(value, band.header.dtypes[0]) or not _reaches(band.header.grid, grid):
        return math.nan
    return float(value)


def _reaches(own: Grid, grid: Grid) -> bool:
    """True if `own` covers the stack's `grid`, up to rounding."""
    left, bottom, right, top = own.bounds
    inner = grid.bounds
    slack = 1e-3 * max(grid.pixel_size)
    return (
        left <= inner[0] + slack
        and bottom <= inner[1] + slack
        and right >= inner[2] - slack
        and top >= inner[3] - slack
    )


def _raster_band(number: int, band: _Band, dtype: str, view: str, grid: Grid, block: tuple[int, int]) -> str:
    nodata = ""
    if band.nodata is not None:
        value = band.nodata if band.resampling is None else _filling(band, grid)
        nodata = f"<NoDataValue>{float(value)!r}</NoDataValue>"
    linear = "" if band.linear is None else "<Offset>{1!r}</Offset><Scale>{0!r}</Scale>".format(*band.linear)
    return (
        f'<VRTRasterBand dataType="{dtype}" band="{number}" blockXSize="{block[1]}" blockYSize="{block[0]}">'
        f"<Description>{escape(band.file.name)}</Description>{nodata}{linear}{_source(view, '1')}"
        "</VRTRasterBand>"
    )


def _mask_band(bands: list[_Band], views: list[str]) -> str:
    """Mask band of the stack: valid where the masks of all files are valid."""
    sources = "".join(
        _source(view, "mask,1" if band.resampling is None else "2")
        for band, view in zip(bands, views, strict=True)
        if band.header.mask_band
    )
    if not sources:
        return ""
    return (
        '<MaskBand><VRTRasterBand dataType="Byte" subClass="VRTDerivedRasterBand">'
        "<PixelFunctionType>mul</PixelFunctionType><SourceTransferType>Float32</SourceTransferType>"
        f"{sources}</VRTRasterBand></MaskBand>"
    )


def _source(path: str, band: str) -> str:
    return (
        f'<SimpleSource><SourceFilename relativeToVRT="0">{escape(path)}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand></SimpleSource>"
    )
