"""`ChangeMap`: what a notebook does with the results of a job."""

from __future__ import annotations

import sys

import geopandas
import matplotlib as mpl
import numpy as np
import pytest

import rsdetect
from rsdetect.amounts import area_text
from rsdetect.jobs.outputs import Outputs
from support.jobs import changed_pair, read_raster
from support.scenes import textured_scene, write_plain

mpl.use("agg")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    scenes = changed_pair(folder, 150, 210)
    return rsdetect.detect(scenes.before, scenes.after, out=folder / "<out>", detector="cva", quiet=True)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """Of scenes without a CRS."""
    folder = tmp_path_factory.mktemp("picture")
    before = textured_scene(1, 3, 80, 120)
    after = before.copy()
    after[:, 20:40, 30:70] = 255 - after[:, 20:40, 30:70]
    scenes = [write_plain(folder / name, each) for name, each in (("a.png", before), ("b.png", after))]
    return rsdetect.detect(*scenes, out=folder / "out", detector="cva", quiet=True)


def test_a_folder_opens_as_what_detect_gave(made):
    opened = rsdetect.ChangeMap.open(str(made.folder))
    assert opened == made and opened.warnings == made.warnings
    with pytest.raises(rsdetect.InputError, match="holds no finished run"):
        rsdetect.ChangeMap.open(made.folder.parent)


def test_layers_and_raster_are_those_of_the_files(made):
    changes, footprint = made.changes(), made.footprint()
    assert len(changes) == made.record["counts"]["regions"] > 0
    assert changes.crs == footprint.crs and changes.crs.to_epsg() == 32632
    assert changes.area_m2.sum() == pytest.approx(made.record["counts"]["changed_area_m2"])
    percent = read_raster(made.folder)
    np.testing.assert_array_equal(np.isnan(made.probability()), percent == 255)


def test_plot_draws_raster_and_outlines_where_they_lie(made):
    axes = made.plot()
    left, bottom, right, top = made.footprint().total_bounds
    assert axes.get_xlim()[0] <= left < right <= axes.get_xlim()[1]
    assert axes.get_ylim()[0] <= bottom < top <= axes.get_ylim()[1]
    (image,) = axes.images
    drawn = np.ma.filled(image.get_array().astype(float), np.nan)
    np.testing.assert_array_equal(drawn, made.probability())
    corner = image.get_transform().transform((0, 0))
    grid = made.probability()
    expected = axes.transData.transform((float(grid.x[0]) - 5, float(grid.y[0]) + 5))
    np.testing.assert_allclose(corner, expected)
    assert len(axes.collections) == 1  # the outlines
    assert made.plot(axes) is axes


def test_plot_of_a_plain_picture(picture):
    axes = picture.plot()
    assert axes.get_xlim() == (0, 120) and axes.get_ylim() == (-80, 0)


def test_explore_draws_footprint_and_changes(made, monkeypatch):
    drawn = []

    def explore(frame, m=None, **style):
        drawn.append((len(frame), m, style["name"]))
        return "map"

    monkeypatch.setattr(geopandas.GeoDataFrame, "explore", explore)
    assert made.explore() == "map"
    assert drawn == [(len(made.footprint()), None, "footprint"), (len(made.changes()), "map", "changes")]


def test_explore_of_a_plain_picture_names_what_draws_it(picture):
    with pytest.raises(rsdetect.InputError, match=r"without a CRS lie on no map; ChangeMap\.plot\(\)"):
        picture.explore()


@pytest.mark.parametrize(("method", "package"), [("plot", "matplotlib"), ("explore", "folium")])
def test_a_missing_extra_is_named(made, monkeypatch, method, package):
    for name in list(sys.modules):
        if name.partition(".")[0] == package:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(rsdetect.InputError, match=rf"ChangeMap\.{method} needs the extra 'notebook': pip"):
        getattr(made, method)()


def test_a_notebook_shows_counts_area_threshold_and_files_escaped(made):
    counts = made.record["counts"]
    text, page = repr(made), made._repr_html_()
    for words in (f"{counts['regions']} region", area_text(counts["changed_area_m2"]), "cva"):
        assert words in text and words in page
    assert f"threshold {made.threshold:g}" in text
    assert Outputs.RASTER in page and Outputs.POLYGONS in page
    assert "&lt;out&gt;" in page and "<out>" not in page


def test_without_a_crs_the_area_is_in_pixels(picture):
    assert f"{picture.record['counts']['changed_pixels']:,} pixels" in repr(picture)
