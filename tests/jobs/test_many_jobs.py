"""Many jobs in one process: memory and open files stay what they are after the first ones."""

from __future__ import annotations

import json

import pytest

from support.forked import forked_commands
from support.jobs import changed_pair

# After each job the number of open files, and the memory of the process that is no file's, in bytes.
JOBS = """
import ctypes, gc, json, os, sys
from pathlib import Path
import rsdetect
ctypes.CDLL(None).mallopt(-8, 1)  # M_ARENA_MAX: a late thread's own arena of 10 MB is no growth
seen = []
how = {"detector": "cva", "quiet": True, "workers": 2}
for number in range(COUNT):
    rsdetect.detect("before.tif", "after.tif", out=Path("out", str(number)), **how)
    gc.collect()
    resident, shared = map(int, Path("/proc/self/statm").read_text().split()[1:3])
    seen.append((len(os.listdir("/proc/self/fd")), (resident - shared) * os.sysconf("SC_PAGE_SIZE")))
print(json.dumps(seen))
sys.exit(0)
"""
FIRST = 12  # jobs, after which everything is imported and every cache is filled


@pytest.mark.stress
def test_neither_memory_nor_open_files_grow(tmp_path, monkeypatch, stress):
    monkeypatch.chdir(tmp_path)
    changed_pair(tmp_path, height=200, width=260)
    done = forked_commands().run(prepare=JOBS.replace("COUNT", "60" if stress else "15"), timeout=7200)
    assert done["status"] == 0, done["err"]
    descriptors, memory = zip(*json.loads(done["out"]), strict=True)
    assert max(descriptors[FIRST:]) <= descriptors[FIRST - 1]
    assert memory[-1] <= 1.05 * memory[FIRST - 1], " ".join(str(each >> 20) for each in memory)
