"""Ingestion of scenes: each is examined once, and copied where it cannot be compared in place.

A scene in one local file on the job's grid is used in place. A scene in several files, at a remote address or
on another grid (with `align`) is copied: to the job's grid, within the area of interest, with its mask
applied. Links that expire and items that a catalogue drops therefore do not affect later runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.checks.fill import probable_fill, without_fill
from rsdetect.devices import usable_cores
from rsdetect.doubts import settle_doubts
from rsdetect.errors import DoubtError, RsdetectError
from rsdetect.feeds.scene_refs import SceneRef
from rsdetect.files import hash_json
from rsdetect.grid import Window
from rsdetect.ingestion.coverage import footprint_on
from rsdetect.ingestion.ingested_scene import CLOUDED, FAILED, SET_ASIDE, USABLE, IngestedScene, copy_name
from rsdetect.ingestion.rasters import write_raster
from rsdetect.ingestion.scene_row import SceneRow
from rsdetect.ingestion.scene_view import (
    ingest_view,
    job_describes_masks,
    mask_of_job,
    mask_of_scene,
    source_describes_mask,
)
from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.ingestion.site import Site, scene_band_names, scene_headers
from rsdetect.ingestion.tries import MOST_TRIES, counts_as_try, given_up, today
from rsdetect.scenes.alignment import describe_mismatch, offset_between, same_crs
from rsdetect.scenes.aoi import inside_aoi
from rsdetect.scenes.band_files import file_version
from rsdetect.scenes.header import Header, read_header
from rsdetect.scenes.scene import Scene, physical_values, read_scene
from rsdetect.scenes.verify import verify_scenes
from rsdetect.secrets import without_signatures

_READING = 2  # version of how values are read; 2 = scale and offset are applied
_READING_SEVERAL = 3  # of several files; 3 = undeclared fill is left out


class SetAside(Exception):
    """Ingestion error: the scene cannot be compared, and a retry would not help."""


def ingest_scene(
    ref: SceneRef, known: SceneRow | None, site: Site, options: ScenesSection, copies: Path
) -> SceneRow:
    """Ingest a scene, unless `known` is its row and still up to date."""
    fingerprint = ingest_fingerprint(ref, site, options)
    if known is not None and known.fingerprint != fingerprint:
        known = None
    if known is not None and (known.state == SET_ASIDE or _is_ingested(known)):
        return known
    attempts = 0 if known is None else known.attempts
    state, reason, content = USABLE, "", {}
    try:
        content = ingest_content(ref, site, options, copies / copy_name(fingerprint))
        if content["valid_share"] < options.min_valid or content["valid_share"] == 0:
            state, reason = CLOUDED, f"{content['valid_share']:.1%} of its pixels are valid"
    except (SetAside, DoubtError) as error:
        state, reason = SET_ASIDE, str(error)
    except RsdetectError as error:
        last_day = None if known is None else known.content.get("failed_on")
        attempts += counts_as_try(error, last_day)
        state, reason, content = FAILED, str(error), {"failed_on": today()}
        if attempts >= MOST_TRIES:
            state, reason = SET_ASIDE, given_up(reason)
    return SceneRow(ref.id, ref.taken, fingerprint, state, reason, content, attempts, listed=True)


def _is_ingested(row: SceneRow) -> bool:
    """True if a scene need not be ingested again; so after its copy was pruned."""
    return row.state != FAILED and (row.content.get("pruned", False) or IngestedScene.of(row).is_on_disk)


def ingest_content(ref: SceneRef, site: Site, options: ScenesSection, copy: Path) -> dict[str, Any]:
    """Examine a scene, copy it where needed, and return its journal content.

    Raises
    ------
    SetAside, DoubtError
        It cannot be compared.
    RsdetectError
        It cannot be read now, or its copy cannot be written.
    """
    if ref.problem:
        raise SetAside(ref.problem)
    tiles = [_ingest_tile(tile, site, options) for tile in ref.tiles or (ref,)]
    verify_scenes(tuple(scene for tile in tiles for scene in tile.scenes), usable_cores())
    content = {
        "files": list(ref.files),
        "source": ref.source,
        "names": list(tiles[0].names),
        "ground": [ring for tile in tiles if (ring := footprint_on(tile.headers[0].grid, site.grid))],
        "replaces": list(ref.replaces),
    }
    blocks = _ingest_blocks(tiles, site)
    tally = _ValidShare(site)
    if len(tiles) > 1 or _needs_ingest_copy(ref, options, tiles[0]):
        write_raster(copy, site.grid, site.names, tally.counting(blocks))
        return content | {"path": str(copy), "mask": None, "valid_share": tally.share}
    for _ in tally.counting(blocks):
        pass
    return content | {
        "path": str(Path(ref.files[0]).absolute()),
        "mask": None if ref.mask is None else str(Path(ref.mask).absolute()),
        "valid_share": tally.share,
    }


@dataclass(frozen=True)
class _IngestTile:
    """One tile of an ingested scene, or the whole of it."""

    headers: list[Header]
    names: tuple[str, ...]
    warp: list[str | None]
    scenes: list[Scene]  # one per file
    fill: float | None = None  # undeclared, of several files: where all that lie on the grid hold it


def _ingest_tile(ref: SceneRef, site: Site, options: ScenesSection) -> _IngestTile:
    """Examine one tile of an ingested scene."""
    headers = scene_headers(ref, options.nodata, align=options.align)
    settle_doubts([doubt for header in headers for doubt in header.doubts], options.accept)
    names = scene_band_names(ref, headers)
    if len(names) != len(site.names) or (all(names) and all(site.names) and names != site.names):
        raise SetAside(f"its bands are {_band_list(names)}, those of the job {_band_list(site.names)}")
    _require_units(headers, site, options)
    warp = _ingest_resampling(headers, site, options)
    mask = mask_of_scene(ref, headers, options)
    scenes = [
        ingest_view(header, bands, site.grid, how, mask, options.nodata)
        for header, how, bands in zip(headers, warp, _ingest_band_numbers(headers), strict=True)
    ]
    if len(scenes) == 1:
        return _IngestTile(headers, names, warp, [_without_fill(scenes[0], site)])
    fill = _common_fill(scenes, site)
    if fill is not None:  # a warp would blend it with ground
        scenes = [without_fill(scene, fill) if scene.warp else scene for scene in scenes]
    return _IngestTile(headers, names, warp, scenes, fill)


def _require_units(headers: list[Header], site: Site, options: ScenesSection) -> None:
    """Set aside an ingested scene of integers whose units are declared otherwise than the job's."""
    scaled = any(header.scales for header in headers)
    if site.scaled is None or scaled == site.scaled or "units" in options.accept:
        return
    if scaled or headers[0].dtypes[0].startswith(("int", "uint")):
        has, have = ("declares", "do not") if scaled else ("declares no", "do")
        raise SetAside(
            f"it {has} scale and offset and the first scenes of the job {have}, so that its units "
            "may differ (accept: [units] goes on)"
        )


def _without_fill(scene: Scene, site: Site) -> Scene:
    """Ingested scene without undeclared fill along its border, which a median would take for ground."""
    if scene.warp or scene.validity.is_known:
        return scene
    fill = probable_fill(replace(scene, mask=None, scales=(), offsets=()), site.grid.window)
    return scene if fill is None else without_fill(scene, fill)


def _common_fill(scenes: list[Scene], site: Site) -> float | None:
    """Undeclared fill along the border of the files of an ingested scene; None without it."""
    own = [scene for scene in scenes if not scene.warp]
    if not own or any(scene.validity.is_known for scene in scenes):
        return None
    found = {
        probable_fill(replace(scene, mask=None, scales=(), offsets=()), site.grid.window) for scene in own
    }
    found -= {None}  # of a band that holds the value elsewhere too, as near infrared over water
    return found.pop() if len(found) == 1 else None


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


def _ingest_blocks(tiles: list[_IngestTile], site: Site) -> Iterator[tuple[Window, Float32Array]]:
    """Blocks of the site with the values of all bands, NaN where one band is invalid.

    Where the tiles of a mosaic overlap, the first valid one counts.
    """
    for window in site.blocks():
        found = np.full((len(site.names), *window.shape), np.nan, np.float32)
        for tile in tiles:
            parts = [read_scene(scene, window) for scene in tile.scenes]
            valid = np.logical_and.reduce([usable for _, usable in parts]) & np.isnan(found[0])
            if tile.fill is not None:
                holds = [
                    values == physical_values(scene, tile.fill)[:, None, None]
                    for scene, (values, _) in zip(tile.scenes, parts, strict=True)
                    if not scene.warp
                ]
                valid &= ~np.concatenate(holds).all(axis=0)
            np.copyto(found, np.concatenate([part for part, _ in parts]), where=valid)
            if not np.isnan(found[0]).any():
                break
        yield window, found


def _ingest_resampling(headers: list[Header], site: Site, options: ScenesSection) -> list[str | None]:
    """Resampling by which each file of an ingested scene is warped; None = it lies on the grid.

    With an area of interest, tiles of another CRS (UTM zone) are warped by default.
    """
    grid = site.grid
    how: list[str | None] = [
        None
        if header.control is None and offset_between(grid, header.grid) is not None
        else options.resampling
        for header in headers
    ]
    other_zone = site.aoi is not None and not same_crs(headers[0].grid.crs, grid.crs)
    if how[0] is not None and not (options.align or other_zone):
        what = describe_mismatch(grid, headers[0].grid)
        raise SetAside(f"its grid differs from the job's ({what}); align: true would warp it")
    if any(how) and (grid.crs is None or any(header.grid.crs is None for header in headers)):
        raise SetAside("its grid differs from the job's, and without a CRS it cannot be aligned")
    return how


def open_ingested(scene: IngestedScene, site: Site, options: ScenesSection) -> Scene:
    """Open an ingested scene with all its bands, to be read on the job's grid."""
    header = read_header(scene.path)
    mask = None
    if scene.mask is not None:
        mask = mask_of_job(scene.mask, options)
    return ingest_view(header, header.usable, site.grid, None, mask, options.nodata)


def _ingest_band_numbers(headers: list[Header]) -> list[tuple[int, ...]]:
    """Band numbers taken from each file of a scene: all of one file, the first of several."""
    return [header.usable for header in headers] if len(headers) == 1 else [(1,)] * len(headers)


def _needs_ingest_copy(ref: SceneRef, options: ScenesSection, tile: _IngestTile) -> bool:
    """True if a scene cannot be compared in place and must be copied."""
    own_mask = (
        ref.mask is not None
        and source_describes_mask(ref)
        and tile.scenes[0].mask != mask_of_job(ref.mask, options)
    )
    elsewhere = any(file_version(path) is None for path in (*ref.files, *([ref.mask] if ref.mask else ())))
    header = tile.headers[0]
    renamed = tile.names != header.names[: len(tile.names)]
    declared = any(ref.linear) or (ref.nodata is not None and ref.nodata == header.nodata)
    several = len(tile.headers) > 1 or header.files is not None
    return several or any(tile.warp) or own_mask or elsewhere or renamed or declared


def ingest_fingerprint(ref: SceneRef, site: Site, options: ScenesSection) -> str:
    """Fingerprint of an ingested scene: 16 hex digits that change with its files and with how they are read.

    The query of an address is left out, because the signatures of object stores change from hour to hour.
    """
    files = [(without_signatures(path), file_version(path)) for path in (*ref.files, *([ref.mask or ""]))]
    names = [(Path(path).name if version else path, version) for path, version in files]
    how = options.model_dump(mode="json", exclude={"exclude", "registered", "normalise"})
    how |= {"mask_fields": ref.mask_fields} if ref.mask_fields else {}
    how |= {"product_mask": "of the job"} if ref.mask is None and job_describes_masks(options) else {}
    parts = [ref.id, ref.taken.isoformat(), names, ref.band_names, ref.mask_values, ref.mask_bits, how]
    several = any(len(tile.files) > 1 for tile in ref.tiles or (ref,))
    reading = _READING_SEVERAL if several else _READING
    return hash_json([*parts, site.aoi_hash, ref.nodata, ref.linear, ref.problem, ref.mask_kind, reading])


def _band_list(names: tuple[str, ...]) -> str:
    """Names of an ingested scene's bands as text, or their number where a name is missing."""
    return ", ".join(names) if all(names) else f"{len(names)} without names"
