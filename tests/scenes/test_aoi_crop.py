"""An area of interest crops the grid of the job, and changes no pixel in it."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from shapely import Polygon, box

import rsdetect
from rsdetect.errors import InputError, JobInterrupted
from rsdetect.scenes.pair import PairOptions, open_pair
from support.interruption import CVA
from support.jobs import changed_pair


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"), height=400, width=500)


def area(scenes, *corners):
    """Polygon of (row, column) corners in the scenes' CRS."""
    with rasterio.open(scenes.before) as dataset:
        return Polygon([dataset.transform @ (col, row) for row, col in corners])


def test_the_raster_covers_the_area_and_no_more_than_64_pixels_around_it(scenes, tmp_path):
    aoi = area(scenes, (130, 200), (130, 330), (250, 330), (250, 200))
    found = rsdetect.detect(scenes.before, scenes.after, out=tmp_path, aoi=aoi, **CVA)
    with rasterio.open(found.raster) as raster, rasterio.open(scenes.before) as scene:
        assert raster.shape == (128, 192)  # rows 128 to 255, columns 192 to 383
        assert raster.transform @ (0, 0) == pytest.approx(scene.transform @ (192, 128))
        observed = raster.read(1) != 255
    assert observed.sum() == 120 * 130
    assert found.record["counts"]["pixels"] == 128 * 192


@pytest.mark.parametrize("detector", ["cva", "siamese"])
def test_its_pixels_are_those_of_an_area_over_the_whole_scene(scenes, tmp_path, detector):
    """Beside a speck in the first and one in the last pixel, so that nothing is cropped."""
    middle = area(scenes, (130, 200), (140, 330), (250, 300), (230, 210))
    everywhere = middle
    for row, col in ((10, 8), (398, 498)):
        everywhere = everywhere.union(area(scenes, (row, col), (row, col + 1), (row + 1, col + 1)))
    cropped, whole = (
        rsdetect.score(scenes.before, scenes.after, aoi=aoi, detector=detector).values
        for aoi in (middle, everywhere)
    )
    assert whole.shape == (400, 500)
    assert cropped.shape == (128, 192)
    part = whole[128:256, 192:384]
    np.testing.assert_array_equal(np.isnan(cropped), np.isnan(part))
    if detector == "siamese":  # `cva` learns from all pixels of the area, and the specks are some of them
        np.testing.assert_allclose(cropped, part, atol=0.05)


def test_absurd_sizes_are_refused_with_the_size_and_the_room_they_need(tmp_path):
    from support.scenes import write_scene

    tile = write_scene(tmp_path / "tile.tif", np.zeros((3, 8, 8), np.uint8))
    edge = 1_500_000
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource><SourceFilename>{tile}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
        for band in (1, 2, 3)
    )
    for name in ("before", "after"):
        (tmp_path / f"{name}.vrt").write_text(
            f'<VRTDataset rasterXSize="{edge}" rasterYSize="{edge}"><SRS>EPSG:32631</SRS>'
            f"<GeoTransform>500000, 0.5, 0, 5000000, 0, -0.5</GeoTransform>{bands}</VRTDataset>"
        )
    pair = tmp_path / "before.vrt", tmp_path / "after.vrt"
    with pytest.raises(InputError, match=r"1,500,000 x 1,500,000 pixels; .* would take about [\d,]+ GiB"):
        rsdetect.detect(*pair, out=tmp_path / "out", **CVA)
    assert not (tmp_path / "out").exists()
    aoi = box(500_000, 4_999_900, 500_100, 5_000_000)
    assert open_pair(*pair, PairOptions(aoi=aoi)).grid.shape == (256, 256)


def test_a_job_that_the_disk_cannot_take_does_not_begin(scenes, tmp_path, monkeypatch):
    from rsdetect.scenes import extent

    monkeypatch.setattr(extent, "free_bytes", lambda folder: 2**20)
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "small", **CVA)  # a small one does
    monkeypatch.setattr(extent, "_BYTES_A_PIXEL", 2**10)
    with pytest.raises(JobInterrupted, match=r"0\.00 GiB are free, and 500 x 400 pixels need about 0\.19"):
        rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "out", **CVA)
    assert not (tmp_path / "out").exists()
