"""Known figures of a known method on real sets come out of `evaluate` again."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu

from rsdetect.detectors import Detector, Scorer
from rsdetect.evaluation import evaluate
from rsdetect.evaluation.open_sources import open_source
from rsdetect.evaluation.options import EvaluateOptions, labelled_sets
from rsdetect.evaluation.pair_scores import measure_pair
from rsdetect.evaluation.run import summarize_source
from rsdetect.progress import Silence
from rsdetect.scenes.pair import read_tile
from rsdetect.tiles import TileWindow

# F1 at the threshold of Otsu, and of marking everything, of the method below: worked out elsewhere, by other
# code, and published beside the sets.
KNOWN = {
    "levir-cd-crops": (0.09, 0.19),
    "airchange": (0.18, 0.08),
    "dsifn": (0.36, 0.40),
    "landsat-labelled": (0.71, 0.28),
    "beijing-vhr": (0.29, 0.15),
    "sar-pairs": (0.53, None),
}


@dataclass(frozen=True)
class DifferenceScorer(Scorer):
    """How far each pixel moved after every band of every image was standardised, smoothed (sigma 2)."""

    distance: np.ndarray  # of the whole pair
    otsu: float

    name = "difference"

    def score(self, tile):
        probability = np.zeros(tile.valid.shape, np.float32)
        rows, cols = (
            slice(off, off + n)
            for off, n in zip((tile.core.row_off, tile.core.col_off), tile.core.shape, strict=True)
        )
        part = self.distance[rows, cols]
        probability[tile.core.slices_in(tile.read)] = part / (part + self.otsu)  # 0.5 at the threshold
        return probability

    def provenance(self):
        return {"name": "difference", "threshold": 0.5}


class DifferenceDetector(Detector):
    name = "difference"

    def fit(self, scan):
        whole = scan.pair.grid.window
        tile = read_tile(scan.pair, TileWindow(0, 0, whole, whole))
        dates = (
            (date - date.mean((1, 2), keepdims=True)) / (date.std((1, 2), keepdims=True) + 1e-6)
            for date in (tile.before.astype(np.float64), tile.after.astype(np.float64))
        )
        distance = gaussian_filter(np.linalg.norm(np.subtract(*dates), axis=0), 2)
        return DifferenceScorer(distance, float(threshold_otsu(distance)))


@pytest.mark.parametrize("name", KNOWN)
def test_the_known_floor_comes_out_again(real_data, name):
    options = EvaluateOptions(detector="cva", shifts_px=())
    (source,) = labelled_sets([real_data / name], options)
    detector = DifferenceDetector()
    measured = [
        measure_pair(pair, detector, {}, Silence()) for pair in open_source(source, options, detector)
    ]
    figures = summarize_source(source, measured, options, 0)[0].figures
    at_otsu, everything = KNOWN[name]
    assert figures["f1"].value == pytest.approx(at_otsu, abs=0.015)
    if everything is not None:
        assert figures["f1_marking_everything"].value == pytest.approx(everything, abs=0.005)


def test_change_vectors_on_real_sets_score_about_as_the_floor(real_data):
    found = evaluate(
        [real_data / "landsat-labelled", real_data / "levir-cd-crops"], detector="cva", shifts_px=()
    )
    best = {source.name: source.figures["f1_best"].value for source in found.sources}
    assert best["landsat-labelled"] == pytest.approx(0.77, abs=0.05)
    assert best["levir-cd-crops"] == pytest.approx(0.18, abs=0.02)
    crops = {scene.name: scene.figures for scene in found.sources[1].scenes}
    assert crops["train_386_0512_0768"]["changed_share"] == 0
    alarms = crops["train_386_0512_0768"]["false_alarm_share"]
    assert found.sources[1].figures["false_alarm_share"].value == alarms > 0
