"""What a user sees who opens the results in QGIS: the real program, started once for all these tests."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from rasterio.shutil import copy as copy_raster

from rsdetect.geopackage.changes import ChangeDescription, write_changes
from rsdetect.grid import Grid
from rsdetect.regions.pieces import Layers
from rsdetect.regions.trace import TraceOptions, trace_footprint, trace_regions
from rsdetect.scoring.raster import write_raster_style
from support.pyqgis import ask_qgis, require_qgis

UTM = pyproj.CRS(32633).to_wkt()
TRANSFORM = Affine(10, 0, 500000, 0, -10, 5300000)

# The map is 80 by 60 pixels, with one change for each class in a row; places are fractions of the map.
PERCENTS = [30, 40, 55, 70, 95]
CLASSES = ["under 35 %", "35 to 50 %", "50 to 65 %", "65 to 80 %", "80 % and more"]
COLOURS = [(247, 228, 37), (253, 172, 49), (237, 118, 83), (196, 62, 127), (126, 3, 168)]
MIDDLES = [((16 * k + 8) / 80, 0.5) for k in range(5)]
BETWEEN = (15 / 80, 0.5)
UNOBSERVED = (8 / 80, 4 / 60)


class ArrayRaster:
    def __init__(self, values):
        self.values = values
        self.grid = Grid(UTM, TRANSFORM, *values.shape)

    def read(self, window):
        return self.values[window.slices_in(self.grid.window)]


def percent_values():
    values = np.full((60, 80), 10, np.uint8)
    for k, percent in enumerate(PERCENTS):
        values[10:50, 16 * k + 2 : 16 * k + 14] = percent
    # Two corners of change, so that the map of the changes covers the whole raster.
    values[0, 79] = values[59, 0] = 100
    values[1:8, 1:16] = 255
    return values


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """By name, what QGIS says of each layer; under "messages" its warnings."""
    require_qgis()
    folder = tmp_path_factory.mktemp("qgis")
    write_geopackage(folder / "changes.gpkg", percent_values())
    write_geopackage(folder / "empty.gpkg", np.zeros((60, 80), np.uint8))
    write_raster(folder / "change_probability.tif", percent_values())
    write_raster_style(folder / "change_probability.qml")
    places = [*MIDDLES, BETWEEN, UNOBSERVED]
    requests = {
        "changes": layer(folder / "changes.gpkg", "changes", places),
        "footprint": layer(folder / "changes.gpkg", "footprint", [(0.5, 0.5), (0.0, 0.5)]),
        "no changes": layer(folder / "empty.gpkg", "changes", []),
        "raster": {
            "source": str(folder / "change_probability.tif"),
            "kind": "raster",
            "png": str(folder / "raster.png"),
            "probes": places,
        },
    }
    answers, messages = ask_qgis("qgis_layers", list(requests.values()))
    return dict(zip(requests, answers, strict=True)) | {"messages": messages}


def layer(path, name, probes):
    png = path.with_name(f"{path.stem}_{name}.png")
    return {"source": f"{path}|layername={name}", "kind": "vector", "png": str(png), "probes": probes}


def write_geopackage(path, values):
    raster = ArrayRaster(values)

    def difference(window):
        return Layers(("Red",), np.full((1, *window.shape), 2.5, np.float32))

    regions = trace_regions(raster, 25, options=TraceOptions(difference=difference))
    described = ChangeDescription("2020-06-01", None, "cva")
    write_changes(path, regions, trace_footprint(raster), UTM, described)


def write_raster(path, values):
    plain = path.with_suffix(".plain.tif")
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": 255, "crs": UTM}
    height, width = values.shape
    with rasterio.open(plain, "w", height=height, width=width, transform=TRANSFORM, **profile) as file:
        file.write(values, 1)
        file.scales, file.offsets = (0.01,), (0.0,)
    copy_raster(plain, path, driver="COG")


def test_qgis_has_nothing_to_warn_of(seen):
    assert seen["messages"] == []


@pytest.mark.parametrize(("name", "count"), [("changes", 7), ("footprint", 1), ("no changes", 0)])
def test_layers_are_valid_and_complete(seen, name, count):
    assert seen[name]["valid"]
    assert seen[name]["count"] == count
    assert seen[name]["crs"] == "EPSG:32633"
    # Dates as dates is what the temporal controller asks for.
    assert seen[name]["fields"]["before_date"] == "Date"
    assert seen[name]["fields"]["after_date"] == "Date"


@pytest.mark.parametrize("name", ["changes", "no changes"])
def test_changes_open_in_classes_of_probability(seen, name):
    assert seen[name]["renderer"] == "graduatedSymbol"
    assert seen[name]["legend"] == CLASSES


def test_changes_are_drawn_in_the_colour_of_their_class(seen):
    *middles, between, unobserved = seen["changes"]["colours"]
    for drawn, colour in zip(middles, COLOURS, strict=True):
        np.testing.assert_allclose(drawn[:3], colour, atol=3)
        assert 40 < drawn[3] < 200  # the image below shows through
    assert between[3] == unobserved[3] == 0


def test_the_footprint_is_an_outline_without_fill(seen):
    inside, edge = seen["footprint"]["colours"]
    assert seen["footprint"]["renderer"] == "singleSymbol"
    assert inside[3] == 0
    assert edge[3] > 100
    assert max(edge[:3]) - min(edge[:3]) < 5


def test_columns_have_readable_names_and_changes_a_tip(seen):
    aliases = seen["changes"]["aliases"]
    assert aliases["probability_mean"] == "Mean probability"
    assert aliases["difference_red"] == "Difference red"
    assert all(alias for field, alias in aliases.items() if field != "fid")
    tip = next(tip for tip in seen["changes"]["tips"] if "30 %" in tip)
    assert "4.8 ha" in tip  # 12 by 40 pixels of 100 m2
    assert "2020-06-01 and ?" in tip
    assert "<td>Difference red</td><td>2.5</td>" in tip
    assert "[%" not in tip


def test_the_raster_opens_in_the_same_colours(seen):
    assert seen["raster"]["renderer"] == "singlebandpseudocolor"
    assert seen["raster"]["legend"] == ["under 15 %", "15 to 25 %", "25 to 35 %", *CLASSES[1:]]
    *middles, between, unobserved = seen["raster"]["colours"]
    for drawn, colour in zip(middles, COLOURS, strict=True):
        assert drawn == [*colour, 255]
    assert between[3] == unobserved[3] == 0
