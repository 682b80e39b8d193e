"""Site of a job: the grid and bands its scenes share, chosen once, and the area of interest on it.

The grid is that of the fixed baseline where the job names one, else that of the earliest readable scene of
the first run, extended over the area of interest as far as any scene covers it. It never changes: scenes of
later years must lie on the grid of today's comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from affine import Affine

from rsdetect.doubts import settle_doubts
from rsdetect.errors import DoubtError, InputError, NothingToCompare, RsdetectError, SceneError
from rsdetect.feeds.scene_refs import SceneRef
from rsdetect.files import hash_bytes
from rsdetect.grid import Grid, Window
from rsdetect.ingestion.coverage import covering_grid
from rsdetect.scenes.alignment import offset_between
from rsdetect.scenes.aoi import Area, read_aoi, touches_window
from rsdetect.scenes.bands import WantedBands, choose_bands
from rsdetect.scenes.header import Header
from rsdetect.scenes.opening import header_of, open_source
from rsdetect.scenes.validity import Nodata

_BLOCK = 512  # edge of the windows that scenes are read in, in pixels


@dataclass(frozen=True)
class Site:
    """Site of a job: grid, band names and area of interest, common to all its scenes."""

    grid: Grid
    names: tuple[str, ...]  # band names, in order; "" where a band has no name
    aoi: bytes | None  # WKB polygons in (column, row) of `grid`; None = the whole grid
    aoi_given: str | Area | None  # the file with these polygons, or the polygons as given
    aoi_hash: str  # hash of the WKB; "" without an area
    scaled: bool | None = None  # the scenes have a known scale and offset; None = unknown

    def as_journal_fact(self) -> dict[str, Any]:
        """Site as stored in the journal; the area of interest is read from its file by every run."""
        grid = self.grid
        place = {"crs": grid.crs, "transform": list(grid.transform)[:6]}
        size = {"height": grid.height, "width": grid.width, "names": list(self.names)}
        return place | size | {"scaled": self.scaled}

    def blocks(self, edge: int = _BLOCK) -> Iterator[Window]:
        """Iterate over the windows of the site's grid that touch its area of interest."""
        for block in self.grid.window.blocks(edge):
            if self.aoi is None or touches_window(self.aoi, block):
                yield block


def scene_band_names(ref: SceneRef, headers: Sequence[Header]) -> tuple[str, ...]:
    """Names of a scene's bands for the site: those of its source, else those in its files.

    Raises
    ------
    InputError
        The source names more or fewer bands than the file has.
    """
    if len(headers) > 1:
        return tuple(name.lower() for name in ref.band_names) or ("",) * len(headers)
    usable = headers[0].usable
    if usable != tuple(range(1, len(usable) + 1)):
        raise InputError(f"{ref.files[0]} has an alpha band before its last band; move it to the end.")
    if ref.band_names and len(ref.band_names) != len(usable):
        raise InputError(f"{ref.id} is listed with {len(ref.band_names)} bands and has {len(usable)}.")
    return tuple(name.lower() for name in ref.band_names) or headers[0].names[: len(usable)]


def require_site_bands(site: Site, bands: Sequence[int | str] | None, wanted: WantedBands | None) -> None:
    """Raise if the scenes of a site lack requested bands, before anything is compared.

    Parameters
    ----------
    bands
        Bands requested by the job; None = those of the detector.
    wanted
        Bands the detector requires; None = any.

    Raises
    ------
    InputError
        A band does not exist, or there are fewer than the detector requires.
    """
    dtypes = ("float32",) * len(site.names)
    place = ("each scene", site.grid, site.grid.crs is not None, dtypes, site.names)
    scene = Header(*place, None, False, None, False, {}, (1, 1))
    choose_bands(scene, scene, bands, wanted)


def site_from_journal(fact: dict[str, Any], aoi: str | Area | None) -> Site:
    """Site as stored in the journal; its area of interest is read again from `aoi`."""
    grid = Grid(fact["crs"], Affine(*fact["transform"]), fact["height"], fact["width"])
    return replace(site_within_aoi(grid, tuple(fact["names"]), aoi), scaled=fact.get("scaled"))


def choose_site(
    refs: Sequence[SceneRef],
    fixed: str | None,
    aoi: str | Area | None,
    accept: Sequence[str] = (),
    *,
    align: bool = False,
) -> Site | None:
    """Choose the site of a new job: the grid of the first readable scene that touches the area of interest.

    Parameters
    ----------
    refs
        The listed scenes, by date.
    fixed
        Id of the scene of a fixed baseline; None = no fixed baseline.
    accept
        Names of doubts with which scenes are accepted.
    align
        Take scenes that only ground control points place.

    Returns
    -------
    Site or None
        None = no scene is readable now.

    Raises
    ------
    InputError
        The area of interest cannot be read.
    NothingToCompare
        The area of interest lies outside all scenes.
    """
    outside = None
    for ref in sorted(refs, key=lambda ref: ref.id != fixed):
        for tile in ref.tiles or (ref,):
            try:
                headers = scene_headers(tile, align=align)
                settle_doubts([doubt for header in headers for doubt in header.doubts], accept)
                names = scene_band_names(tile, headers)
                site_within_aoi(headers[0].grid, names, aoi)  # which refuses a tile beside the area
                grid = _grid_of_all(headers[0].grid, ref, refs, aoi)
                scaled = any(header.scales for header in headers)
                return replace(site_within_aoi(grid, names, aoi), scaled=scaled)
            except NothingToCompare as error:
                outside = error
            except (SceneError, DoubtError):
                continue  # reported when the scenes are ingested
    if outside is not None:
        where = aoi if isinstance(aoi, Area) else f"the area of interest in {aoi}"
        raise NothingToCompare(f"{where} lies outside all {len(refs)} scenes.")
    return None


def scene_headers(ref: SceneRef, nodata: Nodata = "auto", *, align: bool = False) -> list[Header]:
    """Headers of a scene's files, with the nodata value, scale and offset of its source.

    Raises
    ------
    SceneError
        A file cannot be read.
    """
    headers = [header_of(open_source(path, nodata=nodata), align=align) for path in ref.files]
    linear = ref.linear or (None,) * len(headers)
    found = []
    for header, declared in zip(headers, linear, strict=True):
        count = len(header.dtypes)
        if declared is not None:
            header = replace(header, scales=(declared[0],) * count, offsets=(declared[1],) * count)
        if ref.nodata is not None and not header.has_mask:
            header = replace(header, nodata=ref.nodata, nodatas=(ref.nodata,) * count)
        found.append(header)
    return found


def _grid_of_all(grid: Grid, ref: SceneRef, refs: Sequence[SceneRef], aoi: str | Area | None) -> Grid:
    """The site's grid extended over the tiles of its first pass, or over its area of interest."""
    tiles = [tile for each in (refs if aoi is not None else [ref]) for tile in each.tiles or (each,)]
    grids = []
    for tile in tiles:
        try:
            grids.append(header_of(open_source(tile.files[0])).grid)
        except RsdetectError:
            continue  # reported when the scenes are ingested
    if aoi is None:
        grids = [other for other in grids if offset_between(grid, other) is not None] if ref.tiles else []
    return covering_grid(grid, grids, aoi)


def site_within_aoi(grid: Grid, names: tuple[str, ...], aoi: str | Area | None) -> Site:
    """Site of a grid, with its area of interest converted to pixel coordinates."""
    if aoi is None:
        return Site(grid, names, None, None, "")
    area = read_aoi(aoi, grid)
    return Site(grid, names, area, aoi, hash_bytes(area))
