"""Ingestion of scenes: each is examined once, and copied where it cannot be compared in place.

A scene in one local file on the job's grid is used in place. A scene in several files, at a remote address or
on another grid (with `align`) is copied: to the job's grid, within the area of interest, with its mask
applied. Links that expire and items that a catalogue drops therefore do not affect later runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.checks.fill import probable_fill, without_fill
from rsdetect.doubts import settle_doubts
from rsdetect.errors import DoubtError, RsdetectError
from rsdetect.files import hash_json
from rsdetect.grid import Grid, Window
from rsdetect.monitoring.job import ScenesSection
from rsdetect.monitoring.journal import SceneRow
from rsdetect.monitoring.rasters import write_raster
from rsdetect.monitoring.scene_refs import SceneRef
from rsdetect.monitoring.site import Site, scene_band_names
from rsdetect.scenes.alignment import describe_mismatch, offset_between
from rsdetect.scenes.aoi import inside_aoi
from rsdetect.scenes.band_files import file_version
from rsdetect.scenes.header import Header, read_header
from rsdetect.scenes.scene import MaskFile, Scene, read_scene
from rsdetect.scenes.validity import Nodata
from rsdetect.secrets import without_signatures

USABLE, CLOUDED, SET_ASIDE, FAILED = "usable", "clouded", "set aside", "failed"


@dataclass(frozen=True)
class IngestedScene:
    """Ingested scene: comparable, or clouded, which is an observation of nothing."""

    id: str
    taken: datetime
    path: str  # one file on the job's grid
    mask: str | None  # None = the validity stored in the file
    fingerprint: str
    valid_share: float  # valid share of the pixels in the area of interest
    clouded: bool  # too few pixels are valid for a comparison

    @classmethod
    def of(cls, row: SceneRow) -> IngestedScene:
        """Ingested scene of a row of the journal."""
        found = row.content
        clouded = row.state == CLOUDED
        return cls(
            row.id, row.taken, found["path"], found["mask"], row.fingerprint, found["valid_share"], clouded
        )

    @property
    def is_copy(self) -> bool:
        """True when the job copied it onto its grid."""
        return Path(self.path).name == _copy_name(self.fingerprint)

    @property
    def is_complete(self) -> bool:
        """True if every pixel in the area of interest is valid."""
        return self.valid_share == 1.0

    @property
    def is_on_disk(self) -> bool:
        """False if a file of the ingested scene was removed."""
        return all(file_version(path) is not None for path in (self.path, self.mask) if path is not None)


class SetAside(Exception):
    """Ingestion error: the scene cannot be compared, and a retry would not help."""


def ingest_scene(
    ref: SceneRef, known: SceneRow | None, site: Site, options: ScenesSection, copies: Path
) -> SceneRow:
    """Ingest a scene, unless `known` is its row and still up to date."""
    fingerprint = _ingest_fingerprint(ref, site, options)
    if known is not None and known.fingerprint != fingerprint:
        known = None
    if known is not None and (known.state == SET_ASIDE or _is_ingested(known)):
        return known
    attempts = 0 if known is None else known.attempts
    state, reason, content = USABLE, "", {}
    try:
        content = _ingest_content(ref, site, options, copies / _copy_name(fingerprint))
        if content["valid_share"] < options.min_valid or content["valid_share"] == 0:
            state, reason = CLOUDED, f"{content['valid_share']:.1%} of its pixels are valid"
    except (SetAside, DoubtError) as error:
        state, reason = SET_ASIDE, str(error)
    except RsdetectError as error:
        state, reason, attempts = FAILED, str(error), attempts + 1
    return SceneRow(ref.id, ref.taken, fingerprint, state, reason, content, attempts, listed=True)


def _copy_name(fingerprint: str) -> str:
    return f"{fingerprint}.tif"


def _is_ingested(row: SceneRow) -> bool:
    """True if a scene need not be ingested again."""
    return row.state != FAILED and IngestedScene.of(row).is_on_disk


def _ingest_content(ref: SceneRef, site: Site, options: ScenesSection, copy: Path) -> dict[str, Any]:
    """Examine a scene, copy it where needed, and return its journal content."""
    headers = [read_header(path) for path in ref.files]
    settle_doubts([doubt for header in headers for doubt in header.doubts], options.accept)
    names = scene_band_names(ref, headers)
    if len(names) != len(site.names) or (all(names) and all(site.names) and names != site.names):
        raise SetAside(f"its bands are {_band_list(names)}, those of the job {_band_list(site.names)}")
    warp = _ingest_resampling(ref, headers, site.grid, options)
    mask = _ingest_mask(ref, options)
    scenes = [
        _ingest_view(_with_declared_nodata(header, ref), bands, site.grid, how, mask, options.nodata)
        for header, how, bands in zip(headers, warp, _ingest_band_numbers(headers), strict=True)
    ]
    if len(scenes) == 1:
        scenes = [_without_fill(scenes[0], site)]
    content = {"files": list(ref.files), "source": ref.source, "names": list(names)}
    if _needs_ingest_copy(ref, options, warp, names, headers):
        tally = _ValidShare(site)
        write_raster(copy, site.grid, site.names, tally.counting(_ingest_blocks(scenes, site)))
        return content | {"path": str(copy), "mask": None, "valid_share": tally.share}
    tally = _ValidShare(site)
    for _ in tally.counting(_ingest_blocks(scenes, site)):
        pass
    return content | {
        "path": str(Path(ref.files[0]).absolute()),
        "mask": None if ref.mask is None else str(Path(ref.mask).absolute()),
        "valid_share": tally.share,
    }


def _without_fill(scene: Scene, site: Site) -> Scene:
    """Ingested scene without undeclared fill along its border, which a median would take for ground."""
    if scene.warp or scene.validity.is_known:
        return scene
    fill = probable_fill(replace(scene, mask=None), site.grid.window)
    return scene if fill is None else without_fill(scene, fill)


class _ValidShare:
    """Counter of valid pixels in ingested blocks."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seen = self._valid = 0

    def counting(
        self, pieces: Iterator[tuple[Window, Float32Array]]
    ) -> Iterator[tuple[Window, Float32Array]]:
        """Pass ingested blocks through, and count their valid pixels in the area of interest."""
        for window, values in pieces:
            aoi = self._site.aoi
            inside = np.ones(window.shape, dtype=bool) if aoi is None else inside_aoi(aoi, window)
            self._seen += int(inside.sum())
            self._valid += int((inside & ~np.isnan(values[0])).sum())
            yield window, values

    @property
    def share(self) -> float:
        """Valid share of the ingested pixels in the area of interest."""
        return self._valid / self._seen if self._seen else 0.0


def _ingest_blocks(scenes: list[Scene], site: Site) -> Iterator[tuple[Window, Float32Array]]:
    """Blocks of the site with the values of all bands, NaN where one band is invalid."""
    for window in site.blocks():
        parts = [read_scene(scene, window) for scene in scenes]
        valid = np.logical_and.reduce([usable for _, usable in parts])
        values = np.concatenate([part for part, _ in parts])
        yield window, np.where(valid, values, np.float32(np.nan))


def _ingest_resampling(
    ref: SceneRef, headers: list[Header], grid: Grid, options: ScenesSection
) -> list[str | None]:
    """Resampling by which each file of an ingested scene is warped; None = it lies on the grid."""
    how: list[str | None] = [
        None if offset_between(grid, header.grid) is not None else options.resampling for header in headers
    ]
    if how[0] is not None and not options.align:
        what = describe_mismatch(grid, headers[0].grid)
        raise SetAside(f"its grid differs from the job's ({what}); align: true would warp it")
    if any(how) and grid.crs is None:
        raise SetAside("its grid differs from the job's, and without a CRS it cannot be aligned")
    return how


def _with_declared_nodata(header: Header, ref: SceneRef) -> Header:
    """Header of an ingested file with the catalogue's nodata, if the file declares none and has no mask."""
    if ref.nodata is None or header.has_mask:
        return header
    return replace(header, nodata=ref.nodata, nodatas=(ref.nodata,) * len(header.dtypes))


def _ingest_view(
    header: Header,
    bands: tuple[int, ...],
    grid: Grid,
    warp: str | None,
    mask: MaskFile | None,
    nodata: Nodata,
) -> Scene:
    """Scene of one ingested file on the job's grid, by offset or warp."""
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
        watched=header.watched,
    )


def open_ingested(scene: IngestedScene, site: Site, options: ScenesSection) -> Scene:
    """Open an ingested scene with all its bands, to be read on the job's grid."""
    header = read_header(scene.path)
    mask = None
    if scene.mask is not None:
        mask = MaskFile(scene.mask, file_version(scene.mask), options.mask_values, options.mask_bits)
    return _ingest_view(header, header.usable, site.grid, None, mask, options.nodata)


def _ingest_band_numbers(headers: list[Header]) -> list[tuple[int, ...]]:
    """Band numbers taken from each file of a scene: all of one file, the first of several."""
    return [header.usable for header in headers] if len(headers) == 1 else [(1,)] * len(headers)


def _ingest_mask(ref: SceneRef, options: ScenesSection) -> MaskFile | None:
    """Mask of a scene with the values and bits of its source, else those of the job."""
    if ref.mask is None:
        return None
    values, bits = ref.mask_values, ref.mask_bits
    if not values and not bits:
        values, bits = options.mask_values, options.mask_bits
    return MaskFile(ref.mask, file_version(ref.mask), values, bits)


def _needs_ingest_copy(
    ref: SceneRef,
    options: ScenesSection,
    warp: list[str | None],
    names: tuple[str, ...],
    headers: list[Header],
) -> bool:
    """True if a scene cannot be compared in place and must be copied."""
    own_mask = bool(ref.mask_values or ref.mask_bits) and (ref.mask_values, ref.mask_bits) != (
        options.mask_values,
        options.mask_bits,
    )
    elsewhere = any(file_version(path) is None for path in (*ref.files, *([ref.mask] if ref.mask else ())))
    renamed = names != headers[0].names[: len(names)]
    declared = ref.nodata is not None and not headers[0].has_mask
    return len(headers) > 1 or any(warp) or own_mask or elsewhere or renamed or declared


def _ingest_fingerprint(ref: SceneRef, site: Site, options: ScenesSection) -> str:
    """Fingerprint of an ingested scene: 16 hex digits that change with its files and with how they are read.

    The query of an address is left out, because the signatures of object stores change from hour to hour.
    """
    files = [(without_signatures(path), file_version(path)) for path in (*ref.files, *([ref.mask or ""]))]
    names = [(Path(path).name if version else path, version) for path, version in files]
    how = options.model_dump(mode="json", exclude={"exclude"})
    parts = [ref.id, ref.taken.isoformat(), names, ref.band_names, ref.mask_values, ref.mask_bits, how]
    return hash_json([*parts, site.aoi_hash, ref.nodata])


def _band_list(names: tuple[str, ...]) -> str:
    """Names of an ingested scene's bands as text, or their number where a name is missing."""
    return ", ".join(names) if all(names) else f"{len(names)} without names"
