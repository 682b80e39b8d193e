"""The page of an evaluation: whole in itself, quiet, and its pictures show what they say."""

import base64
import json
import re

import numpy as np
import pytest
from rasterio.io import MemoryFile

from rsdetect.evaluation import evaluate
from rsdetect.evaluation.pair_scores import BadTile, OpenedPair
from rsdetect.evaluation.tile_pictures import FALSE, MISSED, QUIET, RIGHT, draw_tile
from rsdetect.grid import Window
from rsdetect.labelled import find_pairs
from support.chromium import opened_in_chromium
from support.labelled_sets import H, W, write_set
from support.scenes import random_scene, write_scene

GREY = (128, 128, 128)


def test_the_page_opens_without_messages_or_requests(tmp_path):
    folder = write_set(tmp_path / "a <b>set & 'more'", ("x_1", "y_1", "quiet_1"))
    hostile = 'z"><script>alert(1)'
    for part in ("A", "B", "label"):
        (folder / part / "x_1.tif").rename(folder / part / f"{hostile}.tif")
    evaluate([folder], detector="cva", shifts_px=(1,), out=tmp_path / "out")
    page = tmp_path / "out" / "evaluation.html"
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "a &lt;b&gt;set &amp; &#39;more&#39;" in text
    assert not re.search(r"(src|href)=[\"'](?!data:)", text)
    (tmp_path / "chromium").mkdir()
    assert opened_in_chromium(page, tmp_path / "chromium") == ([], set())


def test_a_set_in_which_nothing_changed_has_a_page_and_false_alarms(tmp_path):
    folder = write_set(tmp_path / "quiet", ("quiet_1", "quiet_2"))
    found = evaluate([folder], detector="cva", shifts_px=(1,), out=tmp_path / "out")
    figures = found.sources[0].figures
    assert figures["false_alarm_share"].value == pytest.approx(1 - figures["accuracy"].value)
    assert np.isnan([figures[name].value for name in ("recall", "average_precision", "objects_found")]).all()
    record = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert record["macro"]["recall"] == {"value": None, "low": None, "high": None}
    assert "Precision over recall" in (tmp_path / "out" / "evaluation.html").read_text()


def test_a_page_that_complains_or_asks_others_would_be_found_out(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        '<body style="background:linear-gradient(black,white);height:99vh">'
        '<script>console.error("ouch")</script>'
        '<img src="http://pictures.example/x.png">'
    )
    said, asked = opened_in_chromium(page, tmp_path)
    assert "ouch" in said[0]
    assert asked == {"pictures.example"}


def pixels(uri):
    kind, content = re.fullmatch(r"data:image/(\w+);base64,(.+)", uri).groups()
    with MemoryFile(base64.b64decode(content)) as memory, memory.open() as file:
        return kind, file.read()


def test_pictures_show_right_false_missed_and_unknown_in_their_colours(tmp_path):
    scene = random_scene(1, 3, H, W)
    for date in ("before", "after"):
        write_scene(tmp_path / "x" / f"{date}.tif", scene)
    write_scene(tmp_path / "x" / "labels.tif", np.eye(H, W, dtype=np.uint8))
    (labelled,) = find_pairs(tmp_path)
    window = Window(0, 0, 3, 2)
    percent = np.array([[90, 90], [30, 29], [255, 60]], np.uint8)
    truth = np.array([[1, 0], [1, 1], [1, 255]], np.uint8)
    drawn = draw_tile(BadTile(OpenedPair(labelled, labelled.open()), window, percent, truth, 2), 0.3)
    kind, verdict = pixels(drawn.verdict)
    assert kind == "png"
    colours = [tuple(int(c) for c in verdict[:, row, col]) for row in range(3) for col in range(2)]
    assert colours == [RIGHT, FALSE, RIGHT, MISSED, GREY, GREY]
    _, told = pixels(drawn.truth)
    assert told[0].tolist() == [[255, 0], [255, 255], [255, 128]]
    _, probability = pixels(drawn.probability)
    assert tuple(probability[:, 2, 0]) == GREY
    brightness = probability.astype(int).sum(0)
    assert brightness[0, 0] > brightness[2, 1] > brightness[1, 0] > brightness[1, 1]
    assert QUIET not in colours


def test_dates_are_stretched_over_the_whole_pair_and_not_over_the_tile(tmp_path):
    dark = np.tile(np.linspace(10, 250, W).astype(np.uint8), (3, H, 1))
    for date in ("before", "after"):
        write_scene(tmp_path / "x" / f"{date}.tif", dark)
    write_scene(tmp_path / "x" / "labels.tif", np.eye(H, W, dtype=np.uint8))
    (labelled,) = find_pairs(tmp_path)
    window = Window(0, 0, 16, 16)
    blank = np.zeros((16, 16), np.uint8)
    kind, before = pixels(
        draw_tile(BadTile(OpenedPair(labelled, labelled.open()), window, blank, blank, 0), 0.5).before
    )
    assert kind == "jpeg"
    assert before.max() < 40, "the dark end of the pair stays dark"


def test_scenes_of_one_band_and_of_named_bands_are_drawn(tmp_path):
    for bands, names in ((1, None), (2, None), (4, ("nir", "blue", "green", "red"))):
        folder = tmp_path / str(bands)
        for date in ("before", "after"):
            array = np.zeros((bands, 20, 20), np.uint8)
            array[-1] = np.arange(400).reshape(20, 20) // 2  # the red one, where bands have names
            write_scene(folder / f"{date}.tif", array + 1, names=names)
        write_scene(folder / "labels.tif", np.eye(20, dtype=np.uint8))
        (labelled,) = find_pairs(folder)
        blank = np.zeros((20, 20), np.uint8)
        tile = BadTile(OpenedPair(labelled, labelled.open()), Window(0, 0, 20, 20), blank, blank, 0)
        _, before = pixels(draw_tile(tile, 0.5).before)
        if bands == 4:
            assert before[0, -1].mean() > 200
            assert before[1:, -1].mean() < 60
        else:
            assert np.abs(before[0].astype(int) - before[1]).max() <= 2
