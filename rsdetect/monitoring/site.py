"""Where a job looks: the grid and bands that its scenes share, settled once, and the area of interest on it.

The grid is that of the fixed baseline where the job names one, else of the earliest readable scene of the
first run. It stays: what is compared in a year must lie on the grid of what was compared today.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affine import Affine

from rsdetect.doubts import settle_doubts
from rsdetect.errors import DoubtError, InputError, NothingToCompare, SceneError
from rsdetect.files import hash_bytes
from rsdetect.grid import Grid, Window
from rsdetect.monitoring.scenes import SceneRef
from rsdetect.scenes.aoi import read_aoi, touches_window
from rsdetect.scenes.bands import WantedBands, choose_bands
from rsdetect.scenes.header import Header, read_header

_BLOCK = 512  # edge of the windows in which scenes are read, in pixels


@dataclass(frozen=True)
class Site:
    """What all scenes of a job are brought to."""

    grid: Grid
    names: tuple[str, ...]  # of the bands, in order; "" where nobody named one
    aoi: bytes | None  # WKB polygons in (column, row) of `grid`; None = everywhere
    aoi_path: str | None  # the file that they come from
    aoi_hash: str  # of its content; "" without one

    def as_fact(self) -> dict[str, Any]:
        """What the journal remembers of it; the area of interest is read anew by each run."""
        grid = self.grid
        place = {"crs": grid.crs, "transform": list(grid.transform)[:6]}
        return place | {"height": grid.height, "width": grid.width, "names": list(self.names)}

    def blocks(self) -> Iterator[Window]:
        """Windows that cover the area of interest."""
        for block in self.grid.window.blocks(_BLOCK):
            if self.aoi is None or touches_window(self.aoi, block):
                yield block


def band_names(ref: SceneRef, headers: Sequence[Header]) -> tuple[str, ...]:
    """Names of a scene's bands: as its source says, else as its files do.

    Raises
    ------
    InputError
        The source names another number of bands than there are.
    """
    if len(headers) > 1:
        return tuple(name.lower() for name in ref.band_names) or ("",) * len(headers)
    usable = headers[0].usable
    if usable != tuple(range(1, len(usable) + 1)):
        raise InputError(f"{ref.files[0]} has an alpha band before its last band; put it at the end.")
    if ref.band_names and len(ref.band_names) != len(usable):
        raise InputError(f"{ref.id} names {len(ref.band_names)} bands and has {len(usable)}.")
    return tuple(name.lower() for name in ref.band_names) or headers[0].names[: len(usable)]


def require_bands(site: Site, bands: Sequence[int | str] | None, wanted: WantedBands | None) -> None:
    """Refuse bands that the scenes of a site do not have, before any of them is compared.

    Parameters
    ----------
    bands
        What the job asks for; None = the detector's choice.
    wanted
        What the detector wants; None = any.

    Raises
    ------
    InputError
        A band does not exist, or there are fewer than the detector wants.
    """
    dtypes = ("float32",) * len(site.names)
    place = ("each scene", site.grid, site.grid.crs is not None, dtypes, site.names)
    scene = Header(*place, None, False, None, False, {}, (1, 1))
    choose_bands(scene, scene, bands, wanted)


def known_site(fact: dict[str, Any], aoi: Path | None) -> Site:
    """The site that the journal remembers; `aoi` is read anew."""
    grid = Grid(fact["crs"], Affine(*fact["transform"]), fact["height"], fact["width"])
    return _site(grid, tuple(fact["names"]), aoi)


def settle_site(
    refs: Sequence[SceneRef], fixed: str | None, aoi: Path | None, accept: Sequence[str] = ()
) -> Site | None:
    """The site of a new job: of the first scene that can be read and touches the area of interest.

    Parameters
    ----------
    refs
        The listed scenes, by date.
    fixed
        Id of the scene that is everybody's baseline; None = there is none.
    accept
        Names of doubts with which a scene is taken all the same.

    Returns
    -------
    Site or None
        None = no scene can be read now.

    Raises
    ------
    InputError
        The area of interest cannot be read.
    NothingToCompare
        It lies outside all scenes.
    """
    outside = None
    for ref in sorted(refs, key=lambda ref: ref.id != fixed):
        try:
            headers = [read_header(path) for path in ref.files]
            settle_doubts([doubt for header in headers for doubt in header.doubts], accept)
            return _site(headers[0].grid, band_names(ref, headers), aoi)
        except NothingToCompare as error:
            outside = error
        except (SceneError, DoubtError):
            continue  # it is told of where scenes are taken in
    if outside is not None:
        raise NothingToCompare(f"the area of interest in {aoi} lies outside all {len(refs)} scenes.")
    return None


def _site(grid: Grid, names: tuple[str, ...], aoi: Path | None) -> Site:
    if aoi is None:
        return Site(grid, names, None, None, "")
    area = read_aoi(str(aoi), grid)
    return Site(grid, names, area, str(aoi), hash_bytes(area))
