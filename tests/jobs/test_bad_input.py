"""Bad input: one sentence on stderr that helps, status 2, and no trace on the disk."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from support.broken import break_block
from support.jobs import OUTPUTS, contents, listing, run_apart, run_here
from support.scenes import random_scene, write_plain, write_scene

SHIPPED = Path(__file__).parents[2] / "rsdetect" / "models" / "siamese.safetensors"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, with a good pair in it."""
    monkeypatch.chdir(tmp_path)
    write_scene("before.tif", random_scene(1))
    write_scene("after.tif", random_scene(2))
    return tmp_path


def refused(here, *arguments, run=run_here):
    """Run detect, check that it fails properly, and return the message."""
    kept = listing(here)
    if arguments[0].startswith("--"):
        arguments = ("before.tif", "after.tif", *arguments)
    if "--out" not in arguments:
        arguments += ("--out", "out")
    if "--detector" not in arguments and "--model" not in arguments:
        arguments += ("--detector", "cva")
    told = run("detect", *arguments)
    assert (told.status, told.out) == (2, "")
    assert re.fullmatch(r"(\S+ \S+ Warning: .+\n)*Error: .+\n", told.err)
    assert "defect" not in told.err
    assert "Traceback" not in told.err
    assert listing(here) == kept
    return told.err.splitlines()[-1].removeprefix("Error: ")


# --- scenes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"nothing of the kind\n", b"II*\0", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_raster_is_named(here, content):
    Path("bad.tif").write_bytes(content)
    assert "bad.tif" in refused(here, "bad.tif", "after.tif")
    assert "bad.tif" in refused(here, "before.tif", "bad.tif")


def test_a_file_that_is_not_there_is_named(here):
    assert "nowhere.tif" in refused(here, "before.tif", "nowhere.tif")


def test_a_folder_is_no_scene(here):
    (here / "scenes").mkdir()
    assert "scenes" in refused(here, "scenes", "after.tif")


def test_a_truncated_tiff_is_named_with_the_place_where_it_breaks(here):
    write_scene("cut.tif", random_scene(3, 3, 300, 300))
    write_scene("whole.tif", random_scene(4, 3, 300, 300))
    content = Path("cut.tif").read_bytes()
    Path("cut.tif").write_bytes(content[: len(content) // 2])
    told = refused(here, "cut.tif", "whole.tif")
    assert "cut.tif" in told
    assert re.search(r"rows \d+ to \d+", told)


@pytest.mark.parametrize("ignoring", ["NO", "YES"])  # an option of GDAL's to read such blocks as pixels
def test_a_corrupt_block_is_named_by_file_and_rows(here, monkeypatch, ignoring):
    tiled = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    write_scene("b.tif", random_scene(3, 3, 256, 256), **tiled)
    write_scene("a.tif", random_scene(4, 3, 256, 256), **tiled)
    monkeypatch.setenv("GTIFF_IGNORE_READ_ERRORS", ignoring)
    break_block("a.tif", 2, 1)
    assert re.search(r"a\.tif.*rows \d+ to \d+", refused(here, "b.tif", "a.tif", "--tile-size", "64"))


def damage(path, row, col):
    """Break a block as a failing disk does: size and time of modification stay."""
    before = Path(path).stat()
    break_block(path, row, col)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_scene_that_breaks_in_the_middle_of_the_job_is_named_with_the_tile(here, monkeypatch):
    import rsdetect.jobs.detect

    tiled = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    write_scene("b.tif", random_scene(3, 3, 256, 256), **tiled)
    write_scene("a.tif", random_scene(4, 3, 256, 256), **tiled)
    genuine = rsdetect.jobs.detect.run_tiles

    def breaking(*arguments, **keywords):
        damage("a.tif", 0, 0)
        genuine(*arguments, **keywords)

    monkeypatch.setattr("rsdetect.jobs.detect.run_tiles", breaking)
    told = refused(here, "b.tif", "a.tif", "--tile-size", "64", "--workers", "1")
    assert re.fullmatch(r"tile at row 0, column 0: a\.tif cannot be read at rows 0 to .*\.", told)


def test_tiles_that_were_scored_before_a_scene_broke_are_kept_for_a_second_try(here, monkeypatch):
    import rsdetect.jobs.detect

    tiled = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    write_scene("b.tif", random_scene(3, 3, 768, 768), **tiled)
    write_scene("a.tif", random_scene(4, 3, 768, 768), **tiled)
    genuine = rsdetect.jobs.detect.run_tiles

    def breaking(*arguments, **keywords):
        damage("a.tif", 2, 2)
        genuine(*arguments, **keywords)

    monkeypatch.setattr("rsdetect.jobs.detect.run_tiles", breaking)
    command = ("detect", "b.tif", "a.tif", "--out", "out", "--detector", "cva", "--tile-size", "256")
    told = run_here(*command, "--workers", "1")
    assert told.status == 2
    assert [path.name for path in (here / "out").iterdir()] == [".work"]
    assert len(list(here.rglob("*.tile"))) == 8


def test_a_crs_on_one_scene_only_is_refused(here):
    write_scene("bare.tif", random_scene(3), crs=None)
    for pair in (("before.tif", "bare.tif"), ("bare.tif", "after.tif")):
        told = refused(here, *pair)
        assert "bare.tif" in told
        assert "CRS" in told


def test_no_georeference_on_one_scene_is_refused(here):
    write_plain("plain.png", random_scene(3))
    for pair in (("before.tif", "plain.png"), ("plain.png", "after.tif")):
        assert "plain.png" in refused(here, *pair)


def test_disjoint_scenes_are_refused_with_both_bounds(here):
    write_scene("far.tif", random_scene(3), transform=Affine(10, 0, 900000, 0, -10, 5300000))
    told = refused(here, "before.tif", "far.tif")
    assert "do not overlap" in told
    assert "900000" in told
    assert "500000" in told


def test_different_grids_are_refused_with_the_option_that_fixes_it(here):
    write_scene("off.tif", random_scene(3), transform=Affine(10, 0, 500005, 0, -10, 5300000))
    assert "--align" in refused(here, "before.tif", "off.tif")


def test_different_crs_are_refused_with_the_option_that_fixes_it(here):
    write_scene("other.tif", random_scene(3), crs="EPSG:32633")
    told = refused(here, "before.tif", "other.tif")
    assert "--align" in told
    assert "32633" in told


def test_plain_pictures_of_different_size_do_not_crash(here):
    pair = [write_plain(f"{i}.png", random_scene(i, 3, 30 + 10 * i, 40)) for i in range(2)]
    told = run_here("detect", *pair, "--out", "out", "--detector", "cva")
    assert told.status in (0, 2)
    assert "defect" not in told.err


def test_nothing_valid_on_both_dates_is_refused(here):
    empty = np.zeros((3, 40, 50), np.uint8)
    write_scene("empty.tif", empty, nodata=0)
    assert "valid on both dates" in refused(here, "before.tif", "empty.tif")
    left, right = empty.copy(), empty.copy()
    left[:, :, :25] = 9
    right[:, :, 25:] = 9
    write_scene("left.tif", left, nodata=0)
    write_scene("right.tif", right, nodata=0)
    assert "valid on both dates" in refused(here, "left.tif", "right.tif")


def test_all_nan_is_refused(here):
    write_scene("nan.tif", np.full((3, 40, 50), np.nan, np.float32))
    assert "valid on both dates" in refused(here, "nan.tif", "nan.tif")


def test_fewer_bands_than_the_model_wants_are_refused_with_both_numbers(here):
    for name in ("b1.tif", "a1.tif"):
        write_scene(name, random_scene(3, bands=1))
    told = refused(here, "b1.tif", "a1.tif", "--detector", "siamese")
    assert "band" in told
    assert "b1.tif" in told


def test_a_band_that_is_not_there_is_refused(here):
    for bands in ("7", "0", "-1", "nir", "1,,2", "red;green", ""):
        refused(here, "--bands", bands) if bands else None
    assert "7" in refused(here, "--bands", "7")


# --- models ---------------------------------------------------------------------------------------------


def test_a_model_that_cannot_be_read_is_named(here):
    import torch

    Path("garbage.safetensors").write_bytes(b"\x00\x01garbage" * 99)
    Path("empty.safetensors").write_bytes(b"")
    Path("cut.safetensors").write_bytes(SHIPPED.read_bytes()[:20_000])
    torch.save({"weight": torch.zeros(3)}, "pickle.pt")
    for model in (
        "garbage.safetensors",
        "empty.safetensors",
        "cut.safetensors",
        "pickle.pt",
        "nowhere",
        "before.tif",
    ):
        assert model in refused(here, "--model", model)


def test_a_pickle_that_calls_itself_a_model_is_not_executed(here):
    import pickle

    class Trap:
        def __reduce__(self):
            return (Path.touch, (here / "executed",))

    for name in ("trap.pt", "trap.safetensors"):
        Path(name).write_bytes(pickle.dumps(Trap()))
        refused(here, "--model", name)
    assert not (here / "executed").exists()


def test_a_model_for_a_detector_that_has_none_is_refused(here):
    assert "--model" in refused(here, "--detector", "cva", "--model", "x.safetensors")


# --- options ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--detector", ("magic", "")),
        ("--device", ("tpu", "cuda:x", "cuda:99")),
        ("--resampling", ("magic",)),
        ("--threshold", ("high", "0", "-0.1", "1.01", "nan", "inf", "50")),
        ("--min-area", ("-1", "nan", "inf", "large")),
        ("--simplify", ("-1", "nan", "x")),
        ("--tile-size", ("0", "-5", "63", "1e9", "99999", "x")),
        ("--workers", ("0", "-1", "two")),
        ("--dates", ("yesterday", "2020-01-01", "2020-13-01,2021-01-01", "2020-01-01,2021-01-01,2022-01-01")),
        ("--mask", ("nowhere.tif", "after.tif,after.tif,after.tif")),
        ("--mask-values", ("3",)),
        ("--mask-bits", ("3",)),
        ("--aoi", ("nowhere.gpkg", "before.tif")),
        ("--scheduler", ("nonsense", "tcp://", "http://x", "tcp://127.0.0.1", "tcp://127.0.0.1:port")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unknown_values_of_an_option_are_refused(here, option, values):
    for value in values:
        detector = ("--detector", "siamese") if option == "--device" else ()
        assert len(refused(here, option, value, *detector)) > 20


@pytest.mark.parametrize("value", ["x", "3;4", "3,", "3.5"])
def test_mask_values_that_are_not_integers_are_refused(here, value):
    write_scene("mask.tif", np.ones((40, 50), np.uint8))
    assert "--mask-values" in refused(here, "--mask", "mask.tif", "--mask-values", value)
    assert "--mask-bits" in refused(here, "--mask", "mask.tif", "--mask-bits", value)


@pytest.mark.parametrize("value", ["-1", "64"])
def test_mask_bits_that_no_mask_has_are_refused(here, value):
    write_scene("mask.tif", np.ones((40, 50), np.uint8))
    assert "--mask-bits" in refused(here, "--mask", "mask.tif", "--mask-bits", value)


def test_a_scheduler_that_does_not_answer_is_refused(here, monkeypatch):
    monkeypatch.setattr("rsdetect.scoring.engine._SECONDS_TO_ANSWER", 1)
    scheduler = ("--detector", "cva", "--scheduler", "tcp://127.0.0.1:9")
    told = run_here("detect", "before.tif", "after.tif", "--out", "out", *scheduler)
    assert told.status == 3 and re.search(r"\nError: .*tcp://127\.0\.0\.1:9.*\n$", "\n" + told.err)


# --- output ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "out", ["before.tif", "before.tif/out", "/proc/rsdetect", "/proc/rsdetect/deeper/out", "/dev/null"]
)
def test_an_output_folder_that_cannot_be_written_is_refused(here, out):
    assert out in refused(here, "--out", out)


def test_a_name_longer_than_the_disk_allows_is_refused(here):
    assert "cannot be written" in refused(here, "--out", "long" * 100)


def test_a_read_only_output_folder_is_refused(here):
    place = here / "readonly"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        assert "cannot be written" in refused(here, "--out", "readonly")
        assert "cannot be written" in refused(here, "--out", "readonly/out")
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_results_that_exist_are_refused_and_stay_as_they_are(here):
    told = run_here("detect", "before.tif", "after.tif", "--out", "out", "--detector", "cva", "--quiet")
    assert told.status == 0, told.err
    kept = contents(here / "out")
    assert "--overwrite" in refused(here, "before.tif", "after.tif")
    assert contents(here / "out") == kept
    assert listing(here / "out") == OUTPUTS


# --- as a process of its own --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [("bad.tif", "after.tif"), ("cut.tif", "cut.tif"), ("before.tif", "after.tif", "--device", "tpu")],
)
def test_a_process_of_its_own_says_the_same(here, arguments):
    Path("bad.tif").write_bytes(b"nothing")
    content = Path("before.tif").read_bytes()
    Path("cut.tif").write_bytes(content[:-1500])
    detector = ("--detector", "siamese") if "--device" in arguments else ()
    apart = refused(here, *arguments, *detector, run=run_apart)
    assert apart == refused(here, *arguments, *detector)


def test_python_callers_get_an_exception_and_no_exit(here):
    from rsdetect import detect
    from rsdetect.errors import SceneError

    with pytest.raises(SceneError, match=r"nowhere\.tif"):
        detect("nowhere.tif", "after.tif", out="out", detector="cva")


@pytest.mark.parametrize("number", ["Infinity", "1e400"])
def test_an_area_with_coordinates_that_are_not_finite(here, number):
    ring = f"[[[{number},0],[1,0],[1,1],[{number},0]]]"
    geometry = f'{{"type": "Polygon", "coordinates": {ring}}}'
    Path("area.geojson").write_text(f'{{"type": "Feature", "properties": {{}}, "geometry": {geometry}}}')
    assert "area.geojson" in refused(here, "--aoi", "area.geojson")
