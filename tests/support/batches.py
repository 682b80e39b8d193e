"""Lists of pairs, and the command that does them."""

from __future__ import annotations

import csv

import geopandas

from support.jobs import run_here

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
