"""The main job on every available real pair, and the outputs in other programs' eyes."""

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rio_cogeo.cogeo import cog_validate

import rsdetect
from support.jobs import OUTPUTS, listing, polygonized, read_raster
from support.real_scenes import PAIRS

WITH_COLOURS = ("landsat-labelled", "landsat7", "rgbn, a part of it", "levir")


def run(real_data, out, name, **options):
    before, after, more = PAIRS[name]
    pair = real_data / before, real_data / after
    missing = [str(path) for path in pair if not path.exists()]
    if missing:
        pytest.skip(f"{missing[0]} is not there")
    return rsdetect.detect(*pair, out=out, quiet=True, **(more | options))


@pytest.mark.parametrize("name", PAIRS)
def test_cva_finds_polygons_that_every_program_opens(real_data, tmp_path, name, gdal):
    changes = run(real_data, tmp_path, name, detector="cva", tile_size=256, min_area=0)
    assert listing(tmp_path) == OUTPUTS
    assert cog_validate(changes.raster, quiet=True)[0]
    level = changes.record["level_percent"]
    wanted = polygonized(tmp_path, lambda percent: (percent >= level) & (percent != 255))
    with rasterio.open(real_data / PAIRS[name][0]) as before, rasterio.open(changes.raster) as raster:
        assert (raster.crs is None) == (before.crs is None)
        assert raster.crs is None or raster.crs == before.crs
    found = geopandas.read_file(changes.polygons, layer="changes")
    assert len(found) == len(wanted) == changes.record["counts"]["regions"]
    assert found.geometry.is_valid.all()
    assert found.pixels.sum() == changes.record["counts"]["changed_pixels"]
    apart = shapely.symmetric_difference(shapely.union_all(found.geometry.values), shapely.union_all(wanted))
    assert apart.area <= 1e-9 * shapely.area(wanted).sum()
    told = gdal("ogrinfo", "-so", "-al", changes.polygons)
    assert f"Feature Count: {len(found)}" in told.stdout
    assert "ERROR" not in told.stderr


@pytest.mark.parametrize("name", WITH_COLOURS)
def test_the_network_scores_every_pair_with_colours(real_data, tmp_path, name):
    changes = run(real_data, tmp_path / "one", name, detector="siamese")
    percent = read_raster(tmp_path / "one")
    assert 0 < changes.threshold < 1
    assert (percent != 255).any()
    assert listing(tmp_path / "one") == OUTPUTS
    run(real_data, tmp_path / "other", name, detector="siamese", tile_size=100, workers=3)
    other = read_raster(tmp_path / "other")
    differs = percent.astype(int) - other
    assert np.abs(differs).max() <= 1  # by rounding of a probability within 1e-6 of a half percent
    assert (differs != 0).mean() < 1e-4
