"""The report page of a job, as Chromium shows it."""

from __future__ import annotations

import base64
import errno
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.io import MemoryFile

import rsdetect
from rsdetect.detectors.best_card import best_card
from rsdetect.errors import JobInterrupted
from rsdetect.grid import Window
from rsdetect.jobs.report.page import MOST_BYTES, render_report
from rsdetect.jobs.report.scene_pictures import Stretch, pixel_spread
from rsdetect.jobs.report.space import PageSpace
from rsdetect.pages.pictures import uris_within
from rsdetect.scenes.pair import open_pair, read_tile
from rsdetect.scoring.raster import ProbabilityRaster
from rsdetect.scoring.scene_overview import Lattice, SceneOverview, read_overview
from rsdetect.tiles import TileWindow
from support.chromium import asked_in_chromium, opened_in_chromium
from support.jobs import changed_pair, contents, run_here
from support.report_pages import boxes_of, written_results
from support.scenes import TEN_METRES, random_scene, write_scene

CVA = {"detector": "cva", "quiet": True}
HOSTILE = "\"><script>alert(1)<b>&' é 变化 تغيير"

# Functions for scripts in the page: the sorted column, a click on a pixel of the page, the red of the canvas.
HELP = """
const data = JSON.parse(document.getElementById("data").textContent);
const canvas = document.getElementById("canvas"), frame = canvas.getBoundingClientRect();
const rows = () => [...document.querySelectorAll("#list tbody tr")];
const column = (key) => rows().map((row) => Number(row.dataset[key]));
const sort = (key) => document.querySelector(`th[data-key="${key}"] button`).click();
const scale = Math.min(frame.width / data.width, frame.height / data.height);
function click(col, row) {
  const clientX = frame.left + frame.width / 2 + (col - data.width / 2) * scale;
  const clientY = frame.top + frame.height / 2 + (row - data.height / 2) * scale;
  for (const type of ["pointerdown", "pointerup"])
    canvas.dispatchEvent(new PointerEvent(type, { clientX, clientY, pointerId: 1 }));
  const chosen = document.querySelector("tr.chosen");
  return chosen && Number(chosen.dataset.id);
}
function inside(change) {
  const context = canvas.getContext("2d"), path = new Path2D(change.path), box = change.box;
  context.setTransform(1, 0, 0, 1, 0, 0);
  for (let row = box[1] + 0.5; row < box[3]; row++)
    for (let col = box[0] + 0.5; col < box[2]; col++)
      if (context.isPointInPath(path, col, row, "evenodd")) return [col, row];
}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A whole job of scenes with hostile names."""
    folder = tmp_path_factory.mktemp("report") / HOSTILE.replace("/", "")
    pair = changed_pair(folder, 200, 260)
    rsdetect.detect(pair.before, pair.after, out=folder / "out", **CVA)
    return folder / "out"


def pictures(page):
    """Pictures of a page, in order, (bands, height, width) each."""
    found = []
    for content in re.findall(r"data:image/\w+;base64,([\w+/=]+)", page):
        with MemoryFile(base64.b64decode(content)) as memory, memory.open() as file:
            found.append(file.read())
    return found


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])


def test_the_page_of_a_job_opens_without_messages_or_requests(done, tmp_path):
    page = done / "report.html"
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r"<script", text)) == 2 and "<b>" not in text
    assert "&lt;script&gt;alert(1)" in text and "变化 تغيير" in text
    assert not re.search(r"(src|href)=[\"'](?!data:|#)", text)
    shutil.copy(page, tmp_path / "page.html")
    (tmp_path / "chromium").mkdir()
    assert opened_in_chromium(tmp_path / "page.html", tmp_path / "chromium") == ([], set())


def test_a_click_selects_and_the_list_sorts(done, tmp_path):
    shutil.copy(done / "report.html", tmp_path / "page.html")
    script = """
    sort("probability"); const falling = column("probability");
    sort("probability"); const rising = column("probability");
    const places = data.changes.slice(0, 3).map(inside);
    const chosen = places.map((place) => click(...place));
    const heard = document.getElementById("chosen").textContent;
    const wanted = data.changes.slice(0, 3).map((each) => each.id);
    return { falling, rising, chosen, wanted, heard, none: click(2, 2) };
    """
    found = asked_in_chromium(tmp_path / "page.html", tmp_path, HELP + script)
    assert found["falling"] == sorted(found["falling"], reverse=True) and len(found["falling"]) > 1
    assert found["rising"] == sorted(found["rising"])
    assert found["chosen"] == found["wanted"] and found["heard"].startswith(f"Change {found['wanted'][2]},")
    assert found["none"] is None


def test_the_line_moves_between_the_scenes(done, tmp_path):
    shutil.copy(done / "report.html", tmp_path / "page.html")
    script = """
    document.getElementById("show-changes").checked = false;
    const red = () => canvas.getContext("2d").getImageData(canvas.width / 2, 0, 1, canvas.height).data.join();
    const swipe = document.getElementById("swipe"), found = [];
    for (const value of [0, 1000]) {
      swipe.value = value; swipe.dispatchEvent(new Event("input")); paintNow(); found.push(red());
    }
    const probability = document.getElementById("show-probability");
    probability.checked = true; probability.dispatchEvent(new Event("input")); paintNow(); found.push(red());
    const all = () => { paintNow(); return canvas.toDataURL(); };
    const press = (key) => { canvas.dispatchEvent(new KeyboardEvent("keydown", { key })); return all(); };
    const point = (type, clientX) =>
      canvas.dispatchEvent(new PointerEvent(type, { clientX, clientY: frame.top + 50, pointerId: 1 }));
    const seen = { whole: all(), zoomed: press("+"), moved: press("ArrowRight"), back: press("ArrowLeft") };
    seen.again = press("0");
    document.getElementById("zoom-in").click(); seen.clicked = all();
    point("pointerdown", frame.left + 60);
    for (const type of ["pointermove", "pointerup"]) point(type, frame.left + 120);
    seen.dragged = all();
    canvas.focus();
    canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -300, cancelable: true })); seen.wheeled = all();
    document.getElementById("zoom-all").click(); seen.end = all();
    const names = Object.keys(seen);
    const first = names.map((name) => names.find((other) => seen[other] === seen[name]));
    return [...found, first, canvas.tabIndex, [...document.querySelectorAll("input, button, canvas")].every(
      (each) => each.tabIndex === 0 && (each.textContent.trim() || each.ariaLabel || each.labels?.length))];
    """
    # Frames are drawn at once, because the page's clock does not advance while the script runs.
    page = tmp_path / "page.html"
    now = "let paintNow = () => {}; window.requestAnimationFrame = (paint) => { paintNow = paint; paint(); };"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("</header>", f"</header><script>{now}</script>", 1), encoding="utf-8")
    after, before, with_probability, first, *named = asked_in_chromium(page, tmp_path, HELP + script)
    assert after != before and before != with_probability
    # The first of the moments that looked the same: keys, buttons, pointer and wheel move and zoom the map.
    assert first == ["whole", "zoomed", "moved", "zoomed", "whole", "zoomed", "dragged", "wheeled", "whole"]
    assert named == [0, True]


@pytest.mark.parametrize("count", [0, 200, 50_000])
def test_any_number_of_changes_gives_a_page_that_sorts(tmp_path, count):
    kinds = None if count == 0 else [("water gain", "opened ground", "<i>")[i % 3] for i in range(count)]
    boxes = boxes_of(count)
    boxes[: count // 2, 2:] -= 1  # areas differ
    boxes[:20, 2:] += 2
    given = written_results(tmp_path / "results", boxes, (1700, 2100), kinds=kinds)
    text = render_report(given)
    assert len(text.encode()) < MOST_BYTES
    assert "<i>" not in text
    page = tmp_path / "page.html"
    page.write_text(text, encoding="utf-8")
    script = """
    if (!document.getElementById("list")) return { rows: 0, listed: data.changes.length };
    sort("area"); const area = column("area"); sort("kind");
    const kind = [...document.querySelectorAll("#list tbody tr")].map((row) => row.dataset.kind);
    return { rows: area.length, listed: data.changes.length, dots: data.dots.length / 2, area, kind };
    """
    found = asked_in_chromium(page, tmp_path, HELP + script)
    assert found["rows"] == found["listed"] == min(count, 2000)
    if count == 0:
        assert "No change was found" in text
        return
    assert found["area"] == sorted(found["area"]) and len(set(found["area"])) > 1
    assert found["kind"] == sorted(found["kind"], key=lambda kind: kind.strip("<>"))
    assert found["dots"] == count - found["rows"]
    assert ("2,000 largest of 50,000" in text) == (count == 50_000)


def road_scene(path, width=3):
    """A sparse scene as wide as one of Sentinel-2, with texture and a road of some pixels at (6000, 4000)."""
    edge, block = 10_980, 1024
    ground = np.full((3, block, block), 90, np.uint8) + np.arange(block, dtype=np.uint8) // 4 % 20
    ground[:, 500 : 500 + width, 100:900] = 250
    profile = {
        "driver": "GTiff",
        "count": 3,
        "dtype": "uint8",
        "height": edge,
        "width": edge,
        "crs": "EPSG:32632",
    }
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "SPARSE_OK": True}
    transform = Affine(10, 0, 500000, 0, -10, 5300000)
    with rasterio.open(path, "w", transform=transform, **profile, **tiles) as file:
        file.write(ground, window=((5632, 5632 + block), (3584, 3584 + block)))
    return str(path)


def test_a_road_of_three_pixels_is_seen_in_the_largest_change_of_a_large_scene(tmp_path):
    pair = open_pair(road_scene(tmp_path / "before.tif", 0), road_scene(tmp_path / "after.tif"))
    box = (3684, 6132, 4484, 6135)  # 800 pixels long: more than a cut-out shows
    given = written_results(tmp_path / "results", [box], pair.grid.shape)
    overview = SceneOverview(Lattice.of(pair))
    window = Window(5632, 3584, 1024, 1024)
    overview.add(read_tile(pair, TileWindow(0, 0, window, window)), window)
    text = render_report(replace(given, pair=pair, overview=overview))
    part = text[text.index('id="largest"') :]
    before, after = pictures(part)[:2]
    assert before.shape == after.shape == (3, 512, 512)
    width, height = re.search(r'<svg class="drawn" width="(\d+)" height="(\d+)"', part).groups()
    assert (width, height) == ("512", "512"), "one pixel of the scene is one of the screen"
    road = (after.mean(axis=0) - before.mean(axis=0) > 60).sum(axis=0)  # of each column
    assert abs(np.median(road) - 3) <= 1
    assert "the part of it that is surest" in part


def test_south_up_and_mirrored_grids_are_shown_north_up(tmp_path):
    scene = np.zeros((3, 100, 140), np.uint8) + 60
    scene[:, 80:, :] = 200  # the last rows, which are the northern ones
    scene += random_scene(3, 3, 100, 140) % 9
    transform = Affine(10, 0, 500000, 0, 10, 5200000)
    paths = [write_scene(tmp_path / f"{name}.tif", scene, transform=transform) for name in ("one", "two")]
    pair = open_pair(*paths)
    given = written_results(tmp_path / "results", [(10, 85, 40, 95)], (100, 140), transform=transform)
    given = replace(given, pair=pair, overview=read_overview(pair, Lattice.of(pair), 2))
    text = render_report(given)
    before = pictures(text)[0].mean(axis=0)
    assert before[:15].mean() > 180 and before[30:].mean() < 120
    assert data_of(text)["changes"][0]["box"] == [10, 5, 40, 15]
    space = PageSpace(ProbabilityRaster(given.raster).grid)
    assert space.cover((100, 140), 1) == (0, 0, 140, 100)


@pytest.mark.parametrize(
    "profile", [{"crs": None}, {"crs": "EPSG:4326", "transform": Affine(1e-4, 0, 10, 0, -1e-4, 45)}]
)
def test_pairs_without_place_or_in_degrees_have_a_page(tmp_path, profile):
    text = render_report(written_results(tmp_path, boxes_of(3), (60, 60), **profile))
    places = re.findall(r"<td class=\"wide\">(row \d+, column \d+|\d+\.\d{5}, \d+\.\d{5})</td>", text)
    assert len(places) == 3 and places[0].startswith("row" if profile["crs"] is None else "44.9")
    assert ("16 pixels" in text or ">16</td>" in text) == (profile["crs"] is None)


def test_a_change_larger_than_the_screen_has_a_part_and_the_whole(tmp_path):
    text = render_report(written_results(tmp_path, [(0, 0, 1500, 1400)], (1500, 1600)))
    assert data_of(text)["changes"][0]["box"] == [0, 0, 1500, 1400]
    assert "88 %" in text and "data:image/jpeg" not in text


def test_the_page_of_noise_stays_small(tmp_path):
    scenes = [write_scene(tmp_path / f"{i}.tif", random_scene(i, 3, 1400, 1400)) for i in range(2)]
    pair = open_pair(*scenes)
    boxes = boxes_of(100, 118, 22, 10)
    given = written_results(tmp_path / "results", boxes, (1400, 1400))
    given = replace(given, pair=pair, overview=read_overview(pair, Lattice.of(pair), 2))
    assert len(render_report(given).encode()) < MOST_BYTES


def test_scenes_that_are_gone_leave_a_page_that_names_them(tmp_path, caplog):
    pair = changed_pair(tmp_path / "scenes", 120, 140)
    out = tmp_path / "out"
    rsdetect.detect(pair.before, pair.after, out=out, **CVA)
    assert rsdetect.report(out) == out / "report.html"
    first = (out / "report.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" in first
    shutil.move(tmp_path / "scenes", tmp_path / "away")
    told = run_here("report", out)
    assert told.status == 0 and "no pictures of the scenes" in told.err
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" not in text and "before.tif" in text
    assert re.search(r'class="mark">This page has no pictures of the scenes: .*before\.tif', text)


def test_a_page_that_fails_spoils_no_result(tmp_path, monkeypatch):
    pair = changed_pair(tmp_path / "scenes", 120, 140)
    out = tmp_path / "out"
    rsdetect.detect(pair.before, pair.after, out=out, **CVA)
    monkeypatch.setattr("rsdetect.jobs.report.write.render_report", lambda given: 1 / 0)
    found = rsdetect.detect(pair.before, pair.after, out=out, overwrite=True, **CVA)
    assert not (out / "report.html").exists(), "nor does the older page remain"
    assert any("report.html could not be made" in warning for warning in found.warnings)
    assert len(found.changes()) == found.record["counts"]["regions"]

    def full(given):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("rsdetect.jobs.report.write.render_report", full)
    old = contents(out)
    with pytest.raises(JobInterrupted, match="No space left"):
        rsdetect.detect(pair.before, pair.after, out=out, overwrite=True, **CVA)
    assert contents(out) == old


def test_no_page_is_made_where_none_is_wanted_and_an_older_one_goes(tmp_path):
    pair = changed_pair(tmp_path / "scenes", 120, 140)
    command = ("detect", pair.before, pair.after, "--detector", "cva", "--out", tmp_path / "out", "--quiet")
    assert run_here(*command).status == 0 and (tmp_path / "out" / "report.html").exists()
    assert run_here(*command, "--no-report", "--overwrite").status == 0
    assert not (tmp_path / "out" / "report.html").exists()
    assert run_here("vectorize", tmp_path / "out", "--min-area", 500).status == 0
    assert not (tmp_path / "out" / "report.html").exists()


def test_vectorize_makes_the_page_of_the_new_polygons(done):
    before = data_of((done / "report.html").read_text(encoding="utf-8"))
    record = rsdetect.vectorize(done, min_area=1e4).record
    after = data_of((done / "report.html").read_text(encoding="utf-8"))
    assert len(after["changes"]) == record["counts"]["regions"] < len(before["changes"])


def test_the_stretch_of_means_is_widened_by_the_pixels_of_the_largest_changes(tmp_path, monkeypatch):
    monkeypatch.setattr("rsdetect.scoring.scene_overview._MOST_CELLS", 20)
    scene = np.full((3, 120, 120), 100, np.uint8)
    scene[:, ::3, ::3], scene[:, 1::3, 1::3] = 250, 0  # texture that means over 6 by 6 pixels lose
    scene += random_scene(5, 3, 120, 120) % 9
    paths = [write_scene(tmp_path / f"{i}.tif", scene) for i in range(2)]
    pair = open_pair(*paths)
    overview = read_overview(pair, Lattice.of(pair), 1)
    assert overview.lattice.cell == 6
    own = Stretch.of(pair, overview)
    spread = pixel_spread(pair, overview.lattice, [Window(10, 10, 64, 64)])
    assert (spread == 3).all(), "at most"
    (low, high), (least, most) = own.widened(spread).limits[0], own.limits[0]
    np.testing.assert_allclose(high - low, 3 * (most - least), rtol=1e-5)
    np.testing.assert_allclose(high + low, most + least, rtol=1e-5)
    assert (pixel_spread(pair, overview.lattice, []) == 1).all()


def test_pictures_are_as_good_as_their_bytes_allow():
    flat, noise = np.full((3, 64, 64), 90, np.uint8), random_scene(3, 3, 64, 64)
    fine, coarse = uris_within([noise] * 12, 10**6), uris_within([noise] * 12, 40_000)
    assert len(fine) == len(coarse) == 12 and sum(map(len, coarse)) <= 40_000 < sum(map(len, fine))
    assert len(uris_within([flat, noise], 1)) == 2 and uris_within([], 10) == []


def test_the_page_of_best_names_the_failures_on_its_card(tmp_path):
    given = written_results(tmp_path, boxes_of(3), (60, 60))
    detector = {"name": "best", "threshold": 0.5, "model": "siamese"}
    text = render_report(replace(given, record=given.record | {"detector": detector}))
    shown = [failure for failure in best_card().known_failures if f"Known of best: {failure}" in text]
    assert shown and any("Sentinel-2" in failure for failure in shown)
    assert "Not for radar" not in text and "unlike sensors" not in text, "these are none"
    half_a_metre = TEN_METRES @ Affine.scale(0.05)
    fine = written_results(tmp_path / "fine", boxes_of(3), (60, 60), transform=half_a_metre)
    assert "Sentinel-2" not in render_report(replace(fine, record=fine.record | {"detector": detector}))


def test_on_paper_the_map_is_the_whole_later_scene_without_controls(done, tmp_path):
    shutil.copy(done / "report.html", tmp_path / "page.html")
    script = """
    const written = [], context = canvas.getContext("2d"), old = context.fillText.bind(context);
    context.fillText = (text, ...rest) => { written.push(text); old(text, ...rest); };
    const textsAfter = (name) => { dispatchEvent(new Event(name)); return written.splice(0); };
    const onPaper = textsAfter("beforeprint"), onScreen = textsAfter("afterprint");
    const sheets = [...document.styleSheets[0].cssRules].filter((rule) => rule.conditionText === "print");
    const rules = sheets.flatMap((sheet) => [...sheet.cssRules]).map((rule) => rule.cssText).join(" ");
    document.head.append(Object.assign(document.createElement("style"), { textContent: rules }));
    const each = (select) => [...document.querySelectorAll(select)];
    const hidden = (select) => each(select).every((one) => !one.checkVisibility());
    const { width, height } = canvas.getBoundingClientRect();
    return { onPaper, onScreen, hidden: [".controls", ".swipe", "#chosen", "details"].map(hidden),
      shown: !hidden(".still img"), bent: Math.abs(width / height - canvas.width / canvas.height) };
    """
    found = asked_in_chromium(tmp_path / "page.html", tmp_path, HELP + script)
    arrow = "\u2194"  # on the line between the scenes
    assert arrow in found["onScreen"] and arrow not in found["onPaper"]
    assert found["hidden"] == [True] * 4 and found["shown"]
    assert found["bent"] < 0.05, "its pixels stay square"


def test_kinds_are_named_where_one_is_known(tmp_path):
    given = written_results(tmp_path, boxes_of(3), (60, 60), kinds=["unknown"] * 3)
    text = render_report(given)
    assert "By kind" not in text and "unknown" not in text.partition("<script")[0]
