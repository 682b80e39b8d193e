"""Take scenes in: look at each one once, and bring it to a form in which it can be compared.

A scene in one local file on the job's grid is used where it lies. One that comes in several files, lies
elsewhere, or on another grid (with `align`) is copied: onto the job's grid, within the area of interest, its
mask burnt in. So an address that expires, or a catalogue that drops an item, takes nothing away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.doubts import settle_doubts
from rsdetect.errors import DoubtError, RsdetectError
from rsdetect.files import hash_json
from rsdetect.grid import Grid, Window
from rsdetect.monitoring.job import ScenesSection
from rsdetect.monitoring.journal import SceneRow
from rsdetect.monitoring.rasters import write_raster
from rsdetect.monitoring.scenes import SceneRef
from rsdetect.monitoring.site import Site, band_names
from rsdetect.scenes.alignment import describe_mismatch, offset_between
from rsdetect.scenes.aoi import inside_aoi
from rsdetect.scenes.band_files import file_version
from rsdetect.scenes.header import Header, read_header
from rsdetect.scenes.scene import MaskFile, Scene, read_scene
from rsdetect.scenes.validity import Nodata

USABLE, CLOUDED, SET_ASIDE, FAILED = "usable", "clouded", "set aside", "failed"


@dataclass(frozen=True)
class TakenScene:
    """A scene that can be compared, or that says at least that nothing could be seen on its date."""

    id: str
    taken: datetime
    path: str  # one file on the job's grid
    mask: str | None  # None = the file itself says what is valid
    fingerprint: str
    valid_share: float  # of the pixels in the area of interest
    clouded: bool  # too little is valid to compare it

    @classmethod
    def of(cls, row: SceneRow) -> TakenScene:
        """What the journal knows of a scene that was taken in."""
        found = row.content
        clouded = row.state == CLOUDED
        return cls(
            row.id, row.taken, found["path"], found["mask"], row.fingerprint, found["valid_share"], clouded
        )

    @property
    def is_complete(self) -> bool:
        """True when every pixel in the area of interest is valid."""
        return self.valid_share == 1.0

    @property
    def is_there(self) -> bool:
        """False when its files are gone."""
        return all(file_version(path) is not None for path in (self.path, self.mask) if path is not None)


class SetAside(Exception):
    """The scene cannot be compared, through no fault that waiting would mend."""


def take_in(
    ref: SceneRef, known: SceneRow | None, site: Site, options: ScenesSection, copies: Path
) -> SceneRow:
    """Look at a scene, unless it is `known` as it is now."""
    fingerprint = _fingerprint(ref, site, options)
    if known is not None and known.fingerprint != fingerprint:
        known = None
    if known is not None and (known.state == SET_ASIDE or _is_settled(known)):
        return known
    attempts = 0 if known is None else known.attempts
    state, reason, content = USABLE, "", {}
    try:
        content = _look_at(ref, site, options, copies / f"{fingerprint}.tif")
        if content["valid_share"] < options.min_valid or content["valid_share"] == 0:
            state, reason = CLOUDED, f"{content['valid_share']:.1%} of its pixels are valid"
    except (SetAside, DoubtError) as error:
        state, reason = SET_ASIDE, str(error)
    except RsdetectError as error:
        state, reason, attempts = FAILED, str(error), attempts + 1
    return SceneRow(ref.id, ref.taken, fingerprint, state, reason, content, attempts, listed=True)


def _is_settled(row: SceneRow) -> bool:
    return row.state != FAILED and TakenScene.of(row).is_there


def _look_at(ref: SceneRef, site: Site, options: ScenesSection, copy: Path) -> dict[str, Any]:
    headers = [read_header(path) for path in ref.files]
    settle_doubts([doubt for header in headers for doubt in header.doubts], options.accept)
    names = band_names(ref, headers)
    if len(names) != len(site.names) or (all(names) and all(site.names) and names != site.names):
        raise SetAside(f"its bands are {_listed(names)}, and the job's {_listed(site.names)}")
    warp = _warp(ref, headers, site.grid, options)
    mask = _mask(ref, options)
    scenes = [
        _scene(_declared(header, ref), bands, site.grid, how, mask, options.nodata)
        for header, how, bands in zip(headers, warp, _bands(headers), strict=True)
    ]
    content = {"files": list(ref.files), "source": ref.source, "names": list(names)}
    if _needs_copy(ref, options, warp, names, headers):
        tally = _Tally(site)
        write_raster(copy, site.grid, site.names, tally.watched(_pieces(scenes, site)))
        return content | {"path": str(copy), "mask": None, "valid_share": tally.share}
    tally = _Tally(site)
    for _ in tally.watched(_pieces(scenes, site)):
        pass
    return content | {
        "path": str(Path(ref.files[0]).absolute()),
        "mask": None if ref.mask is None else str(Path(ref.mask).absolute()),
        "valid_share": tally.share,
    }


class _Tally:
    """Counts valid pixels as they go by."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seen = self._valid = 0

    def watched(self, pieces: Iterator[tuple[Window, Float32Array]]) -> Iterator[tuple[Window, Float32Array]]:
        for window, values in pieces:
            aoi = self._site.aoi
            inside = np.ones(window.shape, dtype=bool) if aoi is None else inside_aoi(aoi, window)
            self._seen += int(inside.sum())
            self._valid += int((inside & ~np.isnan(values[0])).sum())
            yield window, values

    @property
    def share(self) -> float:
        """Valid share of the pixels in the area of interest."""
        return self._valid / self._seen if self._seen else 0.0


def _pieces(scenes: list[Scene], site: Site) -> Iterator[tuple[Window, Float32Array]]:
    """The site's blocks with the values of all bands, NaN where one of them is not valid."""
    for window in site.blocks():
        parts = [read_scene(scene, window) for scene in scenes]
        valid = np.logical_and.reduce([usable for _, usable in parts])
        values = np.concatenate([part for part, _ in parts])
        yield window, np.where(valid, values, np.float32(np.nan))


def _warp(ref: SceneRef, headers: list[Header], grid: Grid, options: ScenesSection) -> list[str | None]:
    """How each file comes onto the grid: None = it lies there."""
    how: list[str | None] = [
        None if offset_between(grid, header.grid) is not None else options.resampling for header in headers
    ]
    if how[0] is not None and not options.align:
        what = describe_mismatch(grid, headers[0].grid)
        raise SetAside(f"it lies on another grid than the job ({what}); align: true would warp it")
    if any(how) and grid.crs is None:
        raise SetAside("it lies on another grid, and without a CRS it cannot be aligned")
    return how


def _declared(header: Header, ref: SceneRef) -> Header:
    """The header with the nodata value of the catalogue, where the file declares none and has no mask."""
    if ref.nodata is None or header.has_mask:
        return header
    return replace(header, nodata=ref.nodata, nodatas=(ref.nodata,) * len(header.dtypes))


def _scene(
    header: Header,
    bands: tuple[int, ...],
    grid: Grid,
    warp: str | None,
    mask: MaskFile | None,
    nodata: Nodata,
) -> Scene:
    offset = offset_between(grid, header.grid) if warp is None else (0, 0)
    assert offset is not None
    return Scene(
        path=header.path,
        version=file_version(header.path),
        grid=header.grid if warp is None else grid,
        bands=bands,
        dtype=header.dtypes[bands[0] - 1],
        validity=header.validity(bands, nodata),
        offset=offset,
        warp=warp,
        mask=mask,
    )


def open_taken(scene: TakenScene, site: Site, options: ScenesSection) -> Scene:
    """A scene that was taken in, all its bands, ready to be read on the job's grid."""
    header = read_header(scene.path)
    mask = None
    if scene.mask is not None:
        mask = MaskFile(scene.mask, file_version(scene.mask), options.mask_values, options.mask_bits)
    return _scene(header, header.usable, site.grid, None, mask, options.nodata)


def _bands(headers: list[Header]) -> list[tuple[int, ...]]:
    return [header.usable for header in headers] if len(headers) == 1 else [(1,)] * len(headers)


def _mask(ref: SceneRef, options: ScenesSection) -> MaskFile | None:
    if ref.mask is None:
        return None
    values, bits = ref.mask_values, ref.mask_bits
    if not values and not bits:
        values, bits = options.mask_values, options.mask_bits
    return MaskFile(ref.mask, file_version(ref.mask), values, bits)


def _needs_copy(
    ref: SceneRef,
    options: ScenesSection,
    warp: list[str | None],
    names: tuple[str, ...],
    headers: list[Header],
) -> bool:
    own_mask = bool(ref.mask_values or ref.mask_bits) and (ref.mask_values, ref.mask_bits) != (
        options.mask_values,
        options.mask_bits,
    )
    elsewhere = any(file_version(path) is None for path in (*ref.files, *([ref.mask] if ref.mask else ())))
    renamed = names != headers[0].names[: len(names)]
    declared = ref.nodata is not None and not headers[0].has_mask
    return len(headers) > 1 or any(warp) or own_mask or elsewhere or renamed or declared


def _fingerprint(ref: SceneRef, site: Site, options: ScenesSection) -> str:
    """16 hexadecimal digits that change when the files, or how they are read, do.

    What follows a question mark in an address is left out: keys to a store change from hour to hour.
    """
    files = [(path.partition("?")[0], file_version(path)) for path in (*ref.files, *([ref.mask or ""]))]
    names = [(Path(path).name if version else path, version) for path, version in files]
    how = options.model_dump(mode="json", exclude={"exclude"})
    told = [ref.id, ref.taken.isoformat(), names, ref.band_names, ref.mask_values, ref.mask_bits, how]
    return hash_json([*told, site.aoi_hash, ref.nodata])


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) if all(names) else f"{len(names)} without names"
