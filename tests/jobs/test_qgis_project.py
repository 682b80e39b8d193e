"""The QGIS project of a job, as the real QGIS opens it: started once for all these tests."""

from __future__ import annotations

import io
import json
import re
import shutil
import sqlite3
import zipfile
from contextlib import closing
from xml.etree import ElementTree

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine

import rsdetect
from rsdetect.commands.summary import summary_lines
from rsdetect.geopackage.changes import ChangeDescription
from rsdetect.geopackage.styles.colours import KIND_COLOURS
from rsdetect.jobs.qgis_project import write_qgis_project
from rsdetect.pages.templates import area
from rsdetect.scoring.raster import write_raster_style
from support.jobs import changed_pair
from support.memory import memory_scene
from support.pyqgis import ask_qgis, require_qgis
from support.report_pages import boxes_of, written_results
from support.scenes import textured_scene, write_scene

CVA = {"detector": "cva", "quiet": True}
BEFORE, AFTER = "rsdetect_before_true_colour", "rsdetect_after_true_colour"
RESULTS = ["rsdetect_changes", "rsdetect_footprint", "rsdetect_probability"]
HOSTILE = "<b>&'\" é 变化 تغيير"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """By name, the folder of a job: as usual, in degrees, without georeference, of four named bands."""
    folder = tmp_path_factory.mktemp("projects")
    kinds = {
        "usual": {},
        "degrees": {"crs": "EPSG:4326", "transform": Affine(1e-4, 0, 10, 0, -1e-4, 45)},
        "pixels": {"crs": None, "transform": None},
        "south up": {"transform": Affine(10, 0, 500_000, 0, 10, 5_200_000)},
    }
    made = {}
    for name, profile in kinds.items():
        pair = changed_pair(folder / name / HOSTILE, 200, 260, **profile)
        made[name] = folder / name / "found"
        rsdetect.detect(pair.before, pair.after, out=made[name], min_area=0, **CVA)
    named = textured_scene(3, 4, 200, 260)
    paths = []
    for date, shift in (("2020-05-01", 0), ("2023-06-30", 60)):
        scene = named.copy()
        scene[:, 50:120, 60:140] = np.minimum(scene[:, 50:120, 60:140].astype(int) + shift, 250)
        names = ("blue", "green", "red", "nir")
        paths.append(write_scene(folder / "named" / f"scene_{date}.tif", scene, names=names))
    made["named"] = folder / "named" / "found"
    rsdetect.detect(*paths, out=made["named"], kinds=True, **CVA)
    made["nothing"] = folder / "nothing" / "found"
    rsdetect.detect(paths[0], paths[0], out=made["nothing"], **CVA)
    squares = boxes_of(50_000)
    squares[-10:, :2] -= 2  # ten of 36 pixels, in two rows and columns of the gaps
    made |= {
        "many": written_project(folder / "many", squares, (1700, 2100)),
        "large": written_project(folder / "large", [(0, 0, 5000, 4000)], (4000, 5000)),
    }
    # Scenes and results together, to another place.
    shutil.move(folder / "usual", folder / "moved")
    made["usual"] = folder / "moved" / "found"
    return made


def written_project(folder, boxes, shape):
    """Folder of results with these changes and their project, written without a job and without scenes."""
    given = written_results(folder, boxes, shape)
    write_raster_style(folder / "change_probability.qml", 50)
    described = ChangeDescription(None, None, "cva")
    write_qgis_project(given.polygons, folder, None, described, wanted=True, kinds=False)
    return folder


@pytest.fixture(scope="module")
def seen(results, tmp_path_factory):
    """By name, what QGIS says of each project; under "messages" its warnings."""
    require_qgis()
    sources = {name: str(folder / "changes.qgz") for name, folder in results.items()}
    sources["inside"] = f"geopackage:{results['usual'] / 'changes.gpkg'}?projectName=changes"
    folders = {source: str(tmp_path_factory.mktemp("pictures")) for source in sources.values()}
    answers, messages = ask_qgis("qgis_project", folders)
    return {name: answers[source] for name, source in sources.items()} | {"messages": messages}


def pixels(path):
    """Colours of a picture, (3, height, width)."""
    with rasterio.open(path) as raster:
        return raster.read([1, 2, 3]).astype(int)


def test_qgis_opens_the_projects_without_a_warning(seen):
    assert seen.pop("messages") == []
    assert all(project["opened"] and all(project["valid"].values()) for project in seen.values())


@pytest.mark.parametrize("name", ["usual", "inside", "degrees", "pixels", "south up"])
def test_layers_lie_in_a_sensible_order(seen, name):
    project = seen[name]
    assert project["shown"] == ["rsdetect_changes", "rsdetect_footprint", AFTER, BEFORE]
    assert sorted(project["valid"]) == sorted([*RESULTS, AFTER, BEFORE])


@pytest.mark.parametrize("name", ["usual", "inside", "degrees", "pixels", "south up"])
def test_scenes_are_seen_differ_and_lie_below_the_changes(seen, name):
    found = {kind: pixels(path) for kind, path in seen[name]["pictures"].items()}
    for scene in (BEFORE, AFTER):
        drawn = (found[scene] != 255).any(axis=0)
        assert drawn.mean() > 0.3, "a scene is not blank"
        assert found[scene][:, drawn].std() > 20, "and has contrast"
    assert (np.abs(found[BEFORE] - found[AFTER]).max(axis=0) > 30).mean() > 0.02
    assert (np.abs(found["all"] - found["scenes"]).max(axis=0) > 30).mean() > 0.01, "changes lie above"


def test_a_pair_without_changes_has_a_project_of_its_scenes_and_a_page(seen, results):
    project = seen["nothing"]
    assert project["shown"] == seen["usual"]["shown"] and project["bookmarks"] == []
    assert (pixels(project["pictures"]["scenes"]) != 255).any(axis=0).mean() > 0.3, (
        "the map opens at the scenes"
    )
    assert "No change was found" in (results["nothing"] / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["many", "large"])
def test_any_number_and_size_of_changes_is_drawn_and_has_bookmarks(seen, name):
    project = seen[name]
    assert project["shown"] == RESULTS[:2]
    drawn = (pixels(project["pictures"]["all"]) != 255).any(axis=0)
    assert drawn.mean() > 0.5, "as points, or as one polygon larger than the map"
    if name == "large":
        assert project["bookmarks"] == ["1: change 1, 2,000 km²"]
    else:
        assert project["bookmarks"][0] == "1: change 49991, 3,600 m²" and len(project["bookmarks"]) == 10


def test_a_change_without_a_place_has_its_pixels_in_its_bookmark(seen):
    assert re.fullmatch(r"1: change \d+, [\d,]+ pixels", seen["pixels"]["bookmarks"][0])


@pytest.mark.parametrize(
    ("name", "first", "largest"),
    [
        ("usual", r"\d+ regions changed, [\d.]+ ha: .*changes\.gpkg", r", [\d.]+ ha, at 50\d{4}, 5\d{6}"),
        ("degrees", r"\d+ regions changed, [\d.]+ ha: .*", r" ha, at 10\.\d{5}, 44\.\d{5}"),
        ("pixels", r"\d+ regions changed, [\d,]+ pixels: .*", r", [\d,]+ pixels, at \d+, -?\d+"),
        ("south up", r"\d+ regions changed, [\d.]+ ha: .*", r" ha, at 50\d{4}, 520\d{4}"),
        ("nothing", r"Nothing changed above the threshold; .*changes\.gpkg has the observed area\.", None),
    ],
)
def test_the_summary_has_the_units_and_the_place_of_its_scenes(results, name, first, largest):
    record = json.loads((results[name] / "run.json").read_text(encoding="utf-8"))
    lines = list(summary_lines(record, results[name]))
    assert re.fullmatch(first, lines[0]), lines[0]
    of_largest = [line for line in lines if line.startswith("Largest: ")]
    assert bool(of_largest) == (largest is not None)
    assert largest is None or re.search(f"{largest}$", of_largest[0]), of_largest


def test_the_scenes_and_results_moved_together_still_open(seen):
    assert all("moved" in source for source in seen["usual"]["sources"].values())
    assert seen["inside"]["sources"] == seen["usual"]["sources"]


def test_the_largest_changes_have_bookmarks(seen, results):
    bookmarks = seen["usual"]["bookmarks"]
    assert len(bookmarks) == 10
    with closing(sqlite3.connect(results["usual"] / "changes.gpkg")) as database:
        rows = database.execute(
            "SELECT change_id, area_m2 FROM changes ORDER BY pixels DESC, change_id LIMIT 10"
        )
        assert bookmarks == [
            f"{rank}: change {change}, {area(size)}" for rank, (change, size) in enumerate(rows, 1)
        ]


def test_named_bands_are_true_colour_with_infrared_hidden_below(seen):
    project = seen["named"]
    assert project["title"].startswith("Changes, 2020-05-01 to 2023-06-30, ")
    assert "rsdetect_after_infrared" in project["valid"]
    assert project["shown"][2:] == ["rsdetect_after_true_colour", "rsdetect_before_true_colour"]


def test_kinds_of_pixels_are_a_hidden_layer_in_the_colours_of_the_changes(seen, results):
    assert "rsdetect_kinds" in seen["named"]["valid"] and "rsdetect_kinds" not in seen["named"]["shown"]
    (kind,) = set(pyogrio.read_dataframe(results["named"] / "changes.gpkg", layer="changes").kind)
    drawn = pixels(seen["named"]["pictures"]["rsdetect_kinds"])
    inside = drawn[:, (drawn != 255).any(axis=0)].T
    assert 0.05 < len(inside) / drawn[0].size < 0.9
    assert (inside == list(bytes.fromhex(KIND_COLOURS[kind][1:]))).all(axis=1).mean() > 0.9


def project_of(folder):
    """Root element of the project in a folder, and its bytes in the GeoPackage."""
    with closing(sqlite3.connect(folder / "changes.gpkg")) as database:
        ((content,),) = database.execute("SELECT content FROM qgis_projects")
    archive = (folder / "changes.qgz").read_bytes()
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return ElementTree.fromstring(file.read("changes.qgs")), bytes.fromhex(content), archive


def test_both_dates_have_one_stretch_and_the_two_projects_are_one(results):
    root, inside, archive = project_of(results["named"])
    assert inside == archive
    layers = {layer.findtext("id"): layer for layer in root.iter("maplayer")}
    for role in ("before", "after"):
        renderer = layers[f"rsdetect_{role}_true_colour"].find("pipe/rasterrenderer")
        assert [renderer.get(f"{colour}Band") for colour in ("red", "green", "blue")] == ["3", "2", "1"]
    stretches = [
        [
            (e.findtext("minValue"), e.findtext("maxValue"))
            for e in layers[key].iter()
            if e.find("minValue") is not None
        ]
        for key in ("rsdetect_before_true_colour", "rsdetect_after_true_colour")
    ]
    assert stretches[0] == stretches[1]
    assert len(stretches[0]) == 3


def test_no_project_where_none_is_wanted_and_an_old_one_goes(tmp_path):
    pair = changed_pair(tmp_path, 120, 150)
    out = tmp_path / "found"
    rsdetect.detect(pair.before, pair.after, out=out, **CVA)
    assert (out / "changes.qgz").exists()
    rsdetect.detect(pair.before, pair.after, out=out, overwrite=True, qgis_project=False, **CVA)
    assert not (out / "changes.qgz").exists()
    rsdetect.vectorize(out, threshold=0.5)
    assert not (out / "changes.qgz").exists()
    with closing(sqlite3.connect(out / "changes.gpkg")) as database:
        assert not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'qgis_projects'").fetchall()


def test_scenes_from_memory_are_left_out(tmp_path):
    scenes = [memory_scene(textured_scene(seed, 3, 64, 80)) for seed in (1, 2)]
    rsdetect.detect(*scenes, out=tmp_path / "found", **CVA)
    root, _, _ = project_of(tmp_path / "found")
    assert sorted(layer.findtext("id") for layer in root.iter("maplayer")) == sorted(RESULTS)
