"""--bands: by number or by name, matched by name where both files name theirs."""

from __future__ import annotations

import numpy as np
import pytest

from rsdetect.errors import InputError
from rsdetect.scenes.bands import WantedBands, parse_bands
from rsdetect.scenes.pair import PairOptions, open_pair, read_tile
from rsdetect.tiles import TileWindow
from support.scenes import TEN_METRES, random_scene, write_scene

RGB = ("red", "green", "blue")
ARRAY = random_scene(0, bands=5, height=12, width=15, dtype="uint16")
BGRN = ("blue", "green", "red", "nir")
THREE = WantedBands(RGB, 3)
SIX = WantedBands((*RGB, "nir", "swir1", "swir2"), 3)  # three that must be there, three that help


def chosen(folder, before, after, bands=None, wanted=None):
    """The values of both dates, and the pair; scenes are given by their bands' names."""
    paths = [
        write_scene(folder / f"{date}.tif", ARRAY[: len(names)], names=names if any(names) else None)
        for date, names in (("before", before), ("after", after))
    ]
    pair = open_pair(*paths, PairOptions(bands=bands), wanted=wanted)
    window = pair.grid.window
    return read_tile(pair, TileWindow(0, 0, window, window)), pair


def test_without_a_choice_all_bands_are_compared_in_file_order(tmp_path):
    tile, pair = chosen(tmp_path, ("",) * 4, ("",) * 4)
    assert pair.bands == ("band1", "band2", "band3", "band4")
    np.testing.assert_array_equal(tile.before, ARRAY[:4])


def test_bands_named_in_another_order_are_matched_by_name(tmp_path):
    tile, pair = chosen(tmp_path, BGRN, ("red", "green", "blue", "nir"))
    assert pair.bands == BGRN and pair.notes == ()
    np.testing.assert_array_equal(tile.before, ARRAY[:4])
    np.testing.assert_array_equal(tile.after, ARRAY[[2, 1, 0, 3]])


def test_bands_of_different_names_are_compared_in_order_with_a_note(tmp_path):
    _, pair = chosen(tmp_path, BGRN, ("b1", "b2", "b3", "b4"))
    assert any("compared in file order" in note for note in pair.notes)


def test_two_bands_of_one_name_are_compared_in_order(tmp_path):
    tile, _ = chosen(tmp_path, ("red", "red", "nir"), ("red", "red", "nir"))
    np.testing.assert_array_equal(tile.after, ARRAY[:3])


def test_bands_are_chosen_by_number_and_may_be_repeated(tmp_path):
    tile, pair = chosen(tmp_path, ("",) * 5, ("",) * 5, bands=(3, 1, 1))
    assert pair.bands == ("band3", "band1", "band1")
    np.testing.assert_array_equal(tile.before, ARRAY[[2, 0, 0]])


def test_bands_are_chosen_by_name_in_each_file(tmp_path):
    tile, pair = chosen(tmp_path, BGRN, ("nir", "red", "green", "blue"), bands=RGB)
    assert pair.bands == RGB
    np.testing.assert_array_equal(tile.before, ARRAY[[2, 1, 0]])
    np.testing.assert_array_equal(tile.after, ARRAY[[1, 2, 3]])


def test_names_and_numbers_may_be_mixed(tmp_path):
    tile, _ = chosen(tmp_path, BGRN, BGRN, bands=("nir", 1))
    np.testing.assert_array_equal(tile.after, ARRAY[[3, 0]])


def test_numbers_choose_from_files_of_different_band_counts(tmp_path):
    tile, _ = chosen(tmp_path, ("",) * 5, ("",) * 3, bands=(2, 3))
    np.testing.assert_array_equal(tile.before, ARRAY[[1, 2]])


def test_the_names_that_a_detector_requires_are_found_in_each_file(tmp_path):
    tile, pair = chosen(tmp_path, BGRN, ("Red ", "GREEN", "blue"), wanted=THREE)
    assert pair.bands == RGB and pair.notes == ()
    np.testing.assert_array_equal(tile.before, ARRAY[[2, 1, 0]])
    np.testing.assert_array_equal(tile.after, ARRAY[:3])


def test_files_that_name_nothing_give_their_first_bands_with_a_note(tmp_path):
    tile, pair = chosen(tmp_path, ("",) * 4, BGRN, wanted=THREE)
    np.testing.assert_array_equal(tile.before, ARRAY[:3])
    assert any("no band is named red, green, blue in" in note and "`bands`" in note for note in pair.notes)


def test_bands_that_help_are_taken_where_both_files_have_them(tmp_path):
    tile, pair = chosen(tmp_path, (*BGRN, "swir2"), BGRN, wanted=SIX)
    assert pair.bands == ("red", "green", "blue", "nir") and pair.slots == (0, 1, 2, 3)
    np.testing.assert_array_equal(tile.before, ARRAY[[2, 1, 0, 3]])


@pytest.mark.parametrize(
    ("names", "wanted", "words"),
    [
        (
            ("red", "green", "blue"),
            ("red", "nir"),
            "(?:has|have) no band named nir; give the numbers of red, nir as",
        ),
        (("B02", "B03", "B04", "B08"), ("red", "swir1"), "(?:has|have) no band named swir1; give"),
        (("nir", "red", "green"), RGB, "(?:has|have) no band named blue; give"),
        (BGRN, ("thermal",), "(?:has|have) no band named thermal; give the numbers of thermal as `bands`"),
    ],
)
def test_a_band_that_known_bands_are_not_is_not_taken_from_another_place(tmp_path, names, wanted, words):
    wanted = WantedBands(wanted, len(wanted))
    with pytest.raises(InputError, match=words):
        chosen(tmp_path, names, names, wanted=wanted)
    with pytest.raises(InputError, match=words):
        chosen(tmp_path, ("",) * 4, names, wanted=wanted)
    assert chosen(tmp_path, names, names, (2,) * wanted.required, wanted)[1].before.bands[0] == 2


@pytest.mark.parametrize(
    ("bands", "slots"),
    [
        ((3, 2, 1), (0, 1, 2)),
        ((3, 2, 1, 4), (0, 1, 2, 3)),
        ((1, 1, 1), (0, 1, 2)),
        (("red", "green", "blue", "swir2"), (0, 1, 2, 5)),  # named, each goes where it belongs
        (("swir2", "blue", "green", "red"), (0, 1, 2, 5)),  # in the model's order
        (("blue", "nir", "swir2"), (0, 1, 2)),  # not the model's three: taken in order, as numbers are
    ],
)
def test_chosen_bands_go_to_the_slots_of_the_model(tmp_path, bands, slots):
    names = (*BGRN, "swir2")
    _, pair = chosen(tmp_path, names, names, bands=bands, wanted=SIX)
    assert pair.slots == slots


@pytest.mark.parametrize(
    ("before", "after", "bands", "wanted", "words"),
    [
        (5, 5, (6,), None, "has bands 1 to 5, and `bands` asks for 6"),
        (5, 3, (4,), None, "after.tif has bands 1 to 3, and `bands` asks for 4"),
        (5, 5, (0,), None, "has bands 1 to 5, and `bands` asks for 0"),
        (5, 5, ("nir",), None, "(?:has|have) no band named 'nir' .named: none of them.; give band numbers"),
        (5, 5, (1, 2), THREE, "`bands` names 2 bands and the model takes 3"),
        (5, 5, (1,) * 7, SIX, r"`bands` names 7 bands and the model takes 3 to 6 \(red, .*, in this order\)"),
        (4, 3, None, None, "has 4 bands and .* has 3; choose with `bands` those that both have"),
        (2, 2, None, THREE, r"has 2 bands and the model wants 3 \(red, green, blue\).*`bands=\[1, 1, 1\]`"),
        (1, 1, None, THREE, "has 1 band and the model wants 3"),
    ],
)
def test_bands_that_are_not_there_are_one_clear_sentence(tmp_path, before, after, bands, wanted, words):
    with pytest.raises(InputError, match=words):
        chosen(tmp_path, ("",) * before, ("",) * after, bands, wanted)


@pytest.mark.parametrize(
    ("text", "bands"),
    [
        (None, None),
        ("1", (1,)),
        ("3,2,1", (3, 2, 1)),
        (" Red, NIR ,3", ("red", "nir", 3)),
        ("b 8a", ("b 8a",)),
    ],
)
def test_bands_are_written_as_numbers_or_names_with_commas(text, bands):
    assert parse_bands(text) == bands


@pytest.mark.parametrize("text", ["", "1,,2", ",", "red,"])
def test_a_gap_between_commas_is_refused(text):
    with pytest.raises(InputError, match="write 3,2,1 or red,green,blue"):
        parse_bands(text)


@pytest.mark.parametrize(
    "bands", ["red, NIR", ["red", " NIR"], ["Red", "nir"], (np.int64(3), np.uint8(4)), ("red", 4)]
)
def test_python_takes_bands_in_any_sensible_spelling(tmp_path, bands):
    tile, pair = chosen(tmp_path, BGRN, BGRN, bands=bands)
    assert pair.bands == ("red", "nir")
    np.testing.assert_array_equal(tile.before, ARRAY[[2, 3]])


@pytest.mark.parametrize("align", [False, True])
def test_a_band_that_is_marked_as_alpha_is_data_when_the_user_names_it(tmp_path, align):
    """GDAL marks the fourth of four bands of bytes as alpha by default; often it is infrared."""
    array = random_scene(0, 4, 12, 15)
    array[3, :6] = 0
    before = write_scene(tmp_path / "before.tif", array, alpha=True)
    turned = TEN_METRES @ TEN_METRES.translation(15, 12) @ TEN_METRES.rotation(180)
    after = write_scene(
        tmp_path / "after.tif",
        array if not align else array[:, ::-1, ::-1],
        alpha=True,
        transform=turned if align else TEN_METRES,
    )

    def opened(bands):
        options = PairOptions(bands=bands, align=align, resampling="nearest")
        pair = open_pair(before, after, options)
        return pair, read_tile(pair, TileWindow(0, 0, pair.grid.window, pair.grid.window))

    pair, tile = opened(None)
    assert tile.before.shape[0] == 3 and tile.valid[6:].all() and not tile.before_valid[:6].any()
    assert any("band 4 of" in note and "marked as alpha" in note for note in pair.notes)
    pair, tile = opened((4, 1))
    assert tile.valid.all() and not any("alpha" in note for note in pair.notes)
    np.testing.assert_array_equal(tile.before, array[[3, 0]])


def test_a_band_that_is_marked_as_alpha_and_described_as_something_else_is_data(tmp_path):
    path = write_scene(
        tmp_path / "rgbn.tif", ARRAY[:4].astype("uint8"), names=("red", "green", "blue", "NIR"), alpha=True
    )
    pair = open_pair(path, path)
    assert pair.bands == ("red", "green", "blue", "nir") and pair.notes == ()


def test_a_choice_of_no_band_is_refused(tmp_path):
    with pytest.raises(InputError, match="`bands`"):
        chosen(tmp_path, ("",) * 3, ("",) * 3, bands=())


def test_a_file_of_nothing_but_alpha_is_refused(tmp_path):
    path = write_scene(tmp_path / "alpha.tif", ARRAY[:1].astype("uint8"), alpha=True)
    with pytest.raises(InputError):
        open_pair(path, path)
