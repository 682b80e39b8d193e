"""The files of a simulated pair: what they say of themselves, and that they are written by windows."""

from __future__ import annotations

from datetime import datetime
from unittest import mock

import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.errors import RasterioIOError
from rasterio.features import rasterize

from rsdetect.errors import InputError, JobInterrupted, OutputError
from rsdetect.kinds.classes import KIND_NAMES, KIND_OF
from rsdetect.simulation import ChangeKind, SceneSpec, render, render_whole, write_pair
from rsdetect.simulation.truth import write_truth_polygons
from rsdetect.simulation.write_pair import pair_grid, simulate_pair

VHR = SceneSpec(kind="vhr", height=300, width=560, seed=6, change=0.3, cloud=0.2, nodata_edge=True)
S2 = SceneSpec(kind="s2", height=520, width=200, seed=8, change=0.3, cloud=0.2, nodata_edge=True, gsd_m=20)
FILES = {"before.tif", "after.tif", "before_mask.tif", "after_mask.tif", "truth.tif", "truth.gpkg"}


@pytest.fixture(scope="module", params=[VHR, S2], ids=lambda spec: spec.kind)
def written(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("pair") / "new" / "folder"
    return request.param, out, simulate_pair(out, request.param), render_whole(request.param)


def test_folder_holds_the_pair_and_nothing_else(written):
    _, out, summary, _ = written
    assert {path.name for path in out.iterdir()} == FILES
    assert {path.rsplit("/", 1)[-1] for path in summary["files"]} == FILES


@pytest.mark.parametrize("date", ["before", "after"])
def test_scenes_say_what_they_are(written, date):
    spec, out, summary, drawn = written
    with rasterio.open(out / f"{date}.tif") as scene:
        np.testing.assert_array_equal(scene.read(), getattr(drawn, date))
        assert scene.crs.to_epsg() == 32632
        assert scene.transform[:6] == (spec.ground_m, 0, 500000, 0, -spec.ground_m, 5300000)
        assert scene.descriptions == spec.bands
        assert [band.name for band in scene.colorinterp] == list(spec.bands)
        assert scene.nodata == 0
        assert set(scene.dtypes) == {"uint8" if spec.kind == "vhr" else "uint16"}
        assert scene.block_shapes[0] == (512, 512)
        taken = datetime.strptime(scene.tags()["TIFFTAG_DATETIME"], "%Y:%m:%d %H:%M:%S")
        assert taken.date().isoformat() == summary[f"{date}_date"]
    assert summary["before_date"] < summary["after_date"]


@pytest.mark.parametrize("kind", ["rgbn", "s2-swir", "tm"])
def test_bands_beyond_red_green_blue_are_named_in_the_files(tmp_path, kind):
    spec = SceneSpec(kind=kind, height=40, width=50, seed=1)
    assert simulate_pair(tmp_path, spec)["bands"] == list(spec.bands)
    for name in ("before.tif", "after.tif"):
        with rasterio.open(tmp_path / name) as scene:
            assert scene.descriptions == spec.bands
            assert set(scene.dtypes) == {str(spec.dtype)}
            for band, colour in zip(spec.bands, scene.colorinterp, strict=True):
                assert colour.name == ("swir" if band.startswith("swir") else band)


@pytest.mark.parametrize("date", ["before", "after"])
def test_masks_distinguish_cloud_from_shadow(written, date):
    _, out, _, drawn = written
    with rasterio.open(out / f"{date}_mask.tif") as file:
        assert file.nodata is None
        mask = file.read(1)
    cloud, shadow = getattr(drawn, f"cloud_{date}"), getattr(drawn, f"shadow_{date}")
    np.testing.assert_array_equal(mask == 1, cloud & ~shadow)
    np.testing.assert_array_equal(mask == 2, shadow)
    assert set(np.unique(mask)) <= {0, 1, 2}


def test_truth_is_unknown_where_a_date_has_no_data(written):
    _, out, summary, drawn = written
    with rasterio.open(out / "truth.tif") as file:
        assert file.nodata == 255
        truth = file.read(1)
    seen = drawn.before.any(axis=0) & drawn.after.any(axis=0)
    np.testing.assert_array_equal(truth, np.where(seen, drawn.truth, 255))
    assert 0 < seen.mean() < 1
    assert summary["observed_share"] == pytest.approx(seen.mean())
    assert summary["changed_share"] == pytest.approx(drawn.truth[seen].mean())
    assert sum(summary["changed_pixels"].values()) == drawn.truth[seen].sum()


def test_polygons_are_the_regions_of_the_truth(written):
    spec, out, summary, drawn = written
    regions = pyogrio.read_dataframe(out / "truth.gpkg", layer="truth")
    assert len(regions) == summary["regions"] > 0
    assert regions.crs.to_epsg() == 32632
    with rasterio.open(out / "truth.tif") as file:
        truth, transform = file.read(1), file.transform
    burnt = rasterize(regions.geometry, truth.shape, transform=transform)
    np.testing.assert_array_equal(burnt == 1, truth == 1)
    assert regions.area.sum() == pytest.approx((truth == 1).sum() * spec.ground_m**2)
    assert regions.pixels.sum() == (truth == 1).sum()
    # Each region's kind is the one that most of it is.
    numbers = rasterize(
        zip(regions.geometry, range(1, len(regions) + 1), strict=True),
        truth.shape,
        transform=transform,
        dtype="int32",
    )
    for number in regions.pixels.nlargest(3).index:
        code = np.bincount(drawn.kind[numbers == number + 1]).argmax()
        assert regions.kind[number] == ChangeKind(code).name.lower()
        dates = (drawn.land_before[numbers == number + 1], drawn.land_after[numbers == number + 1])
        counted = np.bincount(KIND_OF[dates])
        assert regions.land_kind[number] == KIND_NAMES[counted.argmax()]


def test_no_change_makes_an_empty_layer(tmp_path):
    summary = simulate_pair(tmp_path, SceneSpec(height=40, width=50, seed=1, change=0.0))
    assert summary["regions"] == 0
    assert summary["changed_pixels"] == {}
    assert pyogrio.read_info(tmp_path / "truth.gpkg", layer="truth")["features"] == 0


def test_only_windows_are_drawn(tmp_path):
    asked = []

    def traced(spec, window):
        asked.append(window)
        return render(spec, window)

    spec = SceneSpec(kind="s2", height=600, width=1100, seed=2)
    with mock.patch.object(write_pair, "render", traced):
        simulate_pair(tmp_path, spec)
    assert max(window.height for window in asked) == max(window.width for window in asked) == 512
    assert sum(window.height * window.width for window in asked) == 600 * 1100


def test_processes_do_not_change_the_pixels(tmp_path):
    spec = SceneSpec(kind="s2", height=530, width=60, seed=9, change=0.3)
    one, two = tmp_path / "one", tmp_path / "two"
    assert simulate_pair(one, spec) | {"files": 0} == simulate_pair(two, spec, workers=2) | {"files": 0}
    for name in ("before.tif", "after.tif", "truth.tif"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_existing_files_stay(tmp_path):
    spec = SceneSpec(height=30, width=30)
    (tmp_path / "truth.gpkg").write_text("mine")
    with pytest.raises(OutputError, match=r"truth\.gpkg exists already"):
        simulate_pair(tmp_path, spec)
    assert [path.name for path in tmp_path.iterdir()] == ["truth.gpkg"]
    simulate_pair(tmp_path, spec, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_a_failure_leaves_nothing_behind(tmp_path):
    full = mock.patch.object(write_pair, "write_truth_polygons", side_effect=OSError("disk full"))
    with full, pytest.raises(JobInterrupted, match="disk full"):
        simulate_pair(tmp_path, SceneSpec(height=30, width=30))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written: File exists"):
        simulate_pair(tmp_path / "out", SceneSpec(height=30, width=30))


@pytest.mark.parametrize("band_rows", [4, 24])
def test_polygons_do_not_depend_on_the_bands_they_are_traced_in(tmp_path, band_rows):
    rng = np.random.default_rng(band_rows)
    # Thick noise: holes, corners that touch, regions over many bands, and unobserved pixels.
    truth = (rng.random((61, 50)) < 0.55).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.1] = 255
    kinds = np.where(truth == 1, rng.integers(1, 4, truth.shape), 0).astype(np.uint8)
    grid = pair_grid(SceneSpec(height=61, width=50))
    codes = rng.integers(0, 64, truth.shape).astype(np.uint8)
    for name, values in (("truth", truth[None]), ("kinds", np.stack([kinds, codes]))):
        profile = {"driver": "GTiff", "height": 61, "width": 50, "count": len(values), "dtype": "uint8"}
        with rasterio.open(tmp_path / name, "w", crs=grid.crs, transform=grid.transform, **profile) as file:
            file.write(values)
    tables = []
    for rows in (band_rows, 61):
        target = tmp_path / f"{rows}.gpkg"
        count = write_truth_polygons(tmp_path / "truth", tmp_path / "kinds", grid, target, band_rows=rows)
        table = pyogrio.read_dataframe(target)
        assert len(table) == count
        table["text"] = table.normalize().to_wkt()
        tables.append(table.sort_values("text").reset_index(drop=True))
    banded, whole = tables
    assert banded.text.tolist() == whole.text.tolist()
    assert banded.pixels.tolist() == whole.pixels.tolist()
    for name in ("kind", "land_kind", "from_class", "to_class"):
        assert banded[name].tolist() == whole[name].tolist()
    assert banded.is_valid.all()


def test_a_scene_of_absurd_size_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="are more than"):
        simulate_pair(tmp_path / "out", SceneSpec(height=10**11, width=10**11))
    assert not (tmp_path / "out").exists()


def test_a_failure_of_gdal_while_it_writes_may_pass(tmp_path, monkeypatch):
    def fails(*_):
        raise RasterioIOError("truth.tif not recognized as being in a supported file format")

    monkeypatch.setattr(write_pair, "_write_pair_files", fails)
    with pytest.raises(JobInterrupted, match="cannot be written"):
        simulate_pair(tmp_path / "out", SceneSpec(height=8, width=8))
