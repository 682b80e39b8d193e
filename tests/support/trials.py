"""Trials of `make stress`: which have passed, so that a run that is broken off goes on, and how many.

RSDETECT_STRESS names a file with a line of JSON for each trial. As a program, this prints the counts of such
a file.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path


def _log():
    name = os.environ.get("RSDETECT_STRESS", "")
    return Path(name) if name.endswith(".jsonl") else None


def _read(log):
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def trials(kind, name, moments):
    """The moments that have not passed before; the loop over them ends each by going on to the next.

    Parameters
    ----------
    kind
        What is counted together: kills, failures, hostile inputs.
    name
        Of the command and what is done to it.
    moments
        What can be written as JSON.
    """
    log = _log()
    if log is None:
        yield from moments
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    passed = [
        each["moment"]
        for each in _read(log)
        if each["passed"] and (each["kind"], each["name"]) == (kind, name)
    ]
    for moment in moments:
        if moment in passed:
            continue
        line = {"kind": kind, "name": name, "moment": moment, "passed": False}
        try:
            yield moment
            line["passed"] = True
        finally:
            with log.open("a") as file:  # short lines: several processes may append
                file.write(json.dumps(line) + "\n")


def counts(log):
    """(kind, name, passed, failed and never passed since) of all trials in a file."""
    done = {}
    for each in _read(log):
        key = each["kind"], each["name"], json.dumps(each["moment"])
        done[key] = done.get(key, False) or each["passed"]
    found = Counter((kind, name, passed) for (kind, name, _), passed in done.items())
    return [
        (kind, name, found[kind, name, True], found[kind, name, False])
        for kind, name in sorted({each[:2] for each in found})
    ]


if __name__ == "__main__":
    for kind, name, good, bad in counts(Path(sys.argv[1])):
        print(f"{kind:20} {name:50} {good:6} passed {bad:4} failed")
