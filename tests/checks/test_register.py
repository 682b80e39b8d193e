"""Registering a pair: known shifts and fields are found and undone, and what is uncertain is refused."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import geopandas
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

import rsdetect
from rsdetect.checks.register import fit_registration, require_no_fold
from rsdetect.checks.registration import measure_shift
from rsdetect.checks.report import check_pair
from rsdetect.checks.scan import Scan
from rsdetect.detectors import find_detector
from rsdetect.errors import InputError, JobInterrupted
from rsdetect.grid import Window
from rsdetect.jobs import prepare
from rsdetect.scenes.displacement import Displacement
from rsdetect.scenes.pair import open_pair
from rsdetect.scoring.core import score_core
from rsdetect.tiles import plan_tiles
from support.jobs import read_raster
from support.memory import memory_scene
from support.scenes import textured_scene, write_scene

HEIGHT, WIDTH, MARGIN = 280, 300, 60
GROUND = textured_scene(5, 1, HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN, "float32")[0]
BEFORE = GROUND[None, MARGIN:-MARGIN, MARGIN:-MARGIN]
CHANGED = slice(100, 150), slice(160, 220)


def displaced(rows, cols, *, other_ground=0.0):
    """After: the ground displaced by functions of (row, column), in another gain, with noise and a change."""
    row, col = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    at = row + MARGIN - rows(row, col), col + MARGIN - cols(row, col)
    after = map_coordinates(GROUND, at, order=3) * 1.2 + 9
    after += np.random.default_rng(1).normal(0, 2, after.shape)
    after[CHANGED] += 90
    width = round(other_ground * WIDTH)
    after[:, :width] = textured_scene(9, 1, HEIGHT, WIDTH, "float32")[0][:, :width]
    return after[None].astype(np.float32)


def by(distance):
    return lambda row, col: np.full(row.shape, float(distance))


def opened(after, before=BEFORE):
    return open_pair(memory_scene(before), memory_scene(after))


def wrong_px(found, rows, cols):
    """Mean error of the displacement inside the scene."""
    row, col = np.mgrid[20 : HEIGHT - 20, 20 : WIDTH - 20].astype(float)
    moved = found.displacement.at(Window(20, 20, HEIGHT - 40, WIDTH - 40))
    return np.hypot(moved[0] - rows(row, col), moved[1] - cols(row, col)).mean()


@pytest.mark.parametrize("distance", [0.3, 1, 8, 40])
def test_a_known_shift_is_found_and_undone(distance):
    rows, cols = by(0.6 * distance), by(-0.8 * distance)
    pair = opened(displaced(rows, cols))
    found = fit_registration(pair)
    assert found.method == "shift"
    assert wrong_px(found, rows, cols) < 0.05
    assert measure_shift(found.apply(pair)).distance_px < 0.1


@pytest.mark.parametrize(
    ("rows", "cols"),
    [
        (lambda row, col: (col - 150) * 0.012, lambda row, col: -(row - 140) * 0.012),  # rotation
        (lambda row, col: 3 * ((col - 150) / 150) ** 2, lambda row, col: 2 * ((row - 140) / 140) ** 2 - 1),
    ],
)
def test_a_smooth_field_is_found_although_some_of_the_ground_is_another(rows, cols):
    found = fit_registration(opened(displaced(rows, cols, other_ground=0.2)))
    assert found.method == "field"
    assert wrong_px(found, rows, cols) < 0.15
    assert found.agreeing < found.ties


@pytest.mark.parametrize(
    "after",
    [
        displaced(lambda row, col: 3 * np.sin(col / 15), lambda row, col: 3 * np.cos(row / 15)),
        displaced(by(0), by(0), other_ground=1.0),
        np.full_like(BEFORE, 7),
        displaced(by(0), by(0))[:, :40, :40],
    ],
    ids=["waves", "all of it changed", "constant", "too small"],
)
def test_what_no_smooth_field_explains_is_refused_by_one_sentence(after):
    height, width = after.shape[1:]
    with pytest.raises(InputError, match=r"^`register` cannot place .* or leave the option out\.$"):
        fit_registration(opened(after, BEFORE[:, :height, :width]))


def test_a_field_that_folds_is_refused():
    level = ((0.0,) * 3,) * 3
    require_no_fold(opened(BEFORE), Displacement((50.0, 50.0), level, ((0.0, 5.0, 9.0),) * 3))
    with pytest.raises(InputError, match=r"`register` found a field .* that folds: a pixel becomes 0.20 of"):
        require_no_fold(opened(BEFORE), Displacement((50.0, 50.0), level, ((0.0, 5.0, -35.0),) * 3))


def test_registered_tiles_have_no_seams_and_less_false_change():
    pair = opened(
        displaced(lambda row, col: 2 + (col - 150) * 0.01, lambda row, col: -1 - (row - 140) * 0.01)
    )
    registered = fit_registration(pair).apply(pair)
    received = pickle.loads(pickle.dumps(registered))  # as by a worker of a cluster
    assert received.after.displacement == registered.after.displacement
    false = []
    for each in (pair, registered):
        scorer = find_detector("cva")().fit(Scan(each))
        whole, tiled = (np.full(each.grid.shape, np.nan, np.float32) for _ in range(2))
        for out, size in ((whole, 512), (tiled, 64)):
            for tile in plan_tiles(each.grid, size, scorer.halo, scorer.stride):
                out[tile.core.slices_in(each.grid.window)] = score_core(each, scorer, tile)
        np.testing.assert_allclose(tiled, whole, atol=1e-5)
        marked = whole >= scorer.threshold
        marked[CHANGED[0].start - 8 : CHANGED[0].stop + 8, CHANGED[1].start - 8 : CHANGED[1].stop + 8] = False
        false.append(marked.mean())
    assert false[1] < 0.5 * false[0]


def test_the_report_has_the_registration_and_the_shift_that_is_left():
    pair = opened(displaced(by(2), by(-3)))
    assert any("add `register=True`" in warning for warning in check_pair(pair).warnings)
    report = check_pair(fit_registration(pair).apply(pair))
    assert report.shift.distance_px < 0.1
    assert any("is registered to" in warning and "pixels are left" in warning for warning in report.warnings)
    assert not any("away from" in warning for warning in report.warnings)


def test_forty_pixels_are_measured_where_tiles_are_too_small_for_them():
    shift = check_pair(opened(displaced(by(-24), by(32)))).shift
    assert shift.is_reliable
    assert (shift.rows_px, shift.cols_px) == pytest.approx((-24, 32), abs=0.2)


def test_a_job_stores_its_registration_and_a_resumed_one_and_vectorize_use_it(tmp_path, monkeypatch):
    scenes = [
        write_scene(tmp_path / f"{name}.tif", array)
        for name, array in (("before", BEFORE), ("after", displaced(by(1.5), by(-2))))
    ]
    out, options = tmp_path / "out", {"detector": "cva", "register": True, "quiet": True, "tile_size": 128}

    def stop(*_, **__):
        raise JobInterrupted("stopped")

    with monkeypatch.context() as patch:
        patch.setattr("rsdetect.jobs.detect.finish_raster", stop)
        with pytest.raises(JobInterrupted):
            rsdetect.detect(*scenes, out=out, **options)
    assert len(list((out / ".work").glob("*.registration.json"))) == 1
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "fit_registration", stop)  # a second fit would stop the job
        record = rsdetect.detect(*scenes, out=out, **options).record
    assert record["counts"]["tiles_scored_in_this_run"] == 0
    assert record["registration"]["method"] == "shift"
    assert json.loads((out / "run.json").read_text())["registration"] == record["registration"]
    assert not (out / ".work").exists()
    changed = read_raster(out) >= 50
    assert changed[CHANGED].mean() > 0.9
    drawn = geopandas.read_file(out / "changes.gpkg", layer="changes")
    rsdetect.vectorize(out)
    again = geopandas.read_file(out / "changes.gpkg", layer="changes")
    columns = [name for name in drawn.columns if name.startswith("difference")]
    np.testing.assert_allclose(again[columns], drawn[columns], rtol=1e-4)


def test_a_pair_that_lies_right_reads_nearly_as_it_is():
    pair = opened(displaced(by(0), by(0)))
    found = fit_registration(pair)
    assert found.method == "shift"
    assert np.hypot(*np.ravel([found.displacement.rows, found.displacement.cols])) < 0.1
    assert replace(found.apply(pair), after=pair.after, notes=()) == replace(pair, notes=())
