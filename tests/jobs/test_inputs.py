"""No result takes the place of a file that the job reads, whatever the path it is named by."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import geopandas
import pytest
import rasterio
from rasterio.shutil import copy as copy_raster

import rsdetect
from rsdetect.errors import OutputError, SourceChanged
from support.interruption import CVA
from support.jobs import changed_pair, run_here


@pytest.fixture
def scenes(tmp_path):
    return changed_pair(tmp_path, height=96, width=128)


def named(how, scene, out):
    """A path by which the result `change_probability.tif` in `out` is read as a scene."""
    result = out / "change_probability.tif"
    if how == "link to the scene":
        result.symlink_to(scene)
        return scene
    if how == "hard link":
        result.hardlink_to(scene)
        return scene
    shutil.copy(scene, result)
    if how == "link to the result":
        (out.parent / "link.tif").symlink_to(result)
        return out.parent / "link.tif"
    if how == "through a folder":
        return out / ".." / "out" / "change_probability.tif"
    if how == "in a VRT of a VRT":
        for name, source in (("inner.vrt", result), ("outer.vrt", out.parent / "inner.vrt")):
            with rasterio.open(source) as dataset:
                copy_raster(dataset, out.parent / name, driver="VRT")
        return out.parent / "outer.vrt"
    return result


HOW = [
    "itself",
    "link to the scene",
    "hard link",
    "link to the result",
    "through a folder",
    "in a VRT of a VRT",
]


@pytest.mark.parametrize("how", HOW)
def test_a_scene_is_never_overwritten(scenes, tmp_path, how):
    out = tmp_path / "out"
    out.mkdir()
    scene = named(how, scenes.before, out)
    before = (out / "change_probability.tif").read_bytes()
    with pytest.raises(OutputError, match=r"is read by this job, and its result .* would replace it"):
        rsdetect.detect(scene, scenes.after, out=out, overwrite=True, **CVA)
    assert (out / "change_probability.tif").read_bytes() == before


def test_masks_areas_and_models_are_never_overwritten(scenes, tmp_path):
    out = tmp_path / "out"
    rsdetect.detect(scenes.before, scenes.after, out=out, **CVA)
    area = out / "changes.gpkg"
    footprint = geopandas.read_file(area, layer="footprint")
    area.unlink()
    footprint.to_file(area)
    with pytest.raises(OutputError, match=r"changes\.gpkg is read by this job"):
        rsdetect.detect(scenes.before, scenes.after, out=out, aoi=area, overwrite=True, **CVA)
    mask = out / "change_probability.tif.msk"
    shutil.copy(out / "change_probability.tif", mask)
    with pytest.raises(OutputError, match=r"msk is read by this job"):
        rsdetect.detect(scenes.before, scenes.after, out=out, masks=mask, overwrite=True, **CVA)


def test_the_list_and_the_scenes_of_a_batch_are_never_overwritten(scenes, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    table = out / "summary.csv"
    table.write_text(f"name,before,after\np,{scenes.before},{scenes.after}\n")
    text = table.read_text()
    told = run_here("batch", table, "--out", out, "--detector", "cva", "--quiet", "--overwrite")
    assert (told.status, "summary.csv is read by this job" in told.err) == (2, True)
    assert table.read_text() == text


def test_a_batch_replaces_no_results_of_others(scenes, tmp_path):
    out, table = tmp_path / "out", tmp_path / "pairs.csv"
    rsdetect.detect(scenes.before, scenes.after, out=out, **CVA)
    polygons = (out / "changes.gpkg").read_bytes()
    table.write_text(f"name,before,after\np,{scenes.before},{scenes.after}\n")
    told = run_here("batch", table, "--out", out, "--detector", "cva", "--quiet")
    assert (told.status, "is of no batch" in told.err) == (2, True)
    assert (out / "changes.gpkg").read_bytes() == polygons


# --- sources that change ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["renamed over", "written over", "touched", "removed"])
@pytest.mark.parametrize("stage", ["check_pair", "run_tiles", "finish_raster", "write_polygons"])
def test_a_scene_that_changes_during_the_job_ends_it(scenes, tmp_path, monkeypatch, how, stage):
    import rsdetect.jobs.detect as flow

    genuine = getattr(flow, stage)
    new = tmp_path / "new.tif"
    shutil.copy(scenes.before, new)

    def change(*args, **kwargs):
        if how == "renamed over":
            shutil.copystat(scenes.after, new)
            new.replace(scenes.after)
        elif how == "written over":
            shutil.copyfile(new, scenes.after)
        elif how == "touched":
            os.utime(scenes.after)
        else:
            Path(scenes.after).unlink()
        return genuine(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(flow, stage, change)
        with pytest.raises(SourceChanged, match=r"after\.tif changed while the job ran"):
            rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "out", **CVA)
    assert not (tmp_path / "out" / "run.json").exists()
    if how != "removed":
        rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "out", **CVA)


def test_a_source_of_a_virtual_raster_that_changes_ends_the_job(scenes, tmp_path, monkeypatch):
    import rsdetect.jobs.detect as flow

    with rasterio.open(scenes.after) as dataset:
        copy_raster(dataset, tmp_path / "after.vrt", driver="VRT")
    genuine = flow.run_tiles

    def change(*args, **kwargs):
        os.utime(scenes.after)
        return genuine(*args, **kwargs)

    monkeypatch.setattr(flow, "run_tiles", change)
    with pytest.raises(SourceChanged, match=r"after\.tif changed"):
        rsdetect.detect(scenes.before, tmp_path / "after.vrt", out=tmp_path / "out", **CVA)
