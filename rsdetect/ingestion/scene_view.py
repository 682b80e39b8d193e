"""Scenes on the job's grid, with the masks that their source, the job or their product describes."""

from __future__ import annotations

from rsdetect.feeds.scene_refs import SceneRef
from rsdetect.grid import Grid
from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.scenes.alignment import offset_between
from rsdetect.scenes.band_files import file_version
from rsdetect.scenes.header import Header
from rsdetect.scenes.masks import kind_of_mask
from rsdetect.scenes.scene import MaskFile, Scene
from rsdetect.scenes.validity import Nodata


def ingest_view(
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
    scales, offsets = header.linear_of(bands)
    return Scene(
        path=header.path,
        version=file_version(header.path) if header.files is None else header.files.version,
        grid=header.grid if warp is None else grid,
        bands=bands,
        dtype=header.dtypes[bands[0] - 1],
        validity=header.validity(bands, nodata),
        offset=offset,
        warp=warp,
        mask=mask,
        files=header.files,
        control=header.control,
        scales=scales,
        offsets=offsets,
        watched=header.watched,
    )


def mask_of_scene(ref: SceneRef, headers: list[Header], options: ScenesSection) -> MaskFile | None:
    """Mask of an ingested scene, or of its product, as its source, the job or the product describes it."""
    if ref.mask is None:
        files = headers[0].files
        if files is None or files.mask is None:
            return None
        path, meaning = files.mask
        if job_describes_masks(options):
            return mask_of_job(path, options)
        return MaskFile(path, file_version(path), meaning.values, meaning.bits, meaning.fields)
    if not source_describes_mask(ref):
        return mask_of_job(ref.mask, options)
    if ref.mask_kind != "plain":
        return MaskFile(ref.mask, file_version(ref.mask), kind=ref.mask_kind)
    return MaskFile(ref.mask, file_version(ref.mask), ref.mask_values, ref.mask_bits, ref.mask_fields)


def source_describes_mask(ref: SceneRef) -> bool:
    """True if the source of an ingested scene describes its mask, so that the job's options do not count."""
    return ref.mask_kind != "plain" or bool(ref.mask_values or ref.mask_bits or ref.mask_fields)


def job_describes_masks(options: ScenesSection) -> bool:
    """True if the job describes masks, those of ingested products too."""
    return bool(options.mask_values or options.mask_bits) or options.mask_kind != "auto"


def mask_of_job(path: str, options: ScenesSection) -> MaskFile:
    """Mask file with the values, bits or kind of the job."""
    if options.mask_values or options.mask_bits:
        return MaskFile(path, file_version(path), options.mask_values, options.mask_bits)
    return MaskFile(path, file_version(path), kind=kind_of_mask(path, options.mask_kind)[0])
