"""Lists of pairs, and the command that does them."""

from __future__ import annotations

import csv
import json

import geopandas

from support.jobs import run_here
from support.results import everything, tables

CVA = ("--detector", "cva", "--tile-size", 64)


def write_list(path, *rows, heading="name,before,after"):
    path.write_text("\n".join([heading, *rows]) + "\n")
    return path


def batch(pairs, out, *options, run=run_here):
    told = run("batch", pairs, "--out", out, *CVA, *options)
    table = (out / "summary.csv").read_text().splitlines() if (out / "summary.csv").exists() else []
    return told, {row["name"]: row for row in csv.DictReader(table)}


def layer(path, name="changes"):
    return geopandas.read_file(path, layer=name)


def everything_of_batch(out):
    """All that a batch leaves, but for times and what was done by which run."""
    record = json.loads((out / "batch.json").read_text())
    rows = {row["name"]: row for row in record["pairs"]}
    for row in rows.values():
        del row["seconds"], row["state"]
    assert record["finished"]
    index = (out / "index.html").read_text()
    return {
        "record": (rows, record["exit_status"], sorted(record["made"]), record["changed_area_m2"]),
        "table": [line.split(",")[0] for line in (out / "summary.csv").read_text().splitlines()],
        "index": index.replace("done before", "done").replace("outlined again", "done"),
        "polygons": tables(out / "changes.gpkg"),
        "pairs": [everything(out / name) for name in rows],
    }
