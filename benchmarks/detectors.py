"""The table of docs/detectors.md: every detector that ships, on every labelled set, and what each costs.

Scores are those of `rsdetect evaluate`: all scenes of a set, of both parts of the split, with intervals over
places. Parts kept for reporting are logged. Each cell (a detector on a set) and each cost is a file in
`--cells`, and is not computed again; the page is made from these files.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
from end_to_end import simulated_pair

from rsdetect import evaluate
from rsdetect.detectors import DETECTORS
from rsdetect.errors import InputError
from rsdetect.evaluation.bootstrap import Draws, bootstrap_places, macro, percentile_interval
from rsdetect.evaluation.figures import evaluation_figures
from rsdetect.evaluation.look_log import code_version
from rsdetect.evaluation.results import Interval
from rsdetect.evaluation.split import Split, read_split
from rsdetect.evaluation.tally import Tally
from rsdetect.files import as_json

SPLIT = Path(__file__).with_name("splits") / "shared.toml"
BEGIN, END = "<!-- benchmarks/detectors.py: begin -->", "<!-- benchmarks/detectors.py: end -->"
# In the order of the page; those of several optical kinds first, of which the mean is.
OPTICAL = ("levir-cd", "levir-cd-crops", "airchange", "dsifn", "beijing-vhr", "landsat-labelled")
OTHERS = ("egy-bcd", "landsat-nir", "sar-pairs", "heterogeneous")
FIGURES = {"f1": "F1 at the own threshold", "f1_best": "Best F1", "average_precision": "Average precision"}
SHARES = ("changed_share", "f1_marking_everything")
SEED = 0


def main() -> None:
    """Compute missing cells and costs, and write the page; or repeat single cells."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the labelled sets")
    parser.add_argument("--cells", type=Path, required=True, help="folder for results by cell")
    parser.add_argument(
        "--log-look", required=True, help="reason for evaluating the parts kept for reporting"
    )
    parser.add_argument("--page", type=Path, help="page with the markers that the tables go between")
    parser.add_argument("--only", metavar="DETECTOR:SET", nargs="+", help="repeat these cells and compare")
    parser.add_argument("--mpx", type=float, default=25, help="size of the simulated pair of the costs")
    args = parser.parse_args()
    split = read_split(SPLIT)
    if args.only:
        sys.exit(max(_repeat(*cell.split(":"), args, split) for cell in args.only))
    for name in DETECTORS:
        for source in (*OPTICAL, *OTHERS):
            _kept(args.cells / f"{name}.{source}.json", lambda: _cell(name, source, args, split))  # noqa: B023
    for name in DETECTORS:
        _kept(args.cells / f"{name}.cost.json", lambda: _cost(name, args))  # noqa: B023
    if args.page:
        before, _, rest = args.page.read_text(encoding="utf-8").partition(BEGIN)
        tables = "\n\n".join(_tables(args.cells))
        args.page.write_text(
            f"{before}{BEGIN}\n\n{tables}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8"
        )


def _kept(path: Path, compute: Any) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_json(compute()), encoding="utf-8")
    print(path.name, flush=True)


def _cell(name: str, source: str, args: argparse.Namespace, split: Split) -> dict[str, Any]:
    """Tallies of all scenes of a set, or why the detector refuses it."""
    scenes, threshold = [], 0.0
    for part in split.parts:
        if not any(place.part == part and source in place.scenes for place in split.places):
            continue
        reason = args.log_look if part in split.reporting else None
        try:
            found = evaluate(
                args.data / source, detector=name, shifts_px=(), split=SPLIT, part=part, log_look=reason
            )
        except InputError as error:
            return {"code": code_version(), "refused": str(error)}
        threshold = found.threshold
        scenes += found.as_json()["sources"][0]["scenes"]  # type: ignore[index]
    kept = [{key: scene[key] for key in ("name", "place", "tally")} for scene in scenes]
    return {"code": code_version(), "threshold": threshold, "scenes": kept}


def _figures(cell: dict[str, Any]) -> tuple[dict[str, Interval], Draws]:
    """Figures of a cell with their intervals, and all resamples."""
    tallies = [
        Tally(**{name: np.asarray(numbers, np.float64) for name, numbers in scene["tally"].items()})
        for scene in cell["scenes"]
    ]
    places = [scene["place"] for scene in cell["scenes"]]
    draws = bootstrap_places(tallies, places, cell["threshold"], (), (SEED,))
    values = evaluation_figures(Tally.total(tallies), cell["threshold"], ())
    return {
        name: percentile_interval(float(values[name]), draws[name]) for name in (*FIGURES, *SHARES)
    }, draws


def _repeat(name: str, source: str, args: argparse.Namespace, split: Split) -> int:
    """Compute a cell again, print it, and return whether it differs from the kept one."""
    again = _cell(name, source, args, split)
    known = json.loads((args.cells / f"{name}.{source}.json").read_text(encoding="utf-8"))
    if "refused" in again or "refused" in known:
        print(f"{name}:{source} {again.get('refused', 'has figures')}")
        return int(("refused" in again) != ("refused" in known))
    figures, expected = _figures(again)[0], _figures(known)[0]
    same = all(_text(figures[figure]) == _text(expected[figure]) for figure in FIGURES)
    print(f"{name}:{source}", *(f"{figure} {_text(figures[figure])}" for figure in FIGURES))
    print("the same as kept" if same else "NOT the same as kept")
    return int(not same)


def _cost(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Processor seconds a megapixel and peak memory of `detect`, as a process of its own."""
    scenes = simulated_pair(args.cells, args.mpx)
    out = args.cells / "out"
    program = Path(sysconfig.get_path("scripts")) / "rsdetect"
    command = [str(program), "detect", str(scenes / "before.tif"), str(scenes / "after.tif")]
    command += ["--detector", name, "--out", str(out), "--overwrite", "--quiet", "--device", "cpu"]
    # Through a shell, because a process starts with the peak memory of the one that it is forked from.
    process = subprocess.Popen(["sh", "-c", '"$@"; exit $?', "sh", *command])
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"detect by {name} ended with status {os.waitstatus_to_exitcode(status)}")
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    pixels = record["counts"]["pixels"]
    return {
        "code": code_version(),
        "mpx": round(pixels / 1e6, 1),
        "seconds_per_mpx": round((used.ru_utime + used.ru_stime) / pixels * 1e6, 3),
        "memory_mib": round(record["machine"]["peak_memory_mib"]),
    }


def _tables(cells: Path) -> list[str]:
    """Tables of the page, one for each figure, and that of the costs."""
    sources = (*OPTICAL, *OTHERS)
    read = {
        (name, source): json.loads((cells / f"{name}.{source}.json").read_text(encoding="utf-8"))
        for name in DETECTORS
        for source in sources
    }
    known = {key: _figures(cell) for key, cell in read.items() if "refused" not in cell}
    tables = [_sets_table(read, known, sources)]
    for figure, title in FIGURES.items():
        rows = [["", "mean of six", *sources], ["---"] * (len(sources) + 2)]
        for name in DETECTORS:
            texts = [
                _text(known[name, source][0][figure]) if (name, source) in known else "-"
                for source in sources
            ]
            rows.append([f"`{name}`", _mean_text(name, figure, known), *texts])
        tables.append(f"{title}:\n\n" + _rendered(rows))
    costs = [["processor seconds a Mpx, peak memory of `detect`", "s/Mpx", "MiB"], ["---"] * 3]
    for name in DETECTORS:
        cost = json.loads((cells / f"{name}.cost.json").read_text(encoding="utf-8"))
        costs.append([f"`{name}`", f"{cost['seconds_per_mpx']:.2f}", str(cost["memory_mib"])])
    return [*tables, _rendered(costs)]


def _sets_table(read: dict[Any, Any], known: dict[Any, Any], sources: tuple[str, ...]) -> str:
    """What each set holds: scenes, places, share of change, and the F1 of marking everything."""
    rows = [["", *sources], ["---"] * (len(sources) + 1)]
    cells = [read["cva", source]["scenes"] for source in sources]
    rows.append(["scenes", *(str(len(scenes)) for scenes in cells)])
    rows.append(["places", *(str(len({scene["place"] for scene in scenes})) for scenes in cells)])
    for figure, title in zip(SHARES, ("share of change", "F1 of marking everything"), strict=True):
        rows.append([title, *(f"{known['cva', source][0][figure].value:.2f}" for source in sources)])
    return _rendered(rows)


def _mean_text(name: str, figure: str, known: dict[Any, Any]) -> str:
    """Mean of the optical sets with its interval; "-" if the detector refuses one."""
    if any((name, source) not in known for source in OPTICAL):
        return "-"
    figures, draws = zip(*(known[name, source] for source in OPTICAL), strict=True)
    picked = [{figure: each[figure]} for each in figures]
    return _text(macro(picked, draws)[figure])


def _text(interval: Interval) -> str:
    """Figure with its interval, which a set of one place lacks."""
    if np.isnan(interval.low):
        return f"{interval.value:.2f}"
    return f"{interval.value:.2f} ({interval.low:.2f}-{interval.high:.2f})"


def _rendered(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
