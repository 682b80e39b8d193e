"""Labelled pairs in every layout, as real small files."""

import csv
import pickle
import shutil

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from shapely.geometry import Point, box

from rsdetect.errors import GridMismatch, InputError, NothingToCompare
from rsdetect.grid import Window
from rsdetect.labelled import NOT_LABELLED, find_pairs
from rsdetect.labelled.band_folders import band_folder_files
from rsdetect.labelled.place_names import places_from_names
from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.pair import PairOptions
from rsdetect.scenes.scene import read_scene
from support.jobs import run_here
from support.scenes import TEN_METRES, UTM, random_scene, write_plain, write_scene

H, W = 40, 50


def square(value, background=0, dtype="uint8"):
    """A label with a square of `value` in rows 5 to 14, columns 10 to 29: 200 pixels."""
    label = np.full((H, W), background, dtype)
    label[5:15, 10:30] = value
    return label


def ground(column, row, width, height):
    """The pixels of TEN_METRES from (column, row) on, as a polygon."""
    left, top = TEN_METRES @ (column, row)
    return box(left, top - 10 * height, left + 10 * width, top)


def draw(path, polygons, layer="labels", crs=UTM, **columns):
    frame = geopandas.GeoDataFrame(columns, geometry=polygons, crs=crs)
    keywords = {"layer": layer} if path.suffix == ".gpkg" else {}
    frame.to_file(path, **keywords)


def folders(root, labels, dates=("A", "B", "label"), suffix="png"):
    for number, (name, label) in enumerate(labels.items()):
        for part, array in zip(
            dates, (*(random_scene(2 * number + i) for i in range(2)), label), strict=True
        ):
            write = write_plain if suffix == "png" else write_scene
            write(root / part / f"{name}.{suffix}", array)
    return root


def truths(root, **options):
    return {pair.name: pair.truth(pair.open()) for pair in find_pairs(root, **options)}


# --- folders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "changed", "unknown"),
    [
        ({"a": square(255), "b": square(0)}, [200, 0], [0, 0]),
        ({"a": square(1), "b": square(0)}, [200, 0], [0, 0]),
        # A chip that holds 0 and 255 alone means what the other chips of its set mean.
        ({"a": square(1), "b": square(255)}, [200, 0], [0, 200]),
        ({"a": square(2, 1), "b": square(1, 1)}, [200, 0], [0, 0]),
        ({"a": square(255), "b": square(255, 255)}, [200, H * W], [0, 0]),
        ({"a": square(1, dtype="float32"), "b": square(0, dtype="float32")}, [200, 0], [0, 0]),
    ],
)
def test_the_coding_is_that_of_the_whole_set(tmp_path, labels, changed, unknown):
    found = truths(folders(tmp_path, labels, suffix="tif"))
    assert list(found) == ["a", "b"]
    assert [int((truth == 1).sum()) for truth in found.values()] == changed
    assert [int((truth == NOT_LABELLED).sum()) for truth in found.values()] == unknown
    assert all(set(np.unique(truth)) <= {0, 1, 255} for truth in found.values())


def test_pictures_and_their_windows(tmp_path):
    (pair,) = find_pairs(folders(tmp_path, {"a": square(255)}))
    opened = pair.open(PairOptions(bands=(1,)))
    assert opened.bands == ("red",)
    truth = pair.truth(opened)
    assert truth.dtype == np.uint8
    np.testing.assert_array_equal(truth, square(1))
    np.testing.assert_array_equal(pair.truth(opened, Window(4, 8, 10, 12)), square(1)[4:14, 8:20])
    assert pickle.loads(pickle.dumps(pair)) == pair


def test_what_a_label_declares_as_nodata_is_not_labelled(tmp_path):
    folders(tmp_path, {"a": square(1)}, suffix="tif")
    write_scene(tmp_path / "label" / "a.tif", square(255), nodata=255)
    write_scene(tmp_path / "label" / "b.tif", square(1))
    for part in "AB":
        shutil.copy(tmp_path / part / "a.tif", tmp_path / part / "b.tif")
    found = truths(tmp_path)
    assert (found["a"] == NOT_LABELLED).sum() == 200
    assert (found["a"] == 0).sum() == H * W - 200
    assert (found["b"] == 1).sum() == 200


def test_a_lossy_label_is_cut_in_the_middle(tmp_path):
    folders(tmp_path, {"a": square(255)})
    (tmp_path / "label" / "a.png").unlink()
    write_plain(tmp_path / "label" / "a.jpg", square(255), driver="JPEG")
    truth = truths(tmp_path)["a"]
    assert abs(int((truth == 1).sum()) - 200) < 20
    assert set(np.unique(truth)) == {0, 1}


@pytest.mark.parametrize("dates", [("before", "after", "labels"), ("t1", "t2", "mask"), ("im1", "im2", "gt")])
def test_folders_under_other_names(tmp_path, dates):
    assert truths(folders(tmp_path, {"x": square(255)}, dates))["x"].sum() == 200


def test_a_label_in_colours_of_grey_is_read_and_a_colourful_one_refused(tmp_path):
    folders(tmp_path, {"a": square(255)})
    write_plain(tmp_path / "label" / "a.png", np.stack([square(255)] * 3))
    assert truths(tmp_path)["a"].sum() == 200
    write_plain(tmp_path / "label" / "a.png", np.stack([square(255), square(255), square(0)]))
    with pytest.raises(InputError, match=r"a\.png is a colour picture"):
        find_pairs(tmp_path)


def test_a_label_follows_scenes_of_other_extents(tmp_path):
    write_scene(tmp_path / "A" / "a.tif", random_scene(1))
    moved = TEN_METRES @ Affine.translation(8, 3)
    write_scene(tmp_path / "B" / "a.tif", random_scene(2), transform=moved)
    write_scene(tmp_path / "label" / "a.tif", square(1))  # on BEFORE's grid
    np.testing.assert_array_equal(truths(tmp_path)["a"], square(1)[3:, 8:])
    write_scene(tmp_path / "label" / "a.tif", square(1)[:30], transform=TEN_METRES)  # does not reach down
    truth = truths(tmp_path)["a"]
    assert (truth[27:] == NOT_LABELLED).all()
    assert (truth[:27] != NOT_LABELLED).all()
    write_plain(tmp_path / "label" / "a.tif", square(1), driver="GTiff")  # by its size
    np.testing.assert_array_equal(truths(tmp_path)["a"], square(1)[3:, 8:])


# --- one folder per place, with polygons -------------------------------------------------------------------


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "set" / "ulm"
    for date in ("before", "after"):
        write_scene(folder / f"{date}.tif", random_scene(len(date)))
    return folder


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".fgb"])
@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
def test_polygons_mark_the_pixels_whose_centre_they_hold(place, suffix, crs):
    polygons = geopandas.GeoSeries([ground(10, 5, 20, 10)], crs=UTM).to_crs(crs)
    draw(place / f"labels{suffix}", polygons, crs=crs)
    (pair,) = find_pairs(place.parent)
    assert (pair.name, pair.place) == ("ulm", "ulm")
    np.testing.assert_array_equal(pair.truth(pair.open()), square(1))
    np.testing.assert_array_equal(truths(place)["ulm"], square(1))  # the place's own folder will do


def test_a_layer_marks_what_is_not_labelled(place):
    draw(place / "labels.gpkg", [ground(10, 5, 20, 10)])
    draw(place / "labels.gpkg", [ground(0, 0, 15, H)], layer="not_labelled")
    wanted = square(1)
    wanted[:, :15] = NOT_LABELLED
    np.testing.assert_array_equal(truths(place)["ulm"], wanted)


def test_a_field_gives_the_label_of_each_polygon(place):
    polygons = [ground(10, 5, 20, 10), ground(0, 20, 50, 10), ground(0, 25, 5, 5), ground(40, 0, 5, 5)]
    words = ["changed", "Unchanged", "not_labelled", None]
    draw(place / "labels.gpkg", polygons, label=words)
    truth = truths(place)["ulm"]
    wanted = np.full((H, W), NOT_LABELLED, np.uint8)  # some are drawn as unchanged: the rest is not labelled
    wanted[5:15, 10:30] = wanted[0:5, 40:45] = 1
    wanted[20:30] = 0
    wanted[25:30, :5] = NOT_LABELLED
    np.testing.assert_array_equal(truth, wanted)
    draw(place / "labels.gpkg", polygons, label=[1, 0, 255, 1])
    np.testing.assert_array_equal(truths(place)["ulm"], wanted)
    draw(place / "labels.gpkg", polygons, label=["changed", "perhaps", "0", "1"])
    with pytest.raises(InputError, match="has 'perhaps'; its values are changed, unchanged or not labelled"):
        truths(place)


def test_an_empty_layer_means_that_nothing_changed(place):
    draw(place / "labels.gpkg", [])
    assert not truths(place)["ulm"].any()


def test_the_polygons_of_an_earlier_run_can_be_corrected_and_learned_from(place):
    draw(place / "labels.gpkg", [ground(10, 5, 20, 10)], layer="changes")
    draw(place / "labels.gpkg", [ground(0, 0, W, H)], layer="footprint")
    np.testing.assert_array_equal(truths(place)["ulm"], square(1))


@pytest.mark.parametrize(("polygon", "crs"), [(box(-60, -10, -59, -9), 4326), (ground(900, 0, 9, 9), UTM)])
def test_polygons_elsewhere_are_refused(place, polygon, crs):
    draw(place / "labels.gpkg", [polygon], crs=crs)
    with pytest.raises(NothingToCompare, match=r"polygons of the label .*labels\.gpkg lie outside what both"):
        truths(place)


def test_a_scene_between_the_polygons_of_a_region_has_no_change(place):
    draw(place / "labels.gpkg", [ground(-90, -90, 9, 9), ground(90, 90, 9, 9)])
    assert not truths(place)["ulm"].any()


def test_a_raster_label_elsewhere_is_refused(place):
    write_scene(place / "label.tif", square(1), transform=TEN_METRES @ Affine.translation(900, 0))
    with pytest.raises(NothingToCompare, match=r"label\.tif lies outside what both scenes cover"):
        truths(place.parent)


def test_polygons_on_plain_pictures_lie_where_qgis_draws_them(tmp_path):
    for date in ("before", "after"):
        write_plain(tmp_path / "x" / f"{date}.png", random_scene(len(date)))
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        draw(tmp_path / "x" / "labels.gpkg", [box(10, -15, 30, -5)], crs=None)
    np.testing.assert_array_equal(truths(tmp_path)["x"], square(1))


def test_a_raster_label_in_a_place(place):
    write_scene(place / "label.tif", square(1))
    np.testing.assert_array_equal(truths(place.parent)["ulm"], square(1))


def test_what_simulate_writes_is_a_labelled_place(tmp_path):
    told = run_here(
        "simulate",
        "--out",
        tmp_path / "made",
        "--size",
        "128",
        "--gsd",
        "3",
        "--change",
        "0.5",
        "--workers",
        "1",
    )
    assert told.status == 0
    (pair,) = find_pairs(tmp_path)
    opened = pair.open()
    assert opened.before.mask.path == str(tmp_path / "made" / "before_mask.tif")
    truth = pair.truth(opened)
    with rasterio.open(tmp_path / "made" / "truth.tif") as file:
        np.testing.assert_array_equal(truth, file.read(1))
    assert (truth == 1).any()
    mine = PairOptions(masks=(opened.after.mask.path,))
    assert pair.open(mine).before.mask.path == opened.after.mask.path
    (tmp_path / "made" / "after_mask.tif").unlink()
    with pytest.raises(InputError, match="is a mask of one date"):
        find_pairs(tmp_path)


# --- Onera ---------------------------------------------------------------------------------------------


@pytest.fixture
def onera(tmp_path):
    """Two cities; bands of 10, 20 and 60 m; labels of 1 and 2 as TIFF beside pictures of 0 and 255."""
    for seed, city in enumerate(("beirut", "nantes")):
        for date in (1, 2):
            for name, coarser in (("B01", 5), ("B02", 1), ("B8A", 2), ("B08", 1), ("B11", 2)):
                scene = random_scene(10 * seed + date, 1, H // coarser, W // coarser, "uint16")
                write_plain(
                    tmp_path / city / f"imgs_{date}" / f"S2_{city}_{name}.tif",
                    np.full_like(scene, 100) if name == "B11" else scene,
                    driver="GTiff",
                )
        write_plain(tmp_path / city / "cm" / f"{city}-cm.tif", square(2, 1), driver="GTiff")
        write_plain(tmp_path / city / "cm" / "cm.png", square(255))
    return tmp_path


def test_onera_stacks_bands_of_unequal_resolution(onera):
    first, second = find_pairs(onera)
    assert [first.name, first.place, second.place] == ["beirut", "beirut", "nantes"]
    assert first.label.name == "beirut-cm.tif"
    pair = first.open()
    assert pair.bands == ("b01", "blue", "nir", "b8a", "swir1")
    np.testing.assert_array_equal(first.truth(pair), square(1))
    values, valid = read_scene(pair.before, pair.grid.window)
    assert valid.all()
    assert values.shape == (5, H, W)
    fine = random_scene(1, 1, H, W, "uint16")
    np.testing.assert_array_equal(values[1], fine[0])  # 10 m as it is
    np.testing.assert_array_equal(values[4], 100)  # 20 m, constant: whatever the resampling
    coarse = random_scene(1, 1, H // 2, W // 2, "uint16")
    inner = values[3, 2:-2, 2:-2].reshape(18, 2, 23, 2).mean(axis=(1, 3))
    assert np.corrcoef(inner.ravel(), coarse[0, 1:-1, 1:-1].ravel())[0, 1] > 0.9
    part = Window(7, 9, 20, 11)
    np.testing.assert_array_equal(read_scene(pair.before, part)[0], values[:, 7:27, 9:20])
    named = first.open(wanted=WantedBands(("nir", "blue"), 2))
    assert named.bands == ("nir", "blue")
    (png,) = {path.with_name("cm.png") for path in [first.label]}
    first.label.unlink()
    second.label.unlink()
    again = find_pairs(onera)[0]
    assert again.label == png
    np.testing.assert_array_equal(again.truth(again.open()), square(1))


def test_onera_cities_without_labels_are_left_out_and_registered_bands_preferred(onera):
    shutil.rmtree(onera / "nantes" / "cm")
    for date in (1, 2):
        for name in ("B02", "B03"):
            write_plain(
                onera / "beirut" / f"imgs_{date}_rect" / f"{name}.tif", random_scene(3, 1), driver="GTiff"
            )
    (pair,) = find_pairs(onera)
    assert pair.open().bands == ("blue", "green")


def test_onera_dates_with_other_bands_are_refused(onera):
    (onera / "nantes" / "imgs_2" / "S2_nantes_B8A.tif").unlink()
    with pytest.raises(InputError, match="hold different bands"):
        find_pairs(onera)
    shutil.rmtree(onera / "nantes")
    shutil.rmtree(onera / "beirut" / "cm")
    with pytest.raises(InputError, match=r"none of beirut in .* has a label in cm/"):
        find_pairs(onera)


def test_two_files_of_one_band_are_refused(tmp_path):
    for name in ("x_B02.tif", "y_B02.tif"):
        write_plain(tmp_path / name, random_scene(1, 1), driver="GTiff")
    with pytest.raises(InputError, match="the same band, blue"):
        band_folder_files(tmp_path, frozenset({".tif"}))


# --- a list --------------------------------------------------------------------------------------------


def test_a_list_names_files_and_places(tmp_path):
    folders(tmp_path / "files", {"x_1": square(255), "x_2": square(0), "y_1": square(255)})
    with (tmp_path / "pairs.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(["before", "after", "label", "place"])
        for name, place in (("x_1", "north"), ("x_2", ""), ("y_1", "")):
            writer.writerow([*(f"files/{part}/{name}.png" for part in ("A", "B", "label")), place])
    pairs = find_pairs(tmp_path)
    assert [(pair.name, pair.place) for pair in pairs] == [("x_1", "north"), ("x_2", "x"), ("y_1", "y")]
    assert pairs == find_pairs(tmp_path / "pairs.csv")
    assert truths(tmp_path)["x_1"].sum() == 200


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("before,after,label\n", "lists no pair"),
        ("before,after\npairs.csv,pairs.csv\n", "line 2 of .* has no label"),
        ("before,after,label\nnowhere.png,b.png,c.png\n", "line 2 of .* names nowhere.png"),
    ],
)
def test_a_bad_list_is_reported_with_its_line(tmp_path, text, said):
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        find_pairs(tmp_path)


# --- places --------------------------------------------------------------------------------------------


def test_places_by_file_names():
    assert places_from_names(["img_1", "img_2", "img_10"]) == ["img_1", "img_2", "img_10"]
    assert places_from_names(["00001", "00002"]) == ["00001", "00002"]
    assert places_from_names(["ottawa", "yellow_A"]) == ["ottawa", "yellow_A"]
    assert places_from_names(["nanjing"]) == ["nanjing"]
    assert places_from_names(["a_0_0", "a_0_256", "b_0_0"]) == ["a", "a", "b"]
    assert places_from_names(["a_0_0", "a_0_256"]) == ["a", "a"], "tiles of one scene stay together"
    assert places_from_names([]) == []


# --- what is refused -----------------------------------------------------------------------------------


def test_folders_that_are_no_sets_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        find_pairs(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no labelled pairs: neither A/, B/ and label/"):
        find_pairs(tmp_path)
    with pytest.raises(InputError, match="'zip' is unknown; choose one of auto, folders"):
        find_pairs(tmp_path, "zip")
    folders(tmp_path / "train", {"a": square(255)})
    with pytest.raises(InputError, match=r"give .*train"):
        find_pairs(tmp_path)
    for layout, said in (("folders", "no folders A/"), ("places", "no folder in"), ("onera", "imgs_1/")):
        with pytest.raises(InputError, match=said):
            find_pairs(tmp_path, layout)


def test_incomplete_sets_are_refused(tmp_path, place):
    with pytest.raises(InputError, match=r"ulm has no labels\.gpkg"):
        find_pairs(place.parent)
    root = folders(tmp_path / "chips", {"a": square(255), "b": square(0)})
    (root / "B" / "b.png").unlink()
    with pytest.raises(InputError, match=r"b\.png has no image of its name in .*B"):
        find_pairs(root)
    shutil.rmtree(root / "label")
    with pytest.raises(InputError, match="no folder label/"):
        find_pairs(root)
    (root / "label").mkdir()
    with pytest.raises(InputError, match="holds no label"):
        find_pairs(root)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (square(255, 255), "no pixel is labelled .* 255 everywhere"),
        (square(7), "hold the values 0, 7; a label holds"),
        (np.arange(H * W).reshape(H, W) % 200, "hold the values 0, 1, 2, 3, 4, 5, 6, 7, ...; a label"),
    ],
)
def test_labels_that_mean_nothing_are_refused(tmp_path, label, said):
    label = label.astype(np.uint8)
    with pytest.raises(InputError, match=said):
        find_pairs(folders(tmp_path, {"a": label, "b": label}))


def test_a_label_of_another_size_or_grid_is_refused(tmp_path):
    folders(tmp_path, {"a": square(1)}, suffix="tif")
    write_plain(tmp_path / "label" / "a.tif", square(1)[:30], driver="GTiff")
    with pytest.raises(InputError, match=r"has 50 x 30 pixels, and .* has 50 x 40"):
        truths(tmp_path)
    write_scene(tmp_path / "label" / "a.tif", square(1), transform=TEN_METRES @ Affine.translation(0.5, 0))
    with pytest.raises(GridMismatch, match=r"lie on different grids: .*0\.50 columns"):
        truths(tmp_path)


def test_files_that_are_no_labels_are_named(tmp_path, place):
    folders(tmp_path / "chips", {"a": square(1)})
    (tmp_path / "chips" / "label" / "a.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"a\.png cannot be opened"):
        find_pairs(tmp_path / "chips")
    (place / "labels.gpkg").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"labels\.gpkg cannot be opened as polygons"):
        truths(place.parent)
    draw(place / "labels.geojson", [Point(*(TEN_METRES @ (3, 3)))])
    (place / "labels.gpkg").unlink()
    with pytest.raises(InputError, match="holds Point, and no polygon"):
        truths(place.parent)


def test_the_real_sets_are_read(real_data):
    counted = {}
    for folder in ("levir-cd", "levir-cd-crops", "airchange", "dsifn", "landsat-labelled", "sar-pairs"):
        pairs = find_pairs(real_data / folder)
        truth = [pair.truth(pair.open()) for pair in pairs]
        labelled = np.concatenate([t[t != NOT_LABELLED] for t in truth])
        counted[folder] = (len(pairs), len({pair.place for pair in pairs}), round(100 * labelled.mean(), 1))
    assert counted == {
        "levir-cd": (13, 13, 6.4),
        "levir-cd-crops": (4, 4, 10.3),
        "airchange": (7, 2, 4.0),
        "dsifn": (6, 6, 24.7),
        "landsat-labelled": (1, 1, 16.0),
        "sar-pairs": (4, 4, 11.8),
    }
