"""Detectors compared on one pair: what `detect` finds with each, over shared reads; failures stay alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from sklearn.metrics import average_precision_score, f1_score, jaccard_score

import rsdetect
from rsdetect.detectors import Detector, Scorer
from rsdetect.errors import InputError, OutputError, ReadError
from rsdetect.evaluation.detector_contest import Contest
from rsdetect.evaluation.detector_options import CompareOptions
from rsdetect.percent import level_of, to_percent
from support.chromium import opened_in_chromium
from support.jobs import run_here
from support.memory import memory_scene
from support.scenes import write_scene

H, W = 300, 620  # more than one tile of 512 pixels


def scenes(bands=3, seed=0):
    """Both dates, (bands, H, W) uint8, and what changed between them."""
    rng = np.random.default_rng(seed)
    before = rng.integers(60, 90, (bands, H, W))
    changed = np.zeros((H, W), bool)
    changed[40:90, 100:200] = changed[200:260, 490:560] = True
    after = before + rng.integers(-3, 4, before.shape) + 80 * changed
    return before.astype(np.uint8), after.astype(np.uint8), changed


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    before, after, changed = scenes()
    tiles = {"tiled": True, "blockxsize": 128, "blockysize": 128}
    label = write_scene(folder / "label.tif", changed[None].astype(np.uint8) * 255)
    return (
        write_scene(folder / "before.tif", before, **tiles),
        write_scene(folder / "after.tif", after, **tiles),
        label,
        changed,
    )


@dataclass(frozen=True)
class FailingScorer(Scorer):
    name = "failing"

    def score(self, tile):
        if tile.core.col_off:
            raise ValueError("no more")
        return np.zeros(tile.valid.shape, np.float32)


class Failing(Detector):
    name = "failing"

    def fit(self, scan):
        return FailingScorer()


def test_each_detector_has_the_scores_of_its_own_job(files):
    before, after, label, changed = files
    found = rsdetect.compare(before, after, detectors=["cva", "sfa"], truth=label)
    marks = []
    for result in found.detectors:
        probability = rsdetect.score(before, after, detector=result.name).to_numpy()
        percent = to_percent(probability)
        marked = percent >= level_of(result.threshold)
        marks.append(marked)
        assert (result.observed_pixels, result.marked_pixels) == (H * W, marked.sum())
        assert result.scores["f1"] == pytest.approx(f1_score(changed.ravel(), marked.ravel()))
        average = average_precision_score(changed.ravel(), percent.ravel())
        assert result.scores["average_precision"] == pytest.approx(average)
        assert result.seconds >= result.fit_seconds > 0 and result.memory_mib >= 0
    (agreement,) = found.agreement
    assert agreement.iou == pytest.approx(jaccard_score(marks[0].ravel(), marks[1].ravel()))
    assert (found.failed, found.exit_status) == ((), 0)


def test_every_block_is_decoded_once_for_all_detectors(files):
    found = rsdetect.compare(*files[:2], detectors="cva,sfa,difference")
    assert found.reading["blocks"] == 2 * 2 * 3, "SharedBlocks decodes blocks of 128 px four at a time"
    assert found.reading["decoded_again"] == 0
    assert all(result.scores is None for result in found.detectors)


def test_a_detector_that_cannot_do_it_spoils_no_other():
    before, after, _ = scenes(bands=1)
    pair = memory_scene(before), memory_scene(after)
    alone = rsdetect.compare(*pair, detectors=["cva", "difference"])
    found = rsdetect.compare(*pair, detectors=["cva", "siamese", Failing(), "nonsense", "difference"])
    counted = ("name", "threshold", "observed_pixels", "marked_pixels")
    assert [[getattr(result, name) for name in counted] for result in found.detectors] == [
        [getattr(result, name) for name in counted] for result in alone.detectors
    ]
    assert [failure.name for failure in found.failed] == ["siamese", "failing", "nonsense"]
    assert "no more" in found.failed[1].why
    assert found.exit_status == 2
    assert len(found.agreement) == 1


def test_a_detector_may_fail_in_a_thread_at_any_moment(monkeypatch):
    class LeavesOnceFound(dict):
        def __contains__(self, number):
            return super().__contains__(number) and (self.pop(number), True)[1]

    genuine = Contest.open

    def opened(contest, *scenes):
        genuine(contest, *scenes)
        contest.taking_part = LeavesOnceFound(contest.taking_part)

    monkeypatch.setattr(Contest, "open", opened)
    before, after, _ = scenes(bands=1)
    found = rsdetect.compare(memory_scene(before), memory_scene(after), detectors=["cva", "difference"])
    assert [result.name for result in found.detectors] == ["cva", "difference"]


def test_if_none_can_do_it_nothing_is_written(tmp_path):
    before, after, _ = scenes(bands=1)
    with pytest.raises(InputError, match=r"siamese|red"):
        rsdetect.compare(
            memory_scene(before), memory_scene(after), detectors=["siamese"], out=tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_a_single_detector_may_be_given_as_an_object():
    detector = Failing()
    assert CompareOptions.from_keywords(detector).detectors == (detector,)
    assert CompareOptions(detectors=detector).detectors == (detector,)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"detectors": []}, "names no detector"),
        ({"detectors": "cva,cva"}, "names cva twice"),
        ({"detectors": 5}, "takes names of detectors"),
        ({"detectors": Failing}, "takes names of detectors"),
        ({"detectors": "cva", "device": "tpu"}, "`device` 'tpu'"),
        ({"detectors": "cva", "device": 0}, "`device` 0 is unknown"),
        ({"detectors": "cva", "truht": "x"}, "did you mean `truth`"),
    ],
)
def test_wrong_options_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        rsdetect.compare("a.tif", "b.tif", **options)


def test_a_damaged_scene_ends_all(files, tmp_path):
    broken = tmp_path / "broken.tif"
    content = Path(files[1]).read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    with pytest.raises((ReadError, InputError), match=r"broken\.tif"):
        rsdetect.compare(files[0], broken, detectors=["cva", "difference"], out=tmp_path / "out")
    assert not (tmp_path / "out" / "comparison.html").exists()


def test_results_are_not_replaced_unasked_and_never_the_truth(files, tmp_path):
    before, after, label, _ = files
    rsdetect.compare(before, after, detectors="cva", out=tmp_path / "out")
    with pytest.raises(OutputError, match=r"comparison\.json exists"):
        rsdetect.compare(before, after, detectors="cva", out=tmp_path / "out")
    rsdetect.compare(before, after, detectors="difference", out=tmp_path / "out", overwrite=True)
    record = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [entry["name"] for entry in record["detectors"]] == ["difference"]
    (tmp_path / "out" / "comparison.html").unlink()
    (tmp_path / "out" / "comparison.html").symlink_to(label)
    with pytest.raises(OutputError, match="read by this job"):
        rsdetect.compare(before, after, detectors="cva", truth=label, out=tmp_path / "out", overwrite=True)


def test_the_page_shows_hostile_names_as_text_and_opens_quietly(files, tmp_path):
    folder = tmp_path / "a <b>pair & 'more'"
    folder.mkdir()
    hostile = folder / 'z"><script>alert(1).tif'
    with rasterio.open(files[0]) as scene:
        write_scene(hostile, scene.read())
    told = run_here(
        "compare", hostile, files[1], "--truth", files[2], "--detectors", "cva,<i>bad</i>,difference",
        "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert told.status == 2
    assert "<i>bad</i> takes no part" in told.err
    content = json.loads(told.out)
    assert [entry["name"] for entry in content["detectors"]] == ["cva", "difference"]
    page = tmp_path / "out" / "comparison.html"
    text = page.read_text()
    assert "<script" not in text and "<i>" not in text and "<b>" not in text
    assert "&lt;script&gt;alert(1)" in text and "&lt;i&gt;bad&lt;/i&gt; has no result" in text
    assert text.count("<img") == 3 + 2 * 2
    (tmp_path / "chromium").mkdir()
    assert opened_in_chromium(page, tmp_path / "chromium") == ([], set())


def test_the_command_prints_tables_and_still_compares_evaluations(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = run_here("compare", *files[:2], "--detectors", "cva,difference", "--quiet")
    assert (told.status, told.err) == (0, "Pictures: comparison/comparison.html\n")
    assert "Agreement" in told.out and "IoU" in told.out
    told = run_here("compare", *files[:2])
    assert told.status == 2
    assert "--detectors cva,sfa" in told.err
    told = run_here("compare", "gone.tif", files[1], "--detectors", "cva,difference")
    assert (told.status, told.err.count("\n")) == (2, 1), "said once, not for each detector"
    told = run_here("compare", tmp_path, tmp_path, "--truth", files[2])
    assert told.status == 2
    assert "name the --detectors" in told.err
