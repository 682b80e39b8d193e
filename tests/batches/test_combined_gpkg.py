"""Combined GeoPackage of pairs on both sides of 180 degrees."""

from __future__ import annotations

import geopandas
import numpy as np
import pyproj
import pytest
import shapely

from rsdetect.batches.combined_gpkg import write_combined_gpkg
from rsdetect.batches.pair_layers import read_pair_layers
from rsdetect.geopackage.file import Layer, write_geopackage

SITE = 'LOCAL_CS["Site grid",UNIT["metre",1],AXIS["E",EAST],AXIS["N",NORTH]]'


def write_pair_gpkg(folder, crs, lon):
    """Changes and footprint of a pair: a square of 4 km with its middle at a longitude, 52 degrees north."""
    x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(lon, 52.0)
    square = shapely.box(x - 2000, y - 2000, x + 2000, y + 2000)
    folder.mkdir()
    days = np.array(["2024-01-01"], "datetime64[D]")
    columns = {"before_date": days, "after_date": days + 9}
    for layer in ("changes", "footprint"):
        geopandas.GeoDataFrame(
            columns | {"change_id": [1], "area_m2": [16e6]}, geometry=[square], crs=crs
        ).to_file(folder / "changes.gpkg", layer=layer)
    return square


def test_outlines_across_180_degrees_are_cut_there_and_counted_once(tmp_path):
    squares = [write_pair_gpkg(tmp_path / f"{crs}", crs, 180.0) for crs in (32660, 32601)]
    write_pair_gpkg(tmp_path / "far", 32632, 9.0)
    files = [(name, tmp_path / name) for name in ("32660", "32601", "far")]
    combined = write_combined_gpkg(tmp_path / "all.gpkg", files)
    for layer in ("changes", "footprint"):
        found = geopandas.read_file(tmp_path / "all.gpkg", layer=layer)
        assert list(found.geom_type.unique()) == ["MultiPolygon"] and found.geometry.is_valid.all()
        for outline, square, crs in zip(found.geometry[:2], squares, (32660, 32601), strict=True):
            assert [round(part.bounds[0]) for part in sorted(outline.geoms, key=lambda p: p.bounds)] == [
                -180,
                180,
            ]
            back = pyproj.Transformer.from_crs(4326, crs, always_xy=True)
            placed = shapely.transform(outline, lambda xy, w=back: np.column_stack(w.transform(*xy.T)))
            assert placed.area == pytest.approx(square.area, rel=1e-4)
    assert combined.twice_m2["far"] == 0
    assert combined.twice_m2["32601"] == pytest.approx(squares[0].area, rel=0.08)


@pytest.mark.parametrize(("crs", "is_placed"), [("EPSG:32632", True), (SITE, False), (None, False)])
def test_a_pair_has_a_place_if_its_crs_is_one_of_the_earth(tmp_path, crs, is_placed):
    square = np.array([shapely.box(0, 0, 10, 10)])
    layers = [Layer(name, square, {"change_id": np.array([1])}, ()) for name in ("changes", "footprint")]
    write_geopackage(tmp_path / "changes.gpkg", tuple(layers), crs)
    found = read_pair_layers("north", tmp_path / "changes.gpkg")
    assert (found is not None) == is_placed
    if found is not None:
        assert [layer.columns["pair"].tolist() for layer in found] == [["north"]] * 2
