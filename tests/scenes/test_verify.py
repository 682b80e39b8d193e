"""Verification of blocks: what GDAL reads as pixels although the file is damaged."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from rsdetect.errors import ReadError
from rsdetect.scenes.pair import open_pair
from rsdetect.scenes.verify import verify_scenes
from support.jobs import listing, run_here
from support.scenes import random_scene, write_scene

TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64}
LAYOUTS = {
    "tiles": TILED,
    "tiles by band": TILED | {"interleave": "band"},
    "strips": {"blockysize": 16},
    "predictor": TILED | {"predictor": 2},
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pair(**profile):
    for name, seed in (("before.tif", 1), ("after.tif", 2)):
        write_scene(name, random_scene(seed, 3, 200, 210), **profile)


def block_of(path, row=1, col=1):
    with rasterio.open(path) as scene:
        col = min(col, -(-scene.width // scene.block_shapes[0][1]) - 1)
        return tuple(
            int(scene.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=1))
            for what in ("OFFSET", "SIZE")
        )


def flip(path, place, bit=3):
    content = bytearray(Path(path).read_bytes())
    content[place] ^= 1 << bit
    Path(path).write_bytes(content)


def verified():
    opened = open_pair("before.tif", "after.tif")
    return verify_scenes((opened.before, opened.after), 2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sound_files_are_verified_completely(here, layout):
    pair(compress="deflate", **LAYOUTS[layout])
    assert [found.doubt for found in verified()] == ["", ""]
    assert all(found.blocks > 3 for found in verified())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_flipped_bit_in_deflate_is_found(here, layout):
    pair(compress="deflate", **LAYOUTS[layout])
    offset, size = block_of("after.tif")
    sound = Path("after.tif").read_bytes()
    for place in np.random.default_rng(0).integers(offset, offset + size, 25):
        flip("after.tif", int(place))
        with pytest.raises(ReadError, match=r"after\.tif is damaged in its block at row"):
            verified()
        Path("after.tif").write_bytes(sound)


@pytest.mark.parametrize("compress", ["lzw", "zstd", "jpeg", "none"])
def test_a_codec_without_a_checksum_is_named(here, compress):
    pair(compress=compress, **TILED)
    assert all("no checksum" in found.doubt for found in verified())
    flip("after.tif", block_of("after.tif")[0] + 100)  # unnoticed, as documented
    verified()


@pytest.mark.parametrize("compress", ["lzw", "zstd", "jpeg", "none", "deflate"])
def test_a_file_that_ends_too_early_is_found_in_every_codec(here, compress):
    pair(compress=compress, **TILED)
    content = Path("after.tif").read_bytes()
    offset, size = block_of("after.tif", 3, 3)
    if offset + size > len(content) - 300:  # the last block, behind the header
        Path("after.tif").write_bytes(content[: offset + size // 2])
        with pytest.raises(ReadError, match=r"after\.tif"):
            verified()


def test_blocks_that_were_never_written_are_no_damage(here):
    write_scene("before.tif", np.zeros((3, 200, 210), np.uint8), compress="deflate", sparse_ok=True, **TILED)
    write_scene("after.tif", random_scene(2, 3, 200, 210), compress="deflate", **TILED)
    verified()


def test_a_damaged_mask_is_found(here):
    pair(compress="deflate", **TILED)
    write_scene("mask.tif", random_scene(3, 1, 200, 210), compress="deflate", **TILED)
    offset, size = block_of("mask.tif")
    flip("mask.tif", offset + size // 2)
    told = run_here("check", "before.tif", "after.tif", "--mask", "mask.tif", "--deep")
    assert told.status == 2
    assert "mask.tif is damaged" in told.err


@pytest.mark.parametrize(
    "command",
    [
        ("check", "before.tif", "after.tif", "--deep"),
        ("detect", "before.tif", "after.tif", "--detector", "cva", "--out", "out", "--verify"),
    ],
)
def test_commands_verify_before_anything_is_written(here, command):
    pair(compress="deflate", **TILED)
    assert run_here(*command, *(["--overwrite"] if "detect" in command else [])).status == 0
    offset, size = block_of("after.tif")
    flip("after.tif", offset + size - 1)  # of the checksum
    kept = listing(here)
    told = run_here(*command, *(["--overwrite"] if "detect" in command else []))
    assert told.status == 2
    assert "after.tif" in told.err
    assert listing(here) == kept


def test_a_batch_verifies_each_pair(here):
    pair(compress="deflate", **TILED)
    offset, size = block_of("after.tif")
    flip("after.tif", offset + size - 1)  # of the checksum
    Path("pairs.csv").write_text("name,before,after\np,before.tif,after.tif\n")
    told = run_here("batch", "pairs.csv", "--detector", "cva", "--out", "out", "--verify")
    assert told.status != 0
    assert not Path("out/p/run.json").exists()
