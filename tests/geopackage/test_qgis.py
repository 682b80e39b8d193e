"""What a user sees who opens the results in QGIS: the real program, started once for all these tests."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from rasterio.shutil import copy as copy_raster

from rsdetect.geopackage.changes import ChangeDescription, write_changes
from rsdetect.geopackage.styles.colours import KIND_COLOURS, PROBABILITY_COLOURS, RASTER_COLOURS
from rsdetect.grid import Grid
from rsdetect.regions.pieces import Layers
from rsdetect.regions.trace import TraceOptions, trace_footprint, trace_regions
from rsdetect.scoring.raster import write_raster_style
from support.pyqgis import ask_qgis, require_qgis

UTM = pyproj.CRS(32633).to_wkt()
TRANSFORM = Affine(10, 0, 500000, 0, -10, 5300000)

# The map is 80 by 60 pixels, with one change for each class in a row; places are fractions of the map.
PERCENTS = [30, 45, 60, 75, 95]
CLASSES = ["25 to 40 %", "40 to 55 %", "55 to 70 %", "70 to 85 %", "85 % and more"]
MIDDLES = [((16 * k + 8) / 80, 0.3) for k in range(5)]  # above the labels
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
    kinds = ["other", "burnt", "water gain", "unknown", None, "<b>", "built or sealed"]
    write_geopackage(folder / "kinds.gpkg", percent_values(), {"kind": np.array(kinds, object)})
    write_geopackage(folder / "empty.gpkg", np.zeros((60, 80), np.uint8))
    write_raster(folder / "change_probability.tif", percent_values())
    write_raster_style(folder / "change_probability.qml", 25)
    places = [*MIDDLES, BETWEEN, UNOBSERVED]
    requests = {
        "changes": layer(folder / "changes.gpkg", "changes", places),
        "kinds": layer(folder / "kinds.gpkg", "changes", MIDDLES),
        "afar": layer(folder / "changes.gpkg", "changes", MIDDLES) | {"scale": 4_000_000},
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


def write_geopackage(path, values, attributes=None):
    raster = ArrayRaster(values)

    def difference(window):
        return Layers(("Red",), np.full((1, *window.shape), 2.5, np.float32))

    regions = trace_regions(raster, 25, options=TraceOptions(difference=difference))
    described = ChangeDescription("2020-06-01", None, "<i>cva</i>", level=25, run="0123456789abcdef")
    write_changes(path, regions, trace_footprint(raster), UTM, described, attributes)


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
    assert seen[name]["legend"] == ["Mean probability of change", *CLASSES]
    assert seen[name]["styles"] == ["By probability"]


def test_changes_are_drawn_in_the_colour_of_their_class(seen):
    *middles, between, unobserved = seen["changes"]["colours"]
    for drawn, colour in zip(middles, PROBABILITY_COLOURS, strict=True):
        np.testing.assert_allclose(drawn[:3], rgb(colour), atol=4)
        assert 40 < drawn[3] < 200  # the image below shows through
    assert between[3] == unobserved[3] == 0


def test_known_kinds_decide_the_colour(seen):
    assert seen["kinds"]["styles"] == ["By kind of change", "By probability"]
    legend = ["Kind of change", "water gain", "built or sealed", "burnt", "other", "unknown", "not stated"]
    assert seen["kinds"]["legend"] == legend
    np.testing.assert_allclose(seen["kinds"]["colours"][0][:3], rgb(KIND_COLOURS["burnt"]), atol=4)
    assert seen["kinds"]["editors"]["kind"] == "ValueMap"


def test_small_on_the_map_a_change_is_a_point(seen):
    """At 1 : 4 000 000 the changes of 400 m are one spot of a millimetre or more."""
    with rasterio.open(seen["afar"]["png"]) as picture:
        drawn = picture.read(4) > 0
    assert 10 < drawn.sum() < 400


def test_metadata_are_those_of_the_run(seen):
    assert seen["changes"]["metadata"]["identifier"] == "0123456789abcdef"
    assert seen["changes"]["metadata"]["title"].startswith("Changes, ")
    assert "25 %" in seen["changes"]["metadata"]["abstract"]


def test_the_table_of_styles_is_no_layer(seen):
    assert seen["changes"]["sublayers"] == ["changes", "footprint"]


def rgb(colour):
    return [int(colour[k : k + 2], 16) for k in (1, 3, 5)]


def test_the_footprint_is_an_outline_without_fill(seen):
    inside, edge = seen["footprint"]["colours"]
    assert seen["footprint"]["renderer"] == "singleSymbol"
    assert inside[3] == 0
    assert edge[3] > 100
    assert max(edge[:3]) - min(edge[:3]) < 5


def test_columns_have_readable_names_and_changes_a_tip(seen):
    aliases = seen["changes"]["aliases"]
    assert aliases["probability_mean"] == "Mean probability"
    assert aliases["area_m2"] == "Area (m²)"
    editors = seen["changes"]["editors"]
    assert (editors["area_m2"], editors["before_date"]) == ("Range", "DateTime")
    assert aliases["difference_red"] == "Difference red"
    assert all(alias for field, alias in aliases.items() if field != "fid")
    tip = next(tip for tip in seen["changes"]["tips"] if "30 %" in tip)
    assert "4.8 ha" in tip  # 12 by 40 pixels of 100 m2
    assert "<td>After</td><td>2020-06-01</td>" in tip
    assert "?" not in tip
    assert "&lt;i>cva" in tip
    assert "<td>Difference red</td><td>2.5</td>" in tip
    assert "[%" not in tip


def test_the_raster_opens_in_the_same_colours(seen):
    assert seen["raster"]["renderer"] == "singlebandpseudocolor"
    assert seen["raster"]["legend"] == ["under 12 %", "12 to 25 %, below the threshold", *CLASSES]
    *middles, between, unobserved = seen["raster"]["colours"]
    for drawn, colour in zip(middles, RASTER_COLOURS, strict=True):
        assert drawn == [*rgb(colour), 255]
    assert between[3] == 0
    assert unobserved[3] > 50, "what was not observed is no unchanged ground"
