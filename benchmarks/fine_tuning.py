"""What a few labelled chips are worth: fine-tune a model on them, score it on other scenes of the source.

    python benchmarks/fine_tuning.py SOURCE... [--model siamese] [--folds 3] [--json fine_tuning.json]

A SOURCE is a folder of labelled pairs. For each seed half of its places, those of the part *choose* of the
split, give the chips (256 x 256 pixels, three of four around change), the other half is scored through the
pipeline of `rsdetect evaluate`: by the model as it is, and after `rsdetect train --from`, with `--folds` with
its guard. A place is never on both sides; what is measured on decides nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from rsdetect.evaluation import evaluate
from rsdetect.evaluation.split import read_split
from rsdetect.grid import Window
from rsdetect.labelled import LabelledPair, find_pairs
from rsdetect.scenes.pair import read_tile
from rsdetect.tiles import TileWindow
from rsdetect.training.options import TrainOptions
from rsdetect.training.run import train

SPLIT = Path(__file__).parent / "splits" / "shared.toml"
CHIP_PX = 256
LEAST_CHANGE = 0.01  # of a chip that is drawn around change
FIGURES = ("f1", "f1_best", "average_precision", "calibration_error")


def main() -> None:
    """Fine-tune and score, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--model", default="siamese", help="name or file of the model to start from")
    parser.add_argument("--split", type=Path, default=SPLIT, help="file that names the places")
    parser.add_argument("--chips", type=int, default=20)
    parser.add_argument("--folds", type=int, help="as for rsdetect train: the guard")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", action="append", default=[], help="another value in the recipe, KEY=VALUE")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    args = parser.parse_args()
    rows = []
    for source in args.sources:
        for seed in args.seeds:
            with tempfile.TemporaryDirectory(prefix="rsdetect-bench-") as scratch:
                rows.append(measure(source, seed, args, Path(scratch)))
            print(json.dumps(rows[-1]), flush=True)
    for source in args.sources:
        of_source = [row for row in rows if row["source"] == source.name]
        for figure in FIGURES:
            before, after = (
                np.array([row[side][figure] for row in of_source]) for side in ("zero_shot", "tuned")
            )
            print(
                f"{source.name:24} {figure:20} {before.mean():.3f} -> {after.mean():.3f}"
                f" (spread over seeds {after.std(ddof=1) if len(after) > 1 else 0:.3f})"
            )
    if args.json:
        args.json.write_text(json.dumps({"chips": args.chips, "model": args.model, "runs": rows}, indent=1))


def measure(source: Path, seed: int, args: argparse.Namespace, scratch: Path) -> dict[str, object]:
    """One seed of one source."""
    pairs = read_split(args.split).select(source.name, find_pairs(source), "choose")
    places = np.random.default_rng(seed).permutation(sorted({pair.place for pair in pairs}))
    if len(places) < 2:
        raise SystemExit(f"{source.name} has one place on *choose*: no other is left to be scored.")
    teaching = set(places[: len(places) // 2])
    chips, held_out = scratch / "chips", scratch / "tested"
    cut_chips([pair for pair in pairs if pair.place in teaching], args.chips, seed, chips)
    list_pairs([pair for pair in pairs if pair.place not in teaching], held_out)
    tuned = scratch / "tuned.safetensors"
    begun = time.perf_counter()
    card = train(
        TrainOptions(
            out=tuned,
            folders=(str(chips),),
            base=args.model,
            changes=(f"seed={seed}", *args.set),
            folds=args.folds,
            device="cpu",
            workers=0,
            quiet=True,
        )
    )
    assert card is not None
    seconds = time.perf_counter() - begun
    scores = {
        name: {figure: round(interval.value, 4) for figure, interval in found.items() if figure in FIGURES}
        for name, found in (
            (name, evaluate([held_out], model=str(model), shifts_px=()).sources[0].figures)
            for name, model in (("zero_shot", args.model), ("tuned", tuned))
        )
    }
    return {"source": source.name, "seed": seed, "minutes": round(seconds / 60, 1), **scores}


def cut_chips(pairs: list[LabelledPair], count: int, seed: int, into: Path) -> None:
    """Write chips of the pairs in turn, as A, B and label, listed with the scene as their place."""
    rng = np.random.default_rng((seed, count))
    rows = []
    for number in range(count):
        labelled = pairs[number % len(pairs)]
        pair = labelled.open()
        truth = labelled.truth(pair)
        window = draw_window(truth, number % 4 != 3, rng)
        tile = read_tile(pair, TileWindow(0, 0, window, window))
        rows_of, cols_of = window.slices_in(pair.grid.window)
        files = {}
        for name, pixels, dtype in (
            ("before", tile.before, pair.before.dtype),
            ("after", tile.after, pair.after.dtype),
            ("label", truth[None, rows_of, cols_of], "uint8"),
        ):
            files[name] = into / name / f"{number:03}.tif"
            write(files[name], pixels.astype(dtype))
        rows.append({name: path.relative_to(into) for name, path in files.items()} | {"place": labelled.name})
    write_table(into, rows)


def draw_window(truth: NDArray[np.uint8], with_change: bool, rng: np.random.Generator) -> Window:
    """A window anywhere; with change in it if that is asked for and found within a hundred draws."""
    size = min(CHIP_PX, *truth.shape)
    for _ in range(100):
        row, col = (int(rng.integers(0, edge - size + 1)) for edge in truth.shape)
        share = float((truth[row : row + size, col : col + size] == 1).mean())
        if not with_change or share >= LEAST_CHANGE:
            break
    return Window(row, col, size, size)


def list_pairs(pairs: list[LabelledPair], into: Path) -> None:
    """A table of pairs where they are, each a place of its own."""
    columns = ("before", "after", "label")
    rows = [
        {column: Path(getattr(pair, column)).resolve() for column in columns}
        | {"place": pair.name, "name": pair.name}
        for pair in pairs
    ]
    write_table(into, rows)


def write_table(folder: Path, rows: list[dict[str, object]]) -> None:
    """The rows as the table that `rsdetect.labelled` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write(path: Path, pixels: NDArray[np.generic]) -> None:
    """A plain picture without georeference."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = pixels.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": pixels.dtype}
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)


if __name__ == "__main__":
    main()
