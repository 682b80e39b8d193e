"""VRTs are read by the blocks of the files behind them."""

from __future__ import annotations

import re

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.shutil import copy

import rsdetect
from rsdetect.scenes.header import read_header
from support.jobs import read_raster
from support.scenes import random_scene, write_scene


def as_vrt(path):
    """A VRT over a file, as gdalbuildvrt and QGIS write it: with blocks of 128 x 128 pixels."""
    vrt = path.with_suffix(".vrt")
    with rasterio.open(path) as source:
        copy(source, vrt, driver="VRT")
    vrt.write_text(re.sub(r' block[XY]Size="\d+"', "", vrt.read_text()))
    with rasterio.open(vrt) as dataset:
        assert dataset.block_shapes[0] == (128, 128)
    return vrt


@pytest.fixture
def pair(tmp_path):
    """Two JPEG 2000 files with blocks of 256 x 256 pixels; a block of the ground differs."""
    ground = random_scene(1, 1, 600, 700, "uint16")
    later = ground.copy()
    later[:, 100:160, 200:260] = 9000
    return [
        write_scene(
            tmp_path / f"{i}.jp2", each, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES",
            BLOCKXSIZE=256, BLOCKYSIZE=256,
        )
        for i, each in enumerate((ground, later))
    ]  # fmt: skip


def test_a_vrt_has_the_blocks_of_its_source(pair, tmp_path):
    with rasterio.open(pair[0]) as source:
        own = source.block_shapes[0]
    assert read_header(str(as_vrt(tmp_path / "0.jp2"))).block_shape == own != (128, 128)


def test_blocks_of_a_coarser_source_are_larger_on_the_grid_of_a_vrt(tmp_path):
    twenty = Affine(20, 0, 500000, 0, -20, 5300000)
    write_scene(
        tmp_path / "b11.tif",
        random_scene(1, 1, 600, 600),
        transform=twenty,
        tiled=True,
        blockxsize=256,
        blockysize=256,
    )
    vrt = tmp_path / "fine.vrt"
    with rasterio.open(tmp_path / "b11.tif") as source:
        wkt = source.crs.to_wkt()
    vrt.write_text(
        f'<VRTDataset rasterXSize="1200" rasterYSize="1200"><SRS>{wkt.replace(chr(34), "&quot;")}</SRS>'
        "<GeoTransform>500000,10,0,5300000,0,-10</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="1">b11.tif'
        '</SourceFilename><SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="600" ySize="600"/>'
        '<DstRect xOff="0" yOff="0" xSize="1200" ySize="1200"/></SimpleSource></VRTRasterBand></VRTDataset>'
    )
    assert read_header(str(vrt)).block_shape == (512, 512)


def test_a_job_over_vrts_decodes_each_block_of_the_sources_once(pair, tmp_path):
    vrts = [as_vrt(tmp_path / f"{i}.jp2") for i in (0, 1)]
    records = [
        rsdetect.detect(*paths, out=tmp_path / name, detector="cva", quiet=True, tile_size=128).record
        for name, paths in (("vrt", vrts), ("jp2", pair))
    ]
    reading = [record["plan"]["reading"] for record in records]
    assert reading[0] == reading[1] and reading[0]["decoded_again"] == 0
    np.testing.assert_array_equal(read_raster(tmp_path / "vrt"), read_raster(tmp_path / "jp2"))


def as_mosaic(folder, shift):
    """A VRT over two files side by side, of which the second begins `shift` pixels after a block's edge."""
    paths = [
        write_scene(
            folder / f"m{i}.tif", random_scene(i, 1, 256, 256, "uint16"), tiled=True, blockxsize=128,
            blockysize=128,
        )
        for i in (0, 1)
    ]  # fmt: skip
    sources = "".join(
        f"<SimpleSource><SourceFilename>{path}</SourceFilename><SourceBand>1</SourceBand>"
        f'<SrcRect xOff="0" yOff="0" xSize="256" ySize="256"/>'
        f'<DstRect xOff="{i * 256 + i * shift}" yOff="{i * shift}" xSize="256" ySize="256"/></SimpleSource>'
        for i, path in enumerate(paths)
    )
    vrt = folder / "mosaic.vrt"
    vrt.write_text(
        f'<VRTDataset rasterXSize="{512 + shift}" rasterYSize="{256 + shift}"><SRS>EPSG:32632</SRS>'
        "<GeoTransform>500000,10,0,5300000,0,-10</GeoTransform>"
        f'<VRTRasterBand dataType="UInt16" band="1">{sources}</VRTRasterBand></VRTDataset>'
    )
    return str(vrt)


@pytest.mark.parametrize(("shift", "again"), [(0, False), (64, True)])
def test_blocks_of_a_mosaics_files_are_counted_and_an_odd_mosaic_is_named(tmp_path, shift, again):
    vrt = as_mosaic(tmp_path, shift)
    other = write_scene(tmp_path / "after.tif", random_scene(5, 1, 256 + shift, 512 + shift, "uint16"))
    found = rsdetect.detect(vrt, other, out=tmp_path / "out", detector="cva", quiet=True)
    assert (found.record["plan"]["reading"]["decoded_again"] > 0) is again
    assert any("is a mosaic whose blocks of 128 x 128" in each for each in found.record["warnings"]) is again
