"""Header of a scene: grid, bands and other properties that are known without reading pixels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from affine import Affine

from rsdetect.doubts import Doubt
from rsdetect.errors import SceneError
from rsdetect.grid import Grid
from rsdetect.scenes.alignment import crs_name
from rsdetect.scenes.band_files import BandFiles
from rsdetect.scenes.band_metadata import band_metadata, dataset_tags
from rsdetect.scenes.control_points import ControlPoints, control_points_of
from rsdetect.scenes.decoded_blocks import decoded_block_shape
from rsdetect.scenes.handles import alpha_band, has_mask_band, open_raster
from rsdetect.scenes.radiometry import linear_of_name
from rsdetect.scenes.validity import Nodata, Validity, validity_of
from rsdetect.scenes.vendor_metadata import VendorMetadata, vendor_metadata
from rsdetect.scenes.watched import Watched, files_of, require_unchanged, watch

# GDAL counts rows downwards; QGIS draws a raster without georeference below the x axis. This transform
# lets the polygons of a plain pixel grid lie on its picture.
PIXEL_GRID = Affine(1, 0, 0, 0, -1, 0)

_FARTHEST = 1e15  # in units of the CRS; beyond it float64 has no tenths of a metre


@dataclass(frozen=True)
class Header:
    """Header of a scene's file or another source."""

    path: str  # the source's name where it is no file
    grid: Grid
    georeferenced: bool
    dtypes: tuple[str, ...]  # one per band
    names: tuple[str, ...]  # one per band, lower case; "" where the file names none
    alpha: int | None  # number of the band that marks valid pixels of the others
    has_palette: bool  # pixel values are the numbers of colours
    nodata: float | None
    has_mask: bool
    tags: dict[str, str]
    block_shape: tuple[int, int]  # (rows, columns) of the file's own blocks
    # What a product's metadata say, where they are known. One entry a band, or empty.
    scales: tuple[float, ...] = ()  # a physical value is number * scale + offset; both, or neither
    offsets: tuple[float, ...] = ()
    wavelengths: tuple[float | None, ...] = ()  # nm, centre of the band
    bad_bands: tuple[int, ...] = ()  # numbers of those that the file says are no good
    date: str | None = None  # ISO date of acquisition
    mask_kind: str | None = None  # what the scene's quality mask is
    # Nodata value of each band; () = the source itself leaves out what is not valid.
    nodatas: tuple[float | None, ...] = ()
    mask_band: bool = False  # a mask inside or next to the file marks the valid pixels
    doubts: tuple[Doubt, ...] = ()  # what is not certain of its place, validity or units
    files: BandFiles | None = None  # where each band is a file of its own
    control: ControlPoints | None = None  # which alone place the file; it is read through a warp onto `grid`
    watched: tuple[Watched, ...] = field(default=(), compare=False, repr=False)  # those behind it

    def validity(self, bands: tuple[int, ...], given: Nodata = "auto") -> Validity:
        """Validity rule of the header for the chosen `bands`; `given` = nodata of the user."""
        return validity_of(
            self.nodatas or (None,) * len(self.dtypes),
            self.dtypes,
            self._deciding(bands),
            masked=self.mask_band or (self.alpha is not None and self.alpha not in bands),
            given=given,
        )

    def _deciding(self, bands: tuple[int, ...]) -> tuple[int, ...]:
        """Without the bands of a coarser grid, whose fill ends elsewhere than that of the others."""
        if self.files is None:
            return bands
        own = tuple(band for band in bands if not self.files.files[band - 1].moved)
        return own or bands

    def linear_of(self, bands: tuple[int, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Scales and offsets of the bands with these numbers; both empty where they are not known."""
        if not self.scales:
            return (), ()
        return tuple(self.scales[band - 1] for band in bands), tuple(self.offsets[band - 1] for band in bands)

    @property
    def usable(self) -> tuple[int, ...]:
        """Numbers of the bands that are neither alpha nor bad."""
        left_out = {self.alpha, *self.bad_bands}
        return tuple(i for i in range(1, len(self.names) + 1) if i not in left_out)


def read_header(scene: str | BandFiles, *, align: bool = False) -> Header:
    """Read the header of a scene.

    Parameters
    ----------
    align
        Take a file that only ground control points place, which is read through a warp.

    Raises
    ------
    SceneError
        It is not a raster of real numbers, or has no grid of its own.
    """
    name, place, files = (scene, scene, None) if isinstance(scene, str) else (scene.name, scene.vrt, scene)
    first = watch([name])
    with open_raster(place, of=name) as dataset:
        vendor = vendor_metadata(dataset)
        watched = watch([*files_of(dataset), *([vendor.file] if vendor.file else ())], first)
        require_unchanged(first)
        header = replace(valid_header(dataset, name, align=align), files=files, watched=watched)
    header = _with_vendor(header, vendor)
    linear = None if header.scales or files is not None else linear_of_name(name)
    if linear is None or header.dtypes[0].startswith("float"):
        return header
    count = len(header.names)
    return replace(header, scales=(linear[0],) * count, offsets=(linear[1],) * count)


def _with_vendor(header: Header, vendor: VendorMetadata) -> Header:
    """Header with the vendor's metadata where the file itself says nothing."""
    if vendor.names and not any(header.names):
        header = replace(header, names=vendor.names)
    if vendor.wavelengths and not header.wavelengths:
        header = replace(header, wavelengths=vendor.wavelengths)
    if vendor.linear and not header.scales and not header.dtypes[0].startswith("float"):
        scales, offsets = zip(*vendor.linear, strict=True)
        header = replace(header, scales=scales, offsets=offsets)
    return header


def valid_header(dataset: Any, path: str, *, align: bool = False) -> Header:
    """Header of an open dataset, named `path`, as `read_header`."""
    if dataset.count == 0:
        parts = ", ".join(dataset.subdatasets[:3])
        raise SceneError(f"{path} holds several rasters and no band of its own; name one of them: {parts}")
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        raise SceneError(f"{path} holds complex numbers; give amplitude or intensity instead.")
    if not all(abs(number) < _FARTHEST for number in dataset.transform[:6]):  # nor NaN
        raise SceneError(f"{path} lies at no place: its georeference is {dataset.transform.to_gdal()}.")
    plain = dataset.transform.is_identity  # which GDAL says of a file that has none
    control = _control_points(dataset, path, align) if plain else None
    if control is not None:
        plain, grid = False, control.grid(dataset.height, dataset.width)
    else:
        crs = dataset.crs.to_wkt() if dataset.crs and not plain else None
        grid = Grid(crs, PIXEL_GRID if plain else dataset.transform, dataset.height, dataset.width)
    if not plain and grid.pixel_area == 0:
        raise SceneError(f"{path} has pixels without area; its georeference is broken.")
    colours = [colour.name for colour in dataset.colorinterp]
    names = [
        (text or (colour if colour in ("red", "green", "blue", "nir") else "")).strip().lower()
        for text, colour in zip(dataset.descriptions, colours, strict=True)
    ]
    alpha, mask_band = alpha_band(dataset), has_mask_band(dataset)
    return Header(
        path=path,
        grid=grid,
        georeferenced=not plain,
        dtypes=tuple(dataset.dtypes),
        names=tuple(names),
        alpha=alpha,
        has_palette="palette" in colours,
        nodata=dataset.nodata,
        has_mask=alpha is not None or mask_band or any(value is not None for value in dataset.nodatavals),
        tags=dataset_tags(dataset),
        block_shape=decoded_block_shape(dataset),
        nodatas=tuple(dataset.nodatavals),
        mask_band=mask_band,
        **band_metadata(dataset),
        doubts=control.doubts if control else _doubts(dataset, path) if plain and dataset.crs else (),
        control=control,
    )


def _control_points(dataset: Any, path: str, align: bool) -> ControlPoints | None:
    """Ground control points of a file without a transform; refused unless it may be warped."""
    control = control_points_of(dataset, path)
    if control is not None and not align:
        raise SceneError(
            f"{path} is placed by {len(control.points)} ground control points and has no grid of its own: a "
            "scene is warped by them with `align=True`; a mask, label or band file needs a grid first "
            f"(gdalwarp {path} ...)."
        )
    if control is None and dataset.rpcs:
        raise SceneError(
            f"{path} is placed by RPCs, which need the heights of the ground; bring it onto a grid first "
            f"(gdalwarp -rpc -to RPC_DEM=heights.tif {path} ...)."
        )
    return control


def _doubts(dataset: Any, path: str) -> tuple[Doubt, ...]:
    """Doubts about a file with a CRS but no transform: GDAL would place it at the origin of the CRS."""
    where = crs_name(dataset.crs.to_wkt())
    return (
        Doubt(
            "no-place",
            f"{path} names {where} and has no transform, so that its place is unknown; give it one "
            "(gdal_edit.py -a_ullr LEFT TOP RIGHT BOTTOM ...), or take it as a plain pixel grid",
        ),
    )
