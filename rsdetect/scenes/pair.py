"""Pair of scenes, opened by headers only. The grids are compared only here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict

import numpy as np

from rsdetect.doubts import Doubt, require_known_doubts, settle_doubts
from rsdetect.errors import InputError
from rsdetect.grid import Grid, Window
from rsdetect.scenes.alignment import (
    require_same_georeference,
)
from rsdetect.scenes.aoi import AoiLike, crop_to_area, inside_aoi, read_aoi, settle_aoi, touches_window
from rsdetect.scenes.aoi_layers import layer_notes
from rsdetect.scenes.band_files import BandFiles, file_version
from rsdetect.scenes.bands import BandChoice, WantedBands, choose_bands, parse_bands
from rsdetect.scenes.common_grid import on_common_grid
from rsdetect.scenes.dates import acquisition_date
from rsdetect.scenes.extent import require_plausible
from rsdetect.scenes.header import Header
from rsdetect.scenes.masks import masks_of_pair
from rsdetect.scenes.normalisation import NORMALISATIONS, PERCENTILE, PairNormalisation
from rsdetect.scenes.opening import header_of, open_source
from rsdetect.scenes.quality import MASK_KINDS
from rsdetect.scenes.remote_files import RemoteFile
from rsdetect.scenes.scene import MaskFile, Scene, read_scene
from rsdetect.scenes.source import SceneLike, Source
from rsdetect.scenes.validity import Nodata, Validity, parse_nodata
from rsdetect.scenes.watched import Watched, WatchedFile, require_unchanged
from rsdetect.tiles import Tile, TileWindow
from rsdetect.validation import integer, number_or_name, settle_case, settle_sequences, text

RESAMPLINGS = ("nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average")


class PairKeywords(TypedDict, total=False):
    """Keywords of `PairOptions`, for typed calls."""

    bands: Sequence[int | str] | None
    masks: Sequence[str | Path] | str | Path
    mask_values: Sequence[int] | int
    mask_bits: Sequence[int] | int
    mask_kind: Sequence[str] | str
    aoi: AoiLike | None
    align: bool
    resampling: str
    register: bool
    normalise: str
    nodata: Sequence[float | str] | float | str
    dates: tuple[str, str] | None
    accept: Sequence[str] | str


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """Options of reading a pair."""

    bands: Sequence[int | str] | None = None  # numbers from 1 or names; None = the detector's choice
    masks: tuple[str, ...] = ()  # one file for both dates, or one for each; "" = none for that date
    mask_values: tuple[int, ...] = ()  # mask pixels with these values are not usable
    mask_bits: tuple[int, ...] = ()  # mask pixels with one of these bits set are not usable; 0 = lowest
    mask_kind: tuple[str, ...] = ()  # of MASK_KINDS, one for both dates or one for each; () = by the name
    # One for both dates or one for each: a number, "none" or "auto" (what the scene itself declares).
    nodata: tuple[Nodata, ...] = ()
    aoi: AoiLike | None = None  # only pixels with their centre in its polygons are scored
    align: bool = False  # warp after onto before's grid where the grids differ
    resampling: str = "bilinear"  # one of RESAMPLINGS, used by align
    register: bool = False  # measure the displacement of after's content, and undo it
    # How the values of both dates are made comparable, one of NORMALISATIONS.
    normalise: str = "percentile"
    dates: tuple[str, str] | None = None  # ISO dates; None = from the files
    accept: tuple[str, ...] = ()  # names of doubts (rsdetect.doubts) with which the job goes on

    def __post_init__(self) -> None:
        if isinstance(self.bands, str):  # as on the command line
            object.__setattr__(self, "bands", parse_bands(self.bands))
        settle_sequences(
            self,
            bands=number_or_name,
            masks=text,
            mask_values=integer,
            mask_bits=integer,
            dates=text,
            mask_kind=text,
            accept=text,
            nodata=parse_nodata,
        )
        settle_case(self, "mask_kind", "normalise", "resampling", "accept")
        for kind in self.mask_kind:
            if kind not in MASK_KINDS:
                raise InputError(f"`mask_kind` {kind!r} is unknown; choose one of {', '.join(MASK_KINDS)}.")
        if self.normalise not in NORMALISATIONS:
            raise InputError(
                f"`normalise` {self.normalise!r} is unknown; choose one of {', '.join(NORMALISATIONS)}."
            )
        if len(self.mask_kind) > 2:
            raise InputError(
                f"`mask_kind` takes one kind for both dates or two, and got {len(self.mask_kind)}."
            )
        if len(self.nodata) > 2:
            raise InputError(f"`nodata` takes one value for both dates or two, and got {len(self.nodata)}.")
        require_known_doubts(self.accept)
        object.__setattr__(self, "aoi", settle_aoi(self.aoi))
        if self.dates is not None and len(self.dates) != 2:
            raise InputError(f"`dates` takes two ISO dates, before and after, and got {len(self.dates)}.")


@dataclass(frozen=True)
class Pair:
    """Pair of scenes on one grid. A description: it can be pickled and holds no open file."""

    before: Scene
    after: Scene
    grid: Grid  # what both scenes cover, within the box of the area of interest
    covered: Window  # what both scenes cover, in pixels of `grid`
    bands: tuple[str, ...]  # names of the compared bands, in order
    # Which of the detector's own bands each one is, 0 = its first; empty where it has none of its own.
    slots: tuple[int, ...]
    before_date: str | None  # ISO date; None = unknown
    after_date: str | None
    aoi: bytes | None = None  # WKB polygons in (column, row) of `grid`; None = everywhere
    normalisation: PairNormalisation = PERCENTILE  # applied to the values of after
    notes: tuple[str, ...] = field(default=(), compare=False)  # what the user should know
    doubts: tuple[Doubt, ...] = field(default=(), compare=False, repr=False)  # that the user accepts

    @property
    def has_georeference(self) -> bool:
        """False for a pair on a plain pixel grid, where areas are in pixels."""
        return self.grid.crs is not None

    def require_unchanged(self) -> None:
        """Raise `SourceChanged` where a file of a scene or a mask is another by now."""
        require_unchanged(self._watched())

    @property
    def local_files(self) -> tuple[str, ...]:
        """Paths of the local files that its pixels come from."""
        return tuple(file.path for file in self._watched() if isinstance(file, WatchedFile))

    @property
    def remote_states(self) -> list[tuple[str, str, str]]:
        """Length, ETag and time of modification of the files on servers, as their servers state them."""
        found = (each for each in self._watched() if isinstance(each, RemoteFile))
        return [(each.length, each.etag, each.modified) for each in found]

    def _watched(self) -> tuple[Watched, ...]:
        scenes = (self.before, self.after)
        masks = [scene.mask.watched for scene in scenes if scene.mask is not None]
        return sum([scene.watched for scene in scenes] + masks, ())

    def intersects_aoi(self, window: Window) -> bool:
        """True if some pixel of `window` is inside the pair's area of interest."""
        if self.aoi is None:
            return not window.intersection(self.grid.window).is_empty
        return touches_window(self.aoi, window)


def open_pair(
    before: SceneLike,
    after: SceneLike,
    options: PairOptions | None = None,
    *,
    wanted: WantedBands | None = None,
) -> Pair:
    """Open a pair: read both headers and resolve grid, bands, masks and dates.

    Parameters
    ----------
    before, after
        Anything GDAL opens: a path, a URL, `/vsicurl/...`, `/vsis3/...`; band files, as a list or by name; an
        open rasterio dataset; an xarray DataArray with dims y, x and perhaps a band; any other `Source`.
    wanted
        The bands that the detector requires; None = any.

    Raises
    ------
    SceneError
        One of them is not a raster on a regular grid.
    GridMismatch
        The grids differ and `options.align` is off, or one scene alone has a georeference.
    NothingToCompare
        The scenes do not overlap.
    DoubtError
        Place, validity or units of a scene are not certain, and `options.accept` does not name the doubt.
    InputError
        Bands or options that cannot be met.
    """
    options = options or PairOptions()
    if options.resampling not in RESAMPLINGS:
        raise InputError(
            f"`resampling` {options.resampling!r} is unknown; choose one of {', '.join(RESAMPLINGS)}."
        )
    nodata = options.nodata or ("auto",)
    sources = open_source(before, "before", nodata[0]), open_source(after, "after", nodata[-1])
    first, second = (header_of(source, align=options.align) for source in sources)
    doubts = settle_doubts((*first.doubts, *second.doubts, *_units(first, second)), options.accept)
    require_same_georeference(
        (first.path, first.grid, first.georeferenced), (second.path, second.grid, second.georeferenced)
    )
    choice = choose_bands(first, second, options.bands, wanted)
    scenes = _scene(first, sources[0]), _scene(second, sources[1])
    grid, before_scene, after_scene, notes = on_common_grid(
        first, second, scenes, align=options.align, resampling=options.resampling
    )
    aoi, covered = None, grid.window
    if options.aoi is not None:
        part, aoi = crop_to_area(read_aoi(options.aoi, grid), grid)
        notes += layer_notes(options.aoi)
        grid, covered = grid.crop(part), covered.shifted(-part.row_off, -part.col_off)
        before_scene, after_scene = _moved(before_scene, part), _moved(after_scene, part)
    require_plausible(grid, first.path, second.path)
    before_mask, after_mask = masks_of_pair(options, before_scene, after_scene)
    before_date, after_date = options.dates or (acquisition_date(first), acquisition_date(second))
    return Pair(
        before=_with_bands(before_scene, first, choice.before, before_mask, nodata[0]),
        after=_with_bands(after_scene, second, choice.after, after_mask, nodata[-1]),
        grid=grid,
        covered=covered,
        bands=choice.names,
        slots=choice.slots,
        before_date=before_date,
        after_date=after_date,
        aoi=aoi,
        notes=_notes_of_files(first, second) + notes + choice.notes + _warnings(first, second, choice),
        doubts=doubts,
    )


def read_tile(pair: Pair, tile: TileWindow) -> Tile:
    """Read both dates of a pair in `tile.read`; the only place where pixels of a pair are read.

    Outside the grid, outside the area of interest and where either date is not valid, `valid` is False.

    Raises
    ------
    ReadError, SourceUnavailable
        A file broke while it was read, or its server went away; the message names the file.
    """
    window = tile.read
    before, before_valid = read_scene(pair.before, window)
    after, after_valid = read_scene(pair.after, window)
    inside = window.intersection(pair.grid.window)
    after = pair.normalisation.apply(after, after_valid)
    rows, cols = inside.slices_in(window)
    within = np.zeros(window.shape, dtype=bool)
    within[rows, cols] = True if pair.aoi is None else inside_aoi(pair.aoi, inside)
    return Tile(tile.core, window, before, after, before_valid & within, after_valid & within)


def _moved(scene: Scene, part: Window) -> Scene:
    """The scene for a pair that begins at the first pixel of `part`."""
    row, col = scene.offset
    return replace(scene, offset=(row + part.row_off, col + part.col_off))


def _version(header: Header, source: str | BandFiles | Source) -> tuple[int, int] | None:
    if isinstance(source, BandFiles):
        return source.version
    return file_version(header.path) if isinstance(source, str) else None


def _scene(header: Header, source: str | BandFiles | Source) -> Scene:
    return Scene(
        path=header.path,
        version=_version(header, source),
        grid=header.grid,
        bands=(),
        dtype="",
        validity=Validity(),
        nodata=header.nodata,
        blocks=header.block_shape,
        source=None if isinstance(source, str | BandFiles) else source,
        files=header.files,
        control=header.control,
        watched=header.watched,
    )


def _with_bands(
    scene: Scene, header: Header, bands: tuple[int, ...], mask: MaskFile | None, nodata: Nodata
) -> Scene:
    dtypes = {header.dtypes[band - 1] for band in bands}
    scales, offsets = header.linear_of(bands)
    return replace(
        scene,
        bands=bands,
        dtype=", ".join(sorted(dtypes)),
        mask=mask,
        validity=header.validity(bands, nodata),
        scales=scales,
        offsets=offsets,
    )


def _notes_of_files(*headers: Header) -> tuple[str, ...]:
    """Notes on a pair's scenes of band files, without duplicates."""
    return tuple(dict.fromkeys(note for each in headers if each.files for note in each.files.notes))


def _warnings(first: Header, second: Header, choice: BandChoice) -> tuple[str, ...]:
    warnings = []
    if first.dtypes[0] != second.dtypes[0]:
        warnings.append(
            f"{first.path} holds {first.dtypes[0]} values and {second.path} {second.dtypes[0]}: "
            "each date is normalised by its own statistics."
        )
    for header, bands in ((first, choice.before), (second, choice.after)):
        if header.has_palette:
            warnings.append(
                f"{header.path} holds the numbers of a palette's colours, not the colours: expand it first "
                "(gdal_translate -expand rgb ...)."
            )
        if header.alpha is not None and header.alpha not in bands:
            warnings.append(
                f"band {header.alpha} of {header.path} is marked as alpha: it marks valid pixels "
                "and is not compared (`bands` can name it as data)."
            )
    return tuple(warnings)


def _units(first: Header, second: Header) -> tuple[Doubt, ...]:
    """The doubt about integer scenes whose scale is known on one date alone."""
    for one, other in ((first, second), (second, first)):
        if one.scales and not other.scales and other.dtypes[0].startswith(("int", "uint")):
            scale, offset = one.scales[0], one.offsets[0]
            each, remedy = "", f"gdal_edit.py -scale {scale:g} -offset {offset:g} ..."
            if len({*one.scales}) > 1 or len({*one.offsets}) > 1:
                each = " in the first band, and others in the others,"
                remedy = "of each band, or the metadata of its product beside it"
            return (
                Doubt(
                    "units",
                    f"{one.path} says that its values are number * {scale:g} {offset:+g}{each} and "
                    f"{other.path}, of integers too, declares nothing, so that their units may differ; give "
                    f"it scale and offset ({remedy})",
                ),
            )
    return ()
