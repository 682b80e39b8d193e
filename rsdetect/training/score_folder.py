"""Scores a model on folders of labelled pairs: python -m rsdetect.training.score_folder MODEL FOLDER...

A folder is one source: before in A/, after in B/, truth in label/, matched by file name without suffix.
Pixels are pooled within a source and never over sources; the interval is by bootstrap over its scenes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from skimage.io import imread

from rsdetect.detectors.learned import SiameseDetector, SiameseScorer
from rsdetect.grid import Window
from rsdetect.metrics import Counts
from rsdetect.nets.checkpoint import find_model, load_model, read_card, save_model
from rsdetect.stats import PixelSample
from rsdetect.tiles import BoolArray, Float32Array, Tile
from rsdetect.training.finishing import figures


@dataclass(frozen=True)
class LabelledPair:
    """Two whole images in memory with their truth."""

    before: Float32Array  # (bands, height, width) raw pixel values
    after: Float32Array
    truth: BoolArray  # (height, width), True = changed
    labelled: BoolArray  # (height, width), False = nobody said

    def sample_pixels(self) -> PixelSample:
        """What `Scan.sample_pixels` gives of this pair: every pixel."""
        bands = self.before.shape[0]
        return PixelSample(self.before.reshape(bands, -1), self.after.reshape(bands, -1))


def read_pairs(folder: Path, bands: tuple[int, ...]) -> Iterator[LabelledPair]:
    """The pairs of a source, by name; `bands` are counted from 1."""
    for label_path in sorted((folder / "label").iterdir()):
        before, after = (_read_bands(folder / date, label_path.stem, bands) for date in "AB")
        label = imread(label_path)
        if (label == 1).any():  # 1 changed, 0 unchanged, 255 not labelled
            yield LabelledPair(before, after, label == 1, label != 255)
        else:  # 255 changed, 0 unchanged
            yield LabelledPair(before, after, label > 127, np.ones(label.shape, bool))


def score_pair(pair: LabelledPair, detector: SiameseDetector) -> Counts:
    """Counts of one pair, scored as one tile through the detector that users run."""
    scorer = detector.fit(cast(Any, pair))
    return Counts.of(_score_whole(pair, scorer), pair.truth, pair.labelled)


def score_folder(folder: Path, bands: tuple[int, ...], model: str) -> dict[str, float]:
    """Figures of a source, with the 90 % interval of F1 and of average precision (seed 0)."""
    detector, threshold = SiameseDetector(model), read_card(model).threshold
    parts = [score_pair(pair, detector) for pair in read_pairs(folder, bands)]
    rng = np.random.default_rng(0)
    drawn = [Counts.total([parts[i] for i in rng.integers(0, len(parts), len(parts))]) for _ in range(200)]
    result = figures(Counts.total(parts), threshold)
    for name, values in (
        ("f1", [counts.f1_at(threshold) for counts in drawn]),
        ("average_precision", [counts.average_precision() for counts in drawn]),
    ):
        low, high = np.percentile(values, [5, 95])
        result |= {f"{name}_low": round(float(low), 3), f"{name}_high": round(float(high), 3)}
    return result


def _read_bands(folder: Path, stem: str, bands: tuple[int, ...]) -> Float32Array:
    (path,) = folder.glob(f"{stem}.*")
    image: NDArray[Any] = imread(path)
    image = image[..., None].repeat(max(bands), axis=2) if image.ndim == 2 else image
    return np.moveaxis(image[..., [band - 1 for band in bands]], 2, 0).astype(np.float32)


def _score_whole(pair: LabelledPair, scorer: SiameseScorer) -> Float32Array:
    height, width = pair.truth.shape
    halo = -(-scorer.halo // scorer.stride) * scorer.stride
    below, right = (halo + -edge % scorer.stride for edge in (height, width))
    margins = ((halo, below), (halo, right))
    before, after = (np.pad(date, ((0, 0), *margins)) for date in (pair.before, pair.after))
    valid = np.pad(np.ones((height, width), bool), margins)
    read = Window(-halo, -halo, *valid.shape)
    tile = Tile(Window(0, 0, height, width), read, before, after, valid, valid)
    return tile.crop_to_core(scorer.score(tile))


def main() -> None:
    """Print the figures as JSON; with --write, put them into the model's card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="name or file")
    parser.add_argument("folders", nargs="+", help="FOLDER or FOLDER:3,2,1 (bands in the model's order)")
    parser.add_argument("--write", action="store_true", help="store the figures in the model file's card")
    given = parser.parse_args()
    scores = {}
    for source in given.folders:
        name, _, bands = source.partition(":")
        chosen = tuple(int(band) for band in (bands or "1,2,3").split(","))
        scores[Path(name).name] = score_folder(Path(name), chosen, given.model)
    macro = {
        key: round(float(np.mean([s[key] for s in scores.values()])), 3)
        for key in ("f1", "average_precision", "f1_best", "calibration_error")
    }
    scores["macro"] = macro
    print(json.dumps(scores, indent=2))
    if given.write:
        net, card = load_model(given.model)
        together = card.model_copy(update={"scores": card.scores | scores})
        save_model(find_model(given.model), net, together)


if __name__ == "__main__":
    main()
