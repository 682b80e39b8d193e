"""Files that break while they are read."""

from __future__ import annotations

from pathlib import Path


def break_block(path, row, col):
    """Overwrite one block of a tiled TIFF with noise."""
    import rasterio

    with rasterio.open(path) as scene:
        offset = int(scene.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1))
        length = int(scene.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1))
    content = bytearray(Path(path).read_bytes())
    content[offset : offset + length] = b"\xff" * length
    Path(path).write_bytes(content)
