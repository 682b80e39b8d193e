"""Effect of `normalise` on detectors: F1 at own and at best threshold and average precision, by source.

Run on the *choose* places of a split file:

    python benchmarks/preparation.py DATA --split benchmarks/splits/shared.toml --json out.json
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import numpy as np

from rsdetect.checks.scan import Scan
from rsdetect.detectors import make_detector
from rsdetect.detectors.fitting import fit_detector
from rsdetect.detectors.normalise import normalise
from rsdetect.evaluation.split import read_split
from rsdetect.labelled import LabelledPair, find_pairs
from rsdetect.metrics import Counts
from rsdetect.percent import PERCENT, to_percent
from rsdetect.scenes.normalisation import NORMALISATIONS
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.windows import plan_windows, score_windows

SOURCES = ("levir-cd", "levir-cd-crops", "airchange", "dsifn", "beijing-vhr", "landsat-labelled")


def count(labelled: LabelledPair, detector_name: str, method: str) -> tuple[Counts, float]:
    """Counts of changed and unchanged pixels of a pair by percent, and the detector's threshold."""
    detector = make_detector(detector_name, None, "cpu", "auto")
    scan = normalise(Scan(labelled.open(wanted=detector.bands), 2), method)
    return count_pair(scan.pair, labelled, detector_name)


def count_pair(pair: Pair, labelled: LabelledPair, detector_name: str) -> tuple[Counts, float]:
    """Counts of a prepared pair."""
    scorer = fit_detector(make_detector(detector_name, None, "cpu", "auto"), Scan(pair, 2))
    probability = np.full(pair.grid.shape, np.nan, np.float32)
    for tile, scored in score_windows(pair, scorer, plan_windows(pair, scorer), workers=2, threads=1):
        probability[tile.core.slices_in(pair.grid.window)] = scored
    truth = labelled.truth(pair)
    known = (truth <= 1) & np.isfinite(probability)
    return Counts.of_steps(to_percent(probability), truth == 1, known, PERCENT), scorer.threshold


def main() -> None:
    """Print one row per detector and method: own F1, best F1 and average precision, macro over sources."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--detectors", nargs="+", default=["cva", "difference", "sfa", "best"])
    parser.add_argument("--methods", nargs="+", default=list(NORMALISATIONS))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    split = read_split(asked.split)
    table = {}
    for detector in asked.detectors:
        for method in asked.methods:
            rows = {}
            for source in SOURCES:
                pairs = split.select(source, find_pairs(asked.data / source, "auto"), "choose")
                found = [count(pair, detector, method) for pair in pairs]
                total = Counts.total([counts for counts, _ in found])
                rows[source] = (
                    total.f1_at(found[0][1]),
                    total.best()[1],
                    float(total.average_precision()),
                )
            table[f"{detector} {method}"] = rows
            macro = [statistics.mean(row[i] for row in rows.values()) for i in range(3)]
            print(detector, method, *(f"{figure:.3f}" for figure in macro), rows, flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
