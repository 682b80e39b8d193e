"""Warping: a lazy view of a scene or mask on another grid, with pixels independent of the window.

It uses GDAL's warped VRT, written as XML (https://gdal.org/drivers/raster/vrt.html, "Warped VRT") and not by
rasterio's `WarpedVRT`, which has three disadvantages:

- rasterio 1.4 does not support an exact transformation (tolerance 0 fails on a missing transformer), and the
  approximate one interpolates between points at the ends of the window;
- GDAL computes the ratio of resolutions, and the width of the resampling kernel, for every window unless
  XSCALE and YSCALE are given;
- it warps every band of the file, with one nodata value for all.
"""

from __future__ import annotations

import math
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from affine import Affine
from rasterio._path import _parse_path, _vsi_path

from rsdetect.grid import Grid
from rsdetect.scenes.alignment import moved_places, same_crs, window_of
from rsdetect.scenes.control_points import ControlPoints
from rsdetect.scenes.handles import alpha_in_use
from rsdetect.scenes.turns import turned_toward, wrapped_crs
from rsdetect.scenes.validity import Validity

# GDAL's names of rasterio's resampling methods.
_ALGORITHMS = {
    "nearest": "NearestNeighbour",
    "bilinear": "Bilinear",
    "cubic": "Cubic",
    "cubic_spline": "CubicSpline",
    "lanczos": "Lanczos",
    "average": "Average",
}
BLOCK = 512  # edge of the view's blocks in pixels


def grid_of(dataset: Any) -> Grid:
    """Grid of an open dataset to warp."""
    crs = dataset.crs.to_wkt() if dataset.crs else None
    return Grid(crs, dataset.transform, dataset.height, dataset.width)


def warped_bands(
    source: Any,
    bands: tuple[int, ...],
    grid: Grid,
    resampling: str,
    validity: Validity,
    *,
    own: Grid | None = None,
    filling: float = math.nan,
    control: ControlPoints | None = None,
) -> str:
    """Warped VRT of `bands` of `source` on `grid`: float32, and a last band that is 0 where not valid.

    Invalid pixels have no weight: nodata and NaN of the band, and pixels hidden by mask or alpha band. A band
    without any weight at a pixel is NaN there, or 0 because of the mask or alpha band. Nodata that hides a
    pixel only if all bands have it is applied to all bands together.

    Parameters
    ----------
    source
        An open dataset; it may be closed afterwards. It has a CRS where the grid has one.
    resampling
        One of rasterio's names.
    validity
        Validity rule of `source`.
    own
        Grid of `source`, if the file does not declare it.
    filling
        Value of a band without weight instead of NaN.
    control
        Ground control points, if they alone place `source`.
    """
    own = own or (grid_of(source) if control is None else control.grid(*source.shape))
    values = dict(validity.in_one) | dict(validity.in_all)
    # GDAL has one rule for all bands. If both kinds of nodata occur, or some bands have none, each band is
    # weighted separately, which hides more than necessary but keeps fill out of the kernel.
    together = not validity.in_one and {band for band, _ in validity.in_all} == set(bands)
    empty = [_nodata(source, band, values.get(band)) for band in bands]
    alpha = alpha_in_use(source, bands)
    mapping = [
        _mapping(i, band, value, filling) for i, (band, value) in enumerate(zip(bands, empty, strict=True), 1)
    ]
    count = len(bands) + 1
    return _vrt(
        _gdal_name(source),
        grid,
        bands="".join(_band(i, "Float32") for i in range(1, count)) + _band(count, "Float32", "Alpha"),
        options=_options(own, grid, resampling)
        | {"INIT_DEST": "NO_DATA", "UNIFIED_SRC_NODATA": "YES" if together else "NO", "SRC_ALPHA_MAX": "1"},
        warp=f"<ResampleAlg>{_ALGORITHMS[resampling]}</ResampleAlg>"
        "<WorkingDataType>Float32</WorkingDataType>",
        transformer=_transformer(own, grid, control),
        mapping="".join(mapping)
        + (f"</BandList><SrcAlphaBand>{alpha}</SrcAlphaBand>" if alpha else "</BandList>")
        + f"<DstAlphaBand>{count}</DstAlphaBand>",
    )


def _nodata(source: Any, band: int, value: float | None) -> float | None:
    return math.nan if value is None and source.dtypes[band - 1].startswith("float") else value


def warped_classes(source: Any, grid: Grid) -> str:
    """Warped VRT of the classes in band 1 of `source` on `grid`: float64, -1 beyond its edge."""
    return _vrt(
        _gdal_name(source),
        grid,
        bands=_band(1, "Float64"),
        options={"INIT_DEST": "-1"},
        warp="<ResampleAlg>NearestNeighbour</ResampleAlg><WorkingDataType>Float64</WorkingDataType>",
        transformer=_transformer(grid_of(source), grid),
        mapping=_mapping(1, 1, None) + "</BandList>",
    )


def resolution_ratio(source: Grid, target: Grid) -> tuple[float, float] | None:
    """Resolution ratio of a warp: pixels of `target` per pixel of `source`, along its columns and rows.

    Measured in the middle of the overlap; None if that is undefined in the CRS of `source`.
    """
    overlap = target.window if source.crs is None else window_of(source, target)
    middle = target.window if overlap.is_empty else overlap
    col, row = middle.col_off + middle.width / 2, middle.row_off + middle.height / 2
    points = np.array([(col, row), (col + 1, row), (col, row + 1)])
    if source.crs is None:
        placed = np.stack(~source.transform @ (target.transform @ points.T), axis=1)
    else:
        placed = moved_places(points, target, source)
    along_cols, along_rows = (float(length) for length in np.hypot(*(placed[1:] - placed[0]).T))
    if not (np.isfinite([along_cols, along_rows]).all() and along_cols > 0 and along_rows > 0):
        return None
    return 1 / along_cols, 1 / along_rows


def _gdal_name(dataset: Any) -> str:
    """GDAL's name of a file to warp: rasterio translates URLs (https, s3, zip)."""
    return str(_vsi_path(_parse_path(dataset.name)))


def _options(source: Grid, target: Grid, resampling: str) -> dict[str, str]:
    ratio = resolution_ratio(source, target)
    if resampling == "nearest" or ratio is None:
        return {}
    return {"XSCALE": repr(ratio[0]), "YSCALE": repr(ratio[1])}


def _vrt(
    path: str, grid: Grid, *, bands: str, options: dict[str, str], warp: str, transformer: str, mapping: str
) -> str:
    listed = "".join(f'<Option name="{name}">{value}</Option>' for name, value in options.items())
    return (
        f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}" subClass="VRTWarpedDataset">'
        f"<SRS>{escape(grid.crs or '')}</SRS><GeoTransform>{_numbers(grid.transform)}</GeoTransform>{bands}"
        f"<BlockXSize>{min(BLOCK, grid.width)}</BlockXSize>"
        f"<BlockYSize>{min(BLOCK, grid.height)}</BlockYSize>"
        f"<GDALWarpOptions>{warp}{listed}"
        f'<SourceDataset relativeToVRT="0">{escape(path)}</SourceDataset>'
        f"<Transformer>{transformer}</Transformer><BandList>{mapping}</GDALWarpOptions></VRTDataset>"
    )


def _band(number: int, dtype: str, colour: str = "") -> str:
    inner = f"<ColorInterp>{colour}</ColorInterp>" if colour else ""
    return (
        f'<VRTRasterBand dataType="{dtype}" band="{number}" subClass="VRTWarpedRasterBand">'
        f"{inner}</VRTRasterBand>"
    )


def _mapping(target: int, source: int, nodata: float | None, filling: float = math.nan) -> str:
    inner = ""
    if nodata is not None:
        inner = (
            f"<SrcNoDataReal>{nodata!r}</SrcNoDataReal><SrcNoDataImag>0</SrcNoDataImag>"
            f"<DstNoDataReal>{filling!r}</DstNoDataReal><DstNoDataImag>0</DstNoDataImag>"
        )
    return f'<BandMapping src="{source}" dst="{target}">{inner}</BandMapping>'


def _transformer(source: Grid, target: Grid, control: ControlPoints | None = None) -> str:
    reproject = ""
    if same_crs(source.crs, target.crs):
        source = turned_toward(source, target)
    else:
        reproject = (
            "<ReprojectTransformer><ReprojectionTransformer>"
            f"<SourceSRS>{escape(wrapped_crs(source))}</SourceSRS>"
            f"<TargetSRS>{escape(target.crs or '')}</TargetSRS>"
            "</ReprojectionTransformer></ReprojectTransformer>"
        )
    placed = (
        f"<SrcGeoTransform>{_numbers(source.transform)}</SrcGeoTransform>"
        f"<SrcInvGeoTransform>{_numbers(~source.transform)}</SrcInvGeoTransform>"
    )
    return (
        "<GenImgProjTransformer>"
        f"{placed if control is None else control.transformer()}{reproject}"
        f"<DstGeoTransform>{_numbers(target.transform)}</DstGeoTransform>"
        f"<DstInvGeoTransform>{_numbers(~target.transform)}</DstInvGeoTransform>"
        "</GenImgProjTransformer>"
    )


def _numbers(transform: Affine) -> str:
    return ",".join(repr(float(number)) for number in transform.to_gdal())
