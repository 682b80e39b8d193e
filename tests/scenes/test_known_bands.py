"""Bands by the names that products and exports use, and by wavelength."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio

import rsdetect
from rsdetect.errors import InputError
from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.known_bands import known_bands, wavelength_in
from rsdetect.scenes.pair import PairOptions, open_pair, read_tile
from rsdetect.tiles import TileWindow
from support.scenes import random_scene, write_scene

SIX = WantedBands(("red", "green", "blue", "nir", "swir1", "swir2"), 3)
S2 = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12"]


def found(names, path=""):
    known = known_bands([name.lower() for name in names], [wavelength_in(name) for name in names], path)
    return {name: names[known.index(name)] for name in SIX.names if name in known}


@pytest.mark.parametrize(
    ("names", "path", "bands"),
    [
        (S2, "", "B4 B3 B2 B8 B11 B12"),
        ([*S2[:-2], "B10", *S2[-2:], "QA60"], "", "B4 B3 B2 B8 B11 B12"),
        (["B02", "B03", "B04", "B08"], "", "B04 B03 B02 B08"),
        (["B2", "B3", "B4", "B5", "B6", "B7", "B8A", "B11", "B12"], "", "B4 B3 B2 B8A B11 B12"),
        ([f"SR_B{i}" for i in range(1, 8)], "", "SR_B4 SR_B3 SR_B2 SR_B5 SR_B6 SR_B7"),
        ([f"SR_B{i}" for i in (1, 2, 3, 4, 5, 7)], "", "SR_B3 SR_B2 SR_B1 SR_B4 SR_B5 SR_B7"),
        ([f"B{i}" for i in range(1, 12)], "", "B4 B3 B2 B5 B6 B7"),
        ([f"B{i}" for i in range(1, 8)], "LT05_195028_19900507.tif", "B3 B2 B1 B4 B5 B7"),
        ([f"B{i}" for i in range(1, 8)], "LC08_195028_20200507.tif", "B4 B3 B2 B5 B6 B7"),
        (["B02", "B03", "B04", "B05"], "/d/HLS.L30.T32UPU.2021185T101500.v2.0.tif", "B04 B03 B02 B05"),
        (["B02", "B03", "B04", "B8A"], "HLS.S30.T32UPU.2021185T101500.v2.0.tif", "B04 B03 B02 B8A"),
        (["nbart_blue", "nbart_green", "nbart_red", "nbart_nir", "nbart_swir_1", "nbart_swir_2"], "",
         "nbart_red nbart_green nbart_blue nbart_nir nbart_swir_1 nbart_swir_2"),
        (["nbart_blue", "nbart_green", "nbart_red", "nbart_nir_1", "nbart_swir_2", "nbart_swir_3"], "",
         "nbart_red nbart_green nbart_blue nbart_nir_1 nbart_swir_2 nbart_swir_3"),
        ([f"sur_refl_b0{i}" for i in range(1, 8)], "",
         "sur_refl_b01 sur_refl_b04 sur_refl_b03 sur_refl_b02 sur_refl_b06 sur_refl_b07"),
        (["M3", "M4", "M5", "M7", "M10", "M11"], "", "M5 M4 M3 M7 M10 M11"),
        (["coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"], "",
         "red green blue nir"),
        (["Blue", "Green", "Red", "Red Edge", "NIR1", "NIR2"], "", "Red Green Blue NIR1"),
        (["BAND_R", "BAND_G", "BAND_B", "BAND_N"], "", "BAND_R BAND_G BAND_B BAND_N"),
        (["B4, central wavelength 665 nm", "B3, central wavelength 560 nm", "B2, central wavelength 490 nm"],
         "", "B4, central wavelength 665 nm|B3, central wavelength 560 nm|B2, central wavelength 490 nm"),
        (["red", "green", "blue", "nir08", "swir16", "swir22"], "", "red green blue nir08 swir16 swir22"),
        # What may be of one satellite or another, or is counted by a program, is not guessed.
        (["B1", "B2", "B3", "B4"], "", ""),
        ([f"B{i}" for i in range(1, 8)], "", ""),
        (["Band 1", "Band 2", "Band 3", "Band 4"], "S2A_stack.tif", ""),
        (["", "", ""], "LC08_stack.tif", ""),
    ],
)  # fmt: skip
def test_names_of_products_are_known(names, path, bands):
    wanted = bands.split("|") if "|" in bands else bands.split()
    if names == ["Blue", "Green", "Red", "Red Edge", "NIR1", "NIR2"]:
        wanted = ["Red", "Green", "Blue", "NIR1"]
    assert list(found(names, path).values()) == wanted


@pytest.mark.parametrize(("count", "sensor", "nir"), [(6, "LND08", 3), (10, "SEN2A", 7)])
def test_bands_of_force_are_known_by_their_order(count, sensor, nir):
    known = known_bands([""] * count, path=f"/data/20210704_LEVEL2_{sensor}_BOA.tif")
    assert known[:3] == ("blue", "green", "red") and known[-2:] == ("swir1", "swir2")
    assert known.index("nir") == nir


def test_wavelengths_give_the_bands_of_a_cube():
    lengths = [420 + 10.0 * i for i in range(200)]
    names = [f"band {i}" for i in range(1, 201)]
    known = known_bands(names, lengths)
    at = {name: lengths[known.index(name)] for name in SIX.names}
    assert at == {"red": 660, "green": 560, "blue": 480, "nir": 840, "swir1": 1610, "swir2": 2200}


def choose(path, other=None, bands=None, wanted=SIX):
    return open_pair(path, other or path, PairOptions(bands=bands), wanted=wanted)


def test_an_export_of_earth_engine_gives_red_green_and_blue(tmp_path):
    path = write_scene(tmp_path / "20210704_S2_SR.tif", random_scene(1, 12, dtype="uint16"), names=S2)
    pair = choose(path)
    assert pair.before.bands == (4, 3, 2, 8, 11, 12)
    assert pair.bands == SIX.names and pair.notes == ()
    assert choose(path, bands=("red", "B8"), wanted=None).before.bands == (4, 8)


def test_bands_that_are_taken_for_red_green_and_blue_are_named(tmp_path):
    path = write_scene(tmp_path / "a.tif", random_scene(1, 4), names=["B1", "B2", "B3", "B4"])
    (note,) = choose(path).notes
    assert "(B1, B2, B3) are taken for them" in note and "red, green, blue" in note


def test_dates_of_two_satellites_are_matched_by_what_their_bands_are(tmp_path):
    array = random_scene(1, 4, 12, 15, "uint16")
    before = write_scene(tmp_path / "S2.tif", array, names=["B02", "B03", "B04", "B08"])
    after = write_scene(tmp_path / "after.tif", array[::-1], names=["nir", "red", "green", "blue"])
    pair = choose(before, after, wanted=None)
    tile = read_tile(pair, TileWindow(0, 0, pair.grid.window, pair.grid.window))
    np.testing.assert_array_equal(tile.before, tile.after)
    assert pair.notes == ()


def test_each_band_of_one_name_has_its_own_column(tmp_path):
    ground = random_scene(1, 4, 96, 96, "uint16") // 50 + 500
    later = ground.copy()
    later[:, 30:60, 40:70] += np.array([3000, 1000, 500, 200], np.uint16)[:, None, None]
    names = ["red", "rededge", "rededge", "rededge"]
    paths = [write_scene(tmp_path / f"{i}.tif", each, names=names) for i, each in enumerate((ground, later))]
    found = rsdetect.detect(*paths, out=tmp_path / "out", detector="cva", quiet=True)
    changes = found.changes().sort_values("pixels").iloc[-1]
    columns = [name for name in changes.index if name.startswith("difference_")]
    assert columns == [
        "difference_red",
        "difference_rededge",
        "difference_rededge_2",
        "difference_rededge_3",
    ]
    assert [changes[column] for column in columns] == pytest.approx([3000, 1000, 500, 200])
    assert choose(paths[0], bands=("rededge_2",), wanted=None).before.bands == (3,)
    with pytest.raises(InputError, match=r"has 3 bands named 'rededge' \(2, 3, 4\); give band numbers"):
        choose(paths[0], bands=("rededge",), wanted=None)


@pytest.fixture
def cube(tmp_path):
    """An ENVI cube of 20 bands from 400 to 780 nm, the third of which its header calls bad."""
    path = write_scene(tmp_path / "cube.bin", random_scene(1, 20, 12, 15, "int16"), driver="ENVI")
    lengths = [0.400 + 0.02 * i for i in range(20)]
    with (tmp_path / "cube.hdr").open("a") as header:
        header.write("wavelength units = Micrometers\n")
        header.write(f"wavelength = {{{', '.join(f'{length:.3f}' for length in lengths)}}}\n")
        header.write(f"bbl = {{{', '.join('0' if i == 2 else '1' for i in range(20))}}}\n")
        header.write("reflectance scale factor = 10000\nacquisition time = 2021-07-04T10:10:31Z\n")
    return path


def test_bands_of_a_cube_are_chosen_by_wavelength(cube):
    pair = choose(cube, bands=("660nm", "0.56 um", "480.5 nm"))
    assert pair.before.bands == (14, 9, 5) and pair.slots == (0, 1, 2)
    assert choose(cube).before.bands[:3] == (14, 9, 5)
    with pytest.raises(InputError, match="no band named '1610nm'"):
        choose(cube, bands=("1610nm",), wanted=None)


def test_bad_bands_of_a_cube_are_left_out_and_named(cube):
    pair = choose(cube, wanted=None)
    assert pair.before.bands == tuple(i for i in range(1, 21) if i != 3)
    assert any("bands 3 are left out" in note for note in pair.notes)
    assert choose(cube, bands=(3,), wanted=None).before.bands == (3,), "it is named"


def test_the_header_of_a_cube_gives_date_and_scale(cube):
    pair = choose(cube)
    assert pair.before_date == "2021-07-04"
    assert pair.before.scales == pytest.approx((1e-4,) * len(pair.bands))


def test_wavelengths_of_a_geotiff_are_read_from_its_bands(tmp_path):
    path = write_scene(tmp_path / "a.tif", random_scene(1, 4, dtype="uint16"))
    with rasterio.open(path, "r+") as dataset:
        for band, length in enumerate((0.49, 0.56, 0.665, 0.842), 1):
            dataset.update_tags(band, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=str(length))
    assert choose(path).before.bands == (3, 2, 1, 4)


def test_the_record_names_the_bands_that_were_taken(tmp_path):
    names = [f"band {i} ({420 + 34 * i} Nanometers)" for i in range(12)]
    path = write_scene(tmp_path / "a.tif", random_scene(1, 12), names=names)
    found = rsdetect.check(path, path, bands=("660nm", "560nm", "490nm"))
    assert json.loads(json.dumps(found.as_json()))["before"]["band_numbers"] == [8, 5, 3]
