"""Products as they are delivered give what one GeoTIFF with the same bands gives."""

import shutil
import tarfile

import numpy as np
import pytest
import rasterio
from affine import Affine

import rsdetect
from rsdetect.errors import InputError
from rsdetect.scenes.pair import PairOptions, open_pair
from rsdetect.scenes.quality import LANDSAT_QA
from rsdetect.scenes.radiometry import landsat_linear
from rsdetect.scenes.scene import read_scene
from support.jobs import read_raster
from support.products import LANDSAT_NAMES, S2_NAMES, write_landsat, write_safe
from support.scenes import random_scene, write_scene

CVA = {"detector": "cva", "quiet": True}
CLEAR = 4


def scenes():
    return [random_scene(seed, 6, 120, 120, "uint16") for seed in (1, 2)]


@pytest.mark.parametrize("compact", [True, False], ids=["compact", "before 2016-12"])
@pytest.mark.parametrize("level", ["1C", "2A"])
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_safe_gives_the_bands_the_date_and_the_mask(tmp_path, level, compact, packed):
    scene = scenes()[0]
    classes = np.full((1, 60, 60), CLEAR, np.uint8)
    classes[0, 10:20, 5:9] = 9  # cloud of high probability
    root = write_safe(
        tmp_path, scene, level=level, compact=compact, classes=classes if level == "2A" else None
    )
    given = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, root.name) if packed else root
    pair = open_pair(given, given)
    assert pair.bands == S2_NAMES
    assert pair.before_date == "2023-08-23"
    assert pair.grid.pixel_size == (10, 10)
    values, valid = read_scene(pair.before, pair.grid.window)
    if level == "2A":
        assert pair.before.mask.kind == "sentinel2-scl"
        hidden = classes[0].repeat(2, 0).repeat(2, 1) == 9
        np.testing.assert_array_equal(valid, ~hidden)
        assert read_scene(open_pair(given, given, PairOptions(masks=("", ""))).before, pair.grid.window)[
            1
        ].all()
    else:
        assert any("has no quality mask" in note for note in pair.notes)
        assert valid.all()
    shift = 1000 if compact else 0  # since baseline 04.00
    for band in range(4):
        wanted = (scene[band][valid].astype(float) - shift) / 10_000
        np.testing.assert_allclose(values[band][valid], wanted, atol=1e-6)


@pytest.mark.parametrize("packed", [None, "tar", "zip"])
@pytest.mark.parametrize("level", ["L1TP", "L2SP"])
def test_a_landsat_product_gives_the_raster_of_one_geotiff(tmp_path, level, packed):
    thirty = Affine(30, 0, 500000, 0, -30, 5300000)
    quality = np.full((1, 120, 120), 1 << 6, np.uint16)
    quality[0, 30:50, 60:80] = 1 << 3  # cloud
    products, whole = [], []
    for scene, date in zip(scenes(), ("2022-08-17", "2023-08-17"), strict=True):
        root = write_landsat(tmp_path, scene, level=level, date=date, quality=quality)
        products.append(root)
        if packed == "zip":
            products[-1] = shutil.make_archive(str(tmp_path / date), "zip", root)
        if packed == "tar":
            products[-1] = tmp_path / f"{date}.tar"
            with tarfile.open(products[-1], "w") as archive:
                for file in sorted(root.iterdir()):
                    archive.add(file, file.name)
        whole.append(
            write_scene(tmp_path / f"{date}.tif", scene, transform=thirty, nodata=0, names=LANDSAT_NAMES)
        )
        factors = landsat_linear(next(root.glob("*_MTL.txt")).read_text(), level_2=level == "L2SP")
        assert factors[4] == pytest.approx((2.75e-5, -0.2) if level == "L2SP" else (4e-5, -0.2))
        with rasterio.open(whole[-1], "r+") as dataset:
            dataset.scales, dataset.offsets = ((number,) * 6 for number in factors[4])
    changes = rsdetect.detect(*products, out=tmp_path / "product", **CVA)
    mask = write_scene(tmp_path / "mask.tif", quality, transform=thirty)
    rsdetect.detect(*whole, out=tmp_path / "one", masks=(mask,), mask_bits=LANDSAT_QA.bits, **CVA)
    np.testing.assert_array_equal(read_raster(tmp_path / "product"), read_raster(tmp_path / "one"))
    assert changes.record["bands"] == list(LANDSAT_NAMES)
    assert changes.record["check"]["after"]["date"] == "2023-08-17"
    assert changes.record["inputs"]["after"]["mask"]["kind"] == "landsat-qa"


def test_products_that_are_not_whole_or_hold_several_scenes_are_refused(tmp_path):
    scene = scenes()[0]
    root = write_safe(tmp_path, scene, level="1C")
    other = root / "GRANULE" / "L1C_T34UDF_A033753_20230823T095553"
    shutil.copytree(next((root / "GRANULE").iterdir()), other)
    with pytest.raises(InputError, match=r"holds several tiles \(GRANULE\); give its bands by name"):
        open_pair(root, root)
    (root / "MTD_MSIL1C.xml").unlink()
    with pytest.raises(InputError, match=r"has no metadata file \(MTD_MSIL1C.xml .* give its bands by name"):
        open_pair(root, root)
    landsat = write_landsat(tmp_path, scene)
    next(landsat.glob("*_MTL.txt")).unlink()
    with pytest.raises(InputError, match=r"has no metadata file \(\.\.\._MTL.txt\)"):
        open_pair(landsat, landsat)
    (tmp_path / "broken.zip").write_bytes(b"no archive")
    with pytest.raises(InputError, match="cannot be read as an archive"):
        open_pair(tmp_path / "broken.zip", landsat)
