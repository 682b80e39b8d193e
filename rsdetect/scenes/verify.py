"""Verification of the blocks of GeoTIFFs, which GDAL decodes without checking their checksums.

Deflate ends in a checksum of its content, which libtiff ignores. Of other codecs (LZW, ZSTD as libtiff writes
it, JPEG, none) only the lengths can be verified: a flipped bit goes unnoticed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rsdetect.errors import ReadError
from rsdetect.scenes.handles import open_raster, with_gdal_environment
from rsdetect.scenes.scene import Scene

_WITH_CHECKSUM = ("DEFLATE",)
_PIECE_BYTES = 2**20


@dataclass(frozen=True)
class Verified:
    """Verification of one file: what it covered."""

    path: str
    codec: str  # GDAL's name of the compression; "" = the file is no local GeoTIFF
    blocks: int  # that were read

    @property
    def doubt(self) -> str:
        """Reason why a corrupt block may have passed; "" after a complete verification."""
        if not self.codec:
            return f"{self.path} is not a GeoTIFF on this machine, so its blocks cannot be verified."
        if self.codec not in _WITH_CHECKSUM:
            return (
                f"{self.path} is compressed by {self.codec}, which has no checksum: of its {self.blocks} "
                "blocks only the lengths were verified."
            )
        return ""


@dataclass(frozen=True)
class _Block:
    row: int  # of the block's first pixel
    col: int
    offset: int  # in the file, bytes
    size: int
    decoded: int | None  # bytes that it must decode to; None = unknown


def verify_scenes(scenes: tuple[Scene, ...], workers: int) -> list[Verified]:
    """Verify every block of the files of scenes and of their masks.

    Raises
    ------
    ReadError
        A block is corrupt or not all there; the message names file and place.
    """
    paths: dict[str, None] = {}
    for scene in scenes:
        own = [scene.path] if scene.files is None else [file.path for file in scene.files.files]
        own += [scene.mask.path] if scene.mask is not None else []
        paths |= dict.fromkeys(own)
    return [_verify(path, workers) for path in paths]


@with_gdal_environment
def _verify(path: str, workers: int) -> Verified:
    if not Path(path).is_file():
        return Verified(path, "", 0)
    with open_raster(path) as dataset:
        if dataset.driver not in ("GTiff", "COG"):
            return Verified(path, "", 0)
        codec = dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION", "NONE")
        blocks = list(_blocks(dataset))
    check = partial(_verify_block, path, codec, Path(path).stat().st_size)
    with ThreadPoolExecutor(workers, thread_name_prefix="verify") as pool:
        for _ in pool.map(check, blocks, chunksize=1):
            pass
    return Verified(path, codec, len(blocks))


def _blocks(dataset: Any) -> Iterator[_Block]:
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    together = structure.get("INTERLEAVE") == "PIXEL"
    high, wide = dataset.block_shapes[0]
    in_strips = wide == dataset.width and not dataset.profile.get("tiled", False)
    for band in (1,) if together else range(1, dataset.count + 1):
        bits = dataset.tags(band, ns="IMAGE_STRUCTURE").get("NBITS")
        pixel = np.dtype(dataset.dtypes[band - 1]).itemsize * (dataset.count if together else 1)
        for row in range(-(-dataset.height // high)):
            rows = min(high, dataset.height - row * high) if in_strips else high
            for col in range(-(-dataset.width // wide)):
                offset, size = (
                    int(dataset.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=band) or 0)
                    for what in ("OFFSET", "SIZE")
                )
                if size:  # a block that was never written has none, and reads as nodata
                    decoded = None if bits else rows * wide * pixel
                    yield _Block(row * high, col * wide, offset, size, decoded)


def _verify_block(path: str, codec: str, file_bytes: int, block: _Block) -> None:
    place = f"{path} is damaged in its block at row {block.row}, column {block.col}"
    if block.offset + block.size > file_bytes:
        raise ReadError(f"{place}: the file ends before it.")
    if codec == "NONE" and block.decoded is not None and block.size < block.decoded:
        raise ReadError(f"{place}: it has {block.size} of {block.decoded} bytes.")
    if codec not in _WITH_CHECKSUM:
        return
    decoder, decoded, left = zlib.decompressobj(), 0, block.size
    try:
        with Path(path).open("rb") as file:
            file.seek(block.offset)
            while left and not decoder.eof:
                piece = file.read(min(left, _PIECE_BYTES))
                if not piece:
                    break
                left -= len(piece)
                decoded += len(decoder.decompress(piece))
    except zlib.error as error:
        raise ReadError(f"{place}: {error}.") from error
    except OSError as error:
        raise ReadError(f"{place}: {error.strerror or error}.") from error
    if not decoder.eof:
        raise ReadError(f"{place}: its compressed data end too early.")
    if block.decoded is not None and decoded < block.decoded:
        raise ReadError(f"{place}: it decodes to {decoded} of {block.decoded} bytes.")
