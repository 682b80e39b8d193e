"""What a name for GDAL leads to: FIFOs are refused, and files are watched, in archives and indices, too."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import geopandas
import pytest
import rasterio
from rasterio.shutil import copy as copy_raster
from shapely.geometry import box

import rsdetect
from rsdetect.errors import SceneError
from rsdetect.scenes.band_files import absolute_path, archive_of
from rsdetect.scenes.named_files import refuse_endless_named
from rsdetect.scenes.watched import files_of, watch
from support.interruption import CVA
from support.jobs import changed_pair

SOURCE = (
    '<VRTDataset><SimpleSource><SourceFilename relativeToVRT="1">{}</SourceFilename></SimpleSource>'
    "</VRTDataset>"
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("f.tif")
    os.mkfifo("f.zip")
    Path("one.vrt").write_text(SOURCE.format("f.tif"))
    Path("two.xml").write_text(SOURCE.format("./one.vrt"))
    return changed_pair(tmp_path, height=64, width=64)


@pytest.mark.parametrize(
    "name",
    [
        *("one.vrt", "two.xml", SOURCE.format(Path("f.tif")), "vrt://f.tif?bands=1", "GTIFF_DIR:1:f.tif"),
        *('HDF5:"f.tif"://red', "netcdf:f.tif:red", "/vsigzip/f.tif", "/vsizip/f.zip/a.tif"),
        *("/vsizip//vsigzip/f.tif/a.tif", "/vsitar/{f.zip}/a.tif", "/vsisubfile/0_10,f.tif", "."),
    ],
)
def test_a_name_that_leads_to_a_fifo_is_refused(here, name):
    with pytest.raises(SceneError, match=r"is a FIFO"):
        refuse_endless_named(name, SceneError)


def test_a_virtual_raster_of_itself_is_no_endless_one(here):
    Path("loop.vrt").write_text(SOURCE.format("loop.vrt"))
    refuse_endless_named("loop.vrt")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz", "a.tar.gz", "a.tif.gz", "named"])
def test_the_archive_of_a_scene_is_watched(here, name):
    if name.endswith(".tif.gz"):
        with gzip.open(name, "wb") as file:
            file.write(Path("after.tif").read_bytes())
        path = f"/vsigzip/{name}"
    elif "t" in name:
        with tarfile.open(name, "w:gz" if "g" in name else "w") as tar:
            tar.add("after.tif")
        path = f"/vsitar/{name}/after.tif"
    else:
        with zipfile.ZipFile(name, "w") as archive:
            archive.write("after.tif")
        path = f"/vsizip/{{{name}}}/after.tif"
    assert archive_of(path) == name
    assert [each.path for each in watch([path])] == [str(Path(name).absolute())]
    with rasterio.open(absolute_path(path)) as dataset:  # from any folder
        assert str(Path(name).absolute()) in dataset.name


def test_what_is_no_local_archive_is_none(here):
    names = [
        "after.tif",
        "/vsizip/none.zip/a.tif",
        "/vsicurl/http://host/a.zip",
        "/vsizip//vsicurl/http://host/a.zip",
    ]
    assert [archive_of(name) for name in names] == [None] * 4


def test_a_scene_in_an_archive_is_scored_and_found_again(here, tmp_path, monkeypatch):
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.write("after.tif")
    changes = rsdetect.detect(here.before, "/vsizip/a.zip/after.tif", out="out", **CVA)
    assert changes.record["inputs"]["after"]["path"] == f"/vsizip/{tmp_path}/a.zip/after.tif"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "difference_red" in rsdetect.vectorize("../out", threshold=0.9).changes().columns


def test_the_sources_of_virtual_rasters_and_tile_indices_are_watched(here):
    with rasterio.open("after.tif") as dataset:
        copy_raster(dataset, "inner.vrt", driver="VRT")
        geometry, crs = [box(*dataset.bounds)], dataset.crs
    tile = geopandas.GeoDataFrame({"location": ["after.tif"]}, geometry=geometry, crs=crs)
    shutil.copy("inner.vrt", "inner.xml")
    with rasterio.open("inner.xml") as dataset:
        copy_raster(dataset, "outer.vrt", driver="VRT")
    tile.to_file("index.gpkg")
    for name in ("outer.vrt", "GTI:index.gpkg"):
        with rasterio.open(name) as dataset:
            assert "after.tif" in [Path(path).name for path in files_of(dataset)]
