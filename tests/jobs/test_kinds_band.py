"""The second band of the raster: the kind of the polygon over each pixel, and what GDAL knows of it."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.features import geometry_mask
from rio_cogeo.cogeo import cog_validate

import rsdetect
from rsdetect.errors import ResultMismatch
from rsdetect.geopackage.styles.colours import KIND_COLOURS
from rsdetect.jobs import kinds_band
from rsdetect.jobs.vectorize import vectorize_run
from rsdetect.kinds.classes import KIND_NAMES
from rsdetect.kinds.rules import wanted_bands
from support.jobs import run_here
from support.scenes import write_scene

# Reflectance in six bands of trees, soil, roofs and water.
LAND = np.array(
    [
        (0.02, 0.04, 0.03, 0.25, 0.11, 0.05),
        (0.09, 0.13, 0.18, 0.25, 0.33, 0.28),
        (0.19, 0.20, 0.21, 0.22, 0.24, 0.23),
        (0.06, 0.055, 0.04, 0.015, 0.006, 0.005),
    ]
)
NAMES = "change_probability.tif.aux.xml"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Scenes in which every seventh patch changes from one land to the next; a corner has no data."""
    folder = tmp_path_factory.mktemp("scenes")
    rng = np.random.default_rng(1)
    height, width = 560, 530
    patch = np.arange(height)[:, None] // 30 * 41 + np.arange(width) // 20
    before = LAND.T[:, patch % 4]
    after = np.where(patch % 7 == 0, LAND.T[:, (patch + 1) % 4], before)
    paths = []
    for name, date in (("before", before), ("after", after)):
        values = (date * rng.normal(1e4, 100, (6, height, width))).clip(1).astype(np.uint16)
        values[:, :50, :70] = 0
        paths.append(write_scene(folder / f"{name}.tif", values, nodata=0, names=wanted_bands("swir")))
    return paths


@pytest.fixture(scope="module")
def results(scenes, tmp_path_factory):
    """The same job without kinds and with them."""
    folder = tmp_path_factory.mktemp("results")
    for name, more in (("plain", ()), ("kinds", ("--kinds",))):
        options = ("--out", folder / name, "--detector", "cva", "--no-report", "--quiet", *more)
        assert run_here("detect", *scenes, *options).status == 0
    return folder


def bands_of(raster):
    """Bands of a raster and of each of its overviews."""
    with rasterio.open(raster) as dataset:
        found, levels = [dataset.read()], len(dataset.overviews(1))
    for level in range(levels):
        with rasterio.open(raster, overview_level=level) as dataset:
            found.append(dataset.read())
    return found


def expected_kinds(folder):
    """Kinds by geopandas and rasterio: of the polygon over each pixel, 255 where nothing was observed."""
    changes = geopandas.read_file(folder / "changes.gpkg", layer="changes")
    with rasterio.open(folder / "change_probability.tif") as dataset:
        percent, transform = dataset.read(1), dataset.transform
    kinds = np.where(percent == 255, 255, 0)
    for outline, kind in zip(changes.geometry, changes.kind, strict=True):
        kinds[geometry_mask([outline], percent.shape, transform, invert=True)] = KIND_NAMES.index(kind)
    return kinds


def test_each_pixel_has_the_kind_of_its_polygon_and_the_probability_stays(results):
    plain, kinds = (bands_of(results / name / "change_probability.tif") for name in ("plain", "kinds"))
    assert len(plain) == len(kinds) == 2
    for one, two in zip(plain, kinds, strict=True):
        assert (len(one), len(two)) == (1, 2)
        np.testing.assert_array_equal(one[0], two[0])
    expected = expected_kinds(results / "kinds")
    assert {0, 1, 255} <= set(np.unique(expected))
    np.testing.assert_array_equal(kinds[0][1], expected)
    assert set(np.unique(kinds[1][1])) <= set(np.unique(expected))  # no mean of two kinds


def test_gdal_knows_names_and_colours_and_the_file_stays_cloud_optimized(results):
    raster = results / "kinds" / "change_probability.tif"
    assert cog_validate(raster, quiet=True)[0]
    with rasterio.open(raster) as dataset:
        assert dataset.descriptions == ("change probability", "kind of change")
        assert dataset.scales == (0.01, 1.0)
    beside = ET.parse(raster.with_name(NAMES)).find("PAMRasterBand[@band='2']")
    assert tuple(name.text for name in beside.findall(".//Category")) == KIND_NAMES
    table = {row[1].text: [int(cell.text) for cell in row[2:]] for row in beside.findall(".//Row")}
    assert table.pop("no change")[3] == 0
    assert table == {kind: [*bytes.fromhex(colour[1:]), 255] for kind, colour in KIND_COLOURS.items()}
    assert not (results / "plain" / NAMES).exists()


def test_vectorize_draws_the_kinds_again_and_a_run_without_removes_them(results, scenes, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(results / "kinds", folder)
    before = bands_of(folder / "change_probability.tif")
    vectorize_run(folder, min_area=100_000.0)
    after = bands_of(folder / "change_probability.tif")
    np.testing.assert_array_equal(after[0][0], before[0][0])
    np.testing.assert_array_equal(after[0][1], expected_kinds(folder))
    assert (after[0][1] != before[0][1]).any()
    assert (folder / NAMES).exists()
    rsdetect.detect(*scenes, out=folder, detector="cva", report=False, quiet=True, overwrite=True)
    assert len(bands_of(folder / "change_probability.tif")[0]) == 1
    assert not (folder / NAMES).exists()


def alter(path, band, level=None):
    options = {} if level is None else {"OVERVIEW_LEVEL": str(level)}
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES", **options) as dataset:
        values = dataset.read(band)
        values[200, 200] ^= 3
        dataset.write(values, band)


@pytest.mark.parametrize(("band", "level"), [(1, None), (2, None), (1, 0), (2, 0)])
def test_a_file_that_differs_from_what_was_written_is_noticed(results, tmp_path, monkeypatch, band, level):
    genuine = kinds_band.copy_raster

    def copy_and_change(source, target, **options):
        genuine(source, target, **options)
        if target.name == "kinds.both.tif":
            alter(target, band, level)

    monkeypatch.setattr(kinds_band, "copy_raster", copy_and_change)
    source, polygons = (results / "kinds" / name for name in ("change_probability.tif", "changes.gpkg"))
    with pytest.raises(ResultMismatch, match=r"^raster, kinds, .*run the same command again"):
        kinds_band.add_kinds(source, tmp_path / "x.tif", polygons, None)
    assert not list(tmp_path.iterdir())


def test_polygons_that_cover_other_pixels_than_they_count_are_noticed(results, tmp_path):
    record = rsdetect.ChangeMap.open(results / "kinds").record
    counted = {kind: found["pixels"] for kind, found in record["counts"]["kinds"].items()}
    source, polygons = (results / "kinds" / name for name in ("change_probability.tif", "changes.gpkg"))
    kinds_band.add_kinds(source, tmp_path / "x.tif", polygons, counted)
    kind = max(counted, key=counted.get)
    with pytest.raises(ResultMismatch, match=rf"pixels are {kind}, and .* in the polygons"):
        kinds_band.add_kinds(source, tmp_path / "x.tif", polygons, counted | {kind: counted[kind] + 1})


def test_bands_without_names_give_kinds_that_are_unknown(results, scenes, tmp_path):
    job = {"out": tmp_path / "out", "bands": "1", "detector": "cva", "kinds": True, "report": False}
    rsdetect.detect(*scenes, **job)
    with rasterio.open(tmp_path / "out" / "change_probability.tif") as raster:
        probability, kinds = raster.read()
    assert set(np.unique(kinds)) == {0, KIND_NAMES.index("unknown"), 255}
    assert (kinds[probability == 255] == 255).all()
