"""A stated budget: what follows from it, and that no result does."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rsdetect
from rsdetect.detectors.base import TORCH_BYTES, Scorer
from rsdetect.errors import InputError, JobInterrupted
from rsdetect.memory import (
    MIB,
    MemoryBudget,
    _left_in_groups,
    free_memory,
    parse_memory,
    peak_memory,
    return_free_memory,
    usual_memory,
)
from rsdetect.scenes.pair import open_pair
from rsdetect.scoring.core import push_height
from rsdetect.scoring.decoding_cost import costly_layouts
from rsdetect.scoring.planning import plan_for
from rsdetect.tiles import plan_tiles
from support.jobs import read_raster
from support.scenes import TEN_METRES, textured_scene, write_scene

SIAMESE = {"detector": "siamese", "backend": "torch", "quiet": True}


class Strips(Scorer):
    name = "strips"
    halo, stride, strips, bytes_per_pixel = 58, 8, True, 750

    def strip(self, height, width):
        raise NotImplementedError

    score = provenance = strip


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    blocks = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    one, other = (textured_scene(seed, 3, 700, 900, "uint16") for seed in (1, 2))
    other[:, 200:500] = one[:, 200:500]
    return [
        write_scene(folder / f"{name}.tif", array, nodata=0, transform=TEN_METRES, **blocks)
        for name, array in (("before", one), ("after", other))
    ]


def record(out):
    return json.loads((out / "run.json").read_text())


def test_the_record_states_the_budget_and_the_result_does_not_depend_on_it(scenes, tmp_path):
    for number, memory in enumerate(("600MiB", "3GB")):
        rsdetect.detect(*scenes, out=tmp_path / str(number), memory=memory, workers=2, **SIAMESE)
    small, large = (record(tmp_path / str(number))["plan"] for number in range(2))
    assert (small["memory_mib"]["total"], large["memory_mib"]["total"]) == (600, 2861)
    assert small["reading"]["decoded_again"] == large["reading"]["decoded_again"] == 0
    one, other = (read_raster(tmp_path / str(number)).astype(int) for number in range(2))
    assert np.abs(one - other).max() <= 1 and (one != other).mean() < 1e-3


def test_a_job_goes_on_with_the_tiles_of_a_run_with_another_budget(scenes, tmp_path, monkeypatch):
    import rsdetect.scoring.engine as engine

    genuine, seen = engine.score_core, []

    def stopping(pair, scorer, tile, *receivers):
        if len(seen) == 3:
            raise JobInterrupted("stopped on purpose")
        seen.append(tile)
        return genuine(pair, scorer, tile, *receivers)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(engine, "score_core", stopping)
        with pytest.raises(JobInterrupted):
            rsdetect.detect(*scenes, out=out, memory="600MiB", workers=2, **SIAMESE)
    rsdetect.detect(*scenes, out=out, memory="3GB", workers=1, **SIAMESE)
    counts = record(out)["counts"]
    assert counts["tiles"] - counts["tiles_scored_in_this_run"] == 3
    rsdetect.detect(*scenes, out=tmp_path / "whole", tile_size=256, **SIAMESE)
    one, other = (read_raster(folder).astype(int) for folder in (out, tmp_path / "whole"))
    assert np.abs(one - other).max() <= 1 and (one != other).mean() < 1e-3


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2 * 10**9), ("1.5 GiB", 1536 * MIB), ("700m", 7 * 10**8), ("1000000000", 10**9), ("1t", 10**12)],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "GB", "2 pounds", "-1GB", "2GB2", "100MB"])
def test_what_is_no_size_or_too_little_is_refused(text):
    with pytest.raises(InputError, match="`memory`"):
        parse_memory(text)


@given(total=st.integers(512 * MIB, 2**45), workers=st.integers(1, 64))
def test_the_parts_of_a_budget_are_no_more_than_the_whole(total, workers):
    budget = MemoryBudget.of(total, workers)
    assert budget.gdal_cache + budget.shared_blocks + workers * budget.tile <= total - 400 * MIB
    assert min(budget.gdal_cache, budget.shared_blocks, budget.tile) > 0


def test_the_usual_budget_is_a_share_of_what_is_free(monkeypatch):
    assert free_memory() > 0
    monkeypatch.setattr("rsdetect.memory.free_memory", lambda: 2**30 + 2 * MIB * 200)
    assert usual_memory(2) == 2**29 + MIB * 200
    monkeypatch.setattr("rsdetect.memory.free_memory", lambda: 2**40)
    assert usual_memory(2) == 1024 * MIB


def test_limits_of_control_groups_count_those_further_up_too(tmp_path):
    mine = tmp_path / "cgroup"
    for folder, limit, used in (("user", "5000", "1000"), ("user/job", "max", "900")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "memory.max").write_text(f"{limit}\n")
        (tmp_path / folder / "memory.current").write_text(f"{used}\n")
    mine.write_text("0::/user/job\n")
    assert _left_in_groups(tmp_path, mine) == [4000]
    (tmp_path / "memory/job").mkdir(parents=True)
    (tmp_path / "memory/job/memory.limit_in_bytes").write_text("7000\n")
    (tmp_path / "memory/job/memory.usage_in_bytes").write_text("6000\n")
    (tmp_path / "memory/memory.limit_in_bytes").write_text(str(2**63 - 4096))
    (tmp_path / "memory/memory.usage_in_bytes").write_text("1")
    mine.write_text("4:cpu,memory:/job\n1:cpu:/\n")
    assert _left_in_groups(tmp_path, mine) == [1000]
    assert _left_in_groups(tmp_path, tmp_path / "nowhere") == []


@given(
    height=st.integers(1, 20_000), width=st.integers(1, 20_000), workers=st.integers(1, 16),
    block=st.sampled_from([(256, 256), (512, 512), (1024, 1024), (1, 20_000), (3, 700)]),
    mib=st.integers(512, 4096), offset=st.tuples(st.integers(0, 600), st.integers(0, 600)),
)  # fmt: skip
def test_tiles_fit_the_memory_and_end_with_the_blocks_of_the_file(
    tmp_path_factory, height, width, workers, block, mib, offset
):
    global _pair
    if _pair is None:
        paths = [write_scene(tmp_path_factory.mktemp("p") / "a.tif", np.ones((3, 9, 9), np.uint8))] * 2
        _pair = open_pair(*paths)
    grid = replace(_pair.grid, height=height, width=width)
    pair = replace(_pair, grid=grid, before=replace(_pair.before, blocks=block, offset=offset))
    memory = MemoryBudget.of(mib * MIB, workers)
    plan = plan_for(pair, Strips(), memory, workers)
    high, wide = plan.tile_shape
    read = wide + 2 * plan.halo
    assert (high, wide) == (128, 256) or read * push_height(Strips(), read) * 400 <= memory.tile
    tile = plan.tile(1, 1)
    for end, size, edge, ahead in (
        (tile.read.row_end, high, block[0], offset[0]),
        (tile.read.col_end, wide, block[1], offset[1]),
    ):
        if size % edge == 0 and size > edge and ahead % 8 == 0 and edge % 8 == 0:
            assert (end + ahead) % edge == 0


_pair = None


def test_a_file_in_strips_is_reported_with_the_command_that_fixes_it(tmp_path):
    paths = [write_scene(tmp_path / f"{i}.tif", np.ones((1, 1100, 1100), np.uint8)) for i in range(2)]
    pair = open_pair(*paths)
    plan = plan_tiles(pair.grid, 256, 64, 8)
    squares = replace(pair.after, blocks=(256, 256))
    strips = replace(pair, before=replace(pair.before, blocks=(1, 1100)), after=squares)
    (told,) = costly_layouts(strips, plan, MemoryBudget(0, 0, 1000, 0))
    assert "gdal_translate -of COG" in told and paths[0] in told and "3 times" in told
    assert costly_layouts(strips, plan, MemoryBudget(0, 0, 2**40, 0)) == []
    assert costly_layouts(replace(pair, before=squares, after=squares), plan, MemoryBudget(0, 0, 0, 0)) == []


class Squares(Scorer):
    name = "squares"
    halo, stride, import_bytes = 58, 8, 0

    def __init__(self, bytes_per_pixel):
        self.bytes_per_pixel = bytes_per_pixel

    def score(self, tile):
        raise NotImplementedError

    provenance = score


@given(
    mib=st.integers(512, 8192), workers=st.integers(1, 16),
    shape=st.tuples(st.integers(50, 40_000), st.integers(50, 40_000)),
    bytes_per_pixel=st.sampled_from([60, 190, 300]),
)  # fmt: skip
def test_tiles_that_are_scored_at_once_are_as_large_as_pays_and_fit(
    scenes, mib, workers, shape, bytes_per_pixel
):
    pair = open_pair(*scenes)
    pair = replace(pair, grid=replace(pair.grid, height=shape[0], width=shape[1]))
    memory = MemoryBudget.of(mib * MIB, workers)
    plan = plan_for(pair, Squares(bytes_per_pixel), memory, workers)
    edge = plan.tile_shape[0]
    assert plan.tile_shape == (edge, edge) and 128 <= edge <= 1024
    room = memory.tile + TORCH_BYTES // workers
    assert edge == 128 or (edge + 2 * plan.halo) ** 2 * bytes_per_pixel <= room

    def cost(edge):
        tiles = -(-shape[0] // edge) * -(-shape[1] // edge)
        return -(-tiles // workers) * (edge + 2 * plan.halo) ** 2

    if edge > 512:
        assert cost(edge) < cost(512)


def test_the_peak_of_a_process_is_not_that_of_the_one_that_started_it():
    ballast = bytearray(400 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    command = [sys.executable, "-c", "from rsdetect.memory import peak_memory; print(peak_memory())"]
    environment = os.environ | {"PYTHONPATH": str(Path(rsdetect.__file__).parents[1])}
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert 1 << 20 < int(told.stdout) < 300 << 20
    assert peak_memory() > 400 << 20


def test_garbage_is_collected_where_the_process_has_grown(monkeypatch):
    collected = []
    monkeypatch.setattr("rsdetect.memory.gc.collect", lambda: collected.append(1))
    return_free_memory()
    return_free_memory(256 << 20)
    assert len(collected) == 1
    ballast = bytearray(300 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    return_free_memory(256 << 20)
    assert len(collected) == 2
