"""Pairs cut from images: the same number is the same pair, and the truth is where change was made."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

from rsdetect.errors import InputError
from rsdetect.training.chips import training_chip
from rsdetect.training.compositing import cut_scene
from rsdetect.training.compositing.acquisition_day import MARGIN_PX, Day, draw_days, expose_day
from rsdetect.training.compositing.buildings import draw_settlement
from rsdetect.training.compositing.dead_leaves import dead_leaves, one_over_f_noise
from rsdetect.training.compositing.land_classes import Drift, drift_between, parcel_drift, random_drift
from rsdetect.training.compositing.moved_pieces import (
    DOUBTFUL,
    NOTHING,
    Grounds,
    move_pieces,
    patch_difference,
)
from rsdetect.training.compositing.piece_shapes import draw_piece, grow_piece
from rsdetect.training.compositing.prepare_images import ImageFile, prepare_images, read_image_list
from rsdetect.training.compositing.source_images import (
    BANDS,
    Image,
    ImageCrop,
    draw_image_crop,
    read_images,
    standardise_image,
    take_image_crop,
)

SIZE = 64


def rsdetect(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rsdetect.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


SCENE_FIELDS = ("before", "after", "truth", "valid", "cloud")


def land(seed: int, shape: tuple[int, int] = (150, 170), bands: int = 6) -> np.ndarray:
    """Numbers of an image with structure at every scale; (bands, height, width) uint8."""
    rng = np.random.default_rng(seed)
    edge = max(shape)
    grey = one_over_f_noise(edge, 1.3, rng)[: shape[0], : shape[1]]
    own = np.stack([one_over_f_noise(edge, 1.0, rng)[: shape[0], : shape[1]] for _ in range(bands)])
    return np.clip(110 + 25 * grey + 12 * own, 1, 255).astype(np.uint8)


def write_image(path: Path, pixels: np.ndarray, bands=BANDS, valid=None) -> None:
    valid = np.ones((len(pixels), *pixels.shape[2:]), bool) if valid is None else valid
    np.savez(path, pixels=pixels, valid=valid, bands=np.array(bands))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    valid = np.ones((2, 150, 170), bool)
    valid[1, 40:70, 20:60] = False
    write_image(folder / "a.npz", np.stack([land(0), land(0) // 2 + 30]), valid=valid)
    write_image(folder / "b.npz", land(1, bands=4)[None], bands=("blue", "green", "red", "nir"))
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture(scope="module")
def images(folder: Path) -> tuple[Image, ...]:
    return read_images(folder, SIZE + 2 * MARGIN_PX)


def same(one, other) -> bool:
    equal = all(np.array_equal(getattr(one, field), getattr(other, field)) for field in SCENE_FIELDS)
    return equal and one.bands == other.bands


def ground(seed: int, bands: int = 3, edge: int = SIZE) -> np.ndarray:
    pixels = land(seed, (edge, edge), bands).astype(np.float32)
    return (pixels - pixels.mean()) / pixels.std()


# One number, one pair


def test_a_number_is_always_the_same_pair(images):
    for seed in range(6):
        assert same(cut_scene(seed, SIZE, images), cut_scene(seed, SIZE, images))
    assert not same(cut_scene(0, SIZE, images), cut_scene(1, SIZE, images))


def test_another_process_cuts_the_same_pair(folder, images):
    script = (
        "import sys, hashlib\n"
        "for name in ('rasterio', 'geopandas', 'shapely', 'dask', 'skimage', 'pydantic'):\n"
        "    sys.modules[name] = None  # as on a machine that only trains\n"
        "from pathlib import Path\n"
        "from rsdetect.training.compositing import cut_scene\n"
        "from rsdetect.training.compositing.source_images import read_images\n"
        f"images = read_images(Path({str(folder)!r}), {SIZE + 2 * MARGIN_PX})\n"
        f"scene = cut_scene(3, {SIZE}, images)\n"
        "print(hashlib.sha256(scene.before.tobytes() + scene.after.tobytes()).hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    scene = cut_scene(3, SIZE, images)
    here = hashlib.sha256(scene.before.tobytes() + scene.after.tobytes()).hexdigest()
    assert done.stdout.strip() == here, done.stderr


# What a pair holds


def test_pairs_are_what_training_expects(images):
    shares, kinds = [], set()
    for seed in range(40):
        scene = cut_scene(seed, SIZE, images)
        assert scene.before.shape == scene.after.shape == (len(scene.bands), SIZE, SIZE)
        assert scene.before.dtype == scene.after.dtype
        assert scene.truth.shape == scene.valid.shape == scene.cloud.shape == (SIZE, SIZE)
        assert (scene.truth.dtype, scene.valid.dtype, scene.cloud.dtype) == (np.uint8, bool, bool)
        assert scene.bands == tuple(name for name in BANDS if name in scene.bands)
        for date in (scene.before, scene.after):
            assert (date[:, scene.valid] > 0).all() and not date[:, ~scene.valid].any()
        assert not scene.truth[~scene.valid].any()
        assert not (scene.cloud & (scene.truth == 0)).any(), "what is left open is change that hardly shows"
        shares.append(scene.truth.mean())
        kinds.add((len(scene.bands), scene.before.dtype.name))
    assert {(3, "uint8"), (4, "uint8"), (6, "uint16")} <= kinds
    assert 0.03 < np.mean(shares) < 0.3
    assert 0.1 < np.mean(np.array(shares) == 0) < 0.6, "some pairs have no change at all"


def test_chips_are_drawn_from_such_pairs(images):
    rng = np.random.default_rng(0)
    for seed in range(4):
        chip = training_chip(cut_scene(seed, SIZE, images), 48, BANDS, rng)
        assert chip.before.shape == (6, 48, 48) and np.isfinite(chip.after).all()


def test_without_images_the_ground_is_dead_leaves():
    scene = cut_scene(3, SIZE, ())
    assert scene.valid.all() and scene.before.std() > 5


# Truth


def content_of(seed: int, bands: int = 3):
    """A donor of other land, brighter by two spreads."""
    other = ground(seed + 500, bands, 200) + 2.0
    rng = np.random.default_rng(seed)

    def donate(height: int, width: int) -> np.ndarray:
        row, col = rng.integers(0, 200 - height + 1), rng.integers(0, 200 - width + 1)
        return other[:, row : row + height, col : col + width]

    return donate


@given(seed=st.integers(0, 10_000), count=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_truth_is_where_pieces_were_moved(seed, count):
    grounds = Grounds.unchanged(ground(seed % 7))
    move_pieces(grounds, count, content_of(seed), 0.3, np.random.default_rng(seed))
    differs = (grounds.before != grounds.after).any(axis=0)
    assert (differs | ~grounds.truth).all(), "every changed pixel differs"
    near = binary_dilation(grounds.truth, np.ones((3, 3)), iterations=3)
    assert (near | ~differs).all(), "nothing differs but for the soft edges of what changed"
    assert (grounds.truth | ~grounds.doubtful).all()


def test_pieces_moved_at_all():
    grounds = Grounds.unchanged(ground(0))
    move_pieces(grounds, 12, content_of(1), 0.0, np.random.default_rng(1))
    assert 0.05 < grounds.truth.mean() < 0.95


@pytest.mark.parametrize(
    ("distance", "kept", "doubtful"), [(0.0, False, False), (0.45, True, True), (3.0, True, False)]
)
def test_what_hardly_differs_is_refused_or_left_open(distance, kept, doubtful):
    assert NOTHING < 0.45 < DOUBTFUL
    flat = np.zeros((3, SIZE, SIZE), np.float32)
    found = []
    for seed in range(60):
        grounds = Grounds.unchanged(flat)
        rng = np.random.default_rng(seed)
        move_pieces(grounds, 1, lambda h, w: np.full((3, h, w), distance, np.float32), 0.0, rng)
        difference = np.abs(grounds.after - grounds.before).max()
        # Tone may be matched; then a piece of one tone cannot be seen.
        assert grounds.truth.any() == (difference >= NOTHING)
        if grounds.truth.any():
            found.append(grounds.doubtful[grounds.truth].all())
    assert bool(found) == kept
    if kept:
        assert all(found) == doubtful


def test_a_settlement_without_change_has_no_truth_and_one_with_has():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        grounds = Grounds.unchanged(ground(seed))
        draw_settlement(grounds, 0.0, rng)
        assert not grounds.truth.any()
    for seed in range(8):
        grounds = Grounds.unchanged(ground(seed, edge=128))
        draw_settlement(grounds, 1.0, np.random.default_rng(seed))
        assert grounds.truth.any()
        differs = (grounds.before != grounds.after).any(axis=0)
        assert differs[grounds.truth].mean() > 0.99


def test_difference_counts_tone_and_texture():
    flat = np.zeros((3, 20, 20), np.float32)
    assert patch_difference(flat, flat + 2) == pytest.approx(np.full((20, 20), 2.0))
    checks = np.where(np.indices((20, 20)).sum(axis=0) % 2, 1.0, -1.0)[None].repeat(3, axis=0)
    assert patch_difference(flat, checks.astype(np.float32)) == pytest.approx(np.ones((20, 20)))


# Crops


def as_image(pixels: np.ndarray) -> Image:
    valid = np.ones(pixels.shape[1:], bool)
    return Image("test", pixels.astype(np.float32), valid, BANDS[: len(pixels)])


def test_crops_at_scale_one_are_the_pixels_themselves():
    image = as_image(land(3, (90, 100), 3))
    window = image.pixels[:, 20:51, 30:61]
    for quarters in range(4):
        crop, valid = take_image_crop(image, ImageCrop((35.0, 45.0), 1.0, quarters * np.pi / 2, False), 31)
        turned = [np.array_equal(np.rint(crop), np.rot90(window, k, axes=(1, 2))) for k in range(4)]
        assert sum(turned) == 1 and valid.all()
    crop, _ = take_image_crop(image, ImageCrop((35.0, 45.0), 1.0, 0.0, True), 31)
    assert np.array_equal(np.rint(crop), window[:, :, ::-1])


def test_an_enlarged_crop_passes_through_the_pixels():
    image = as_image(land(3, (90, 100), 3))
    crop, _ = take_image_crop(image, ImageCrop((40.0, 50.0), 0.5, 0.0, False), 41)
    assert crop[:, ::2, ::2] == pytest.approx(image.pixels[:, 30:51, 40:61], abs=0.05)


@given(
    seed=st.integers(0, 10_000),
    height=st.integers(22, 200),
    width=st.integers(22, 200),
    size=st.integers(4, 80),
)
@settings(max_examples=80, deadline=None)
def test_crops_stay_inside_the_image(seed, height, width, size):
    image = as_image(np.zeros((3, height, width)))
    cut = draw_image_crop(image, size, np.random.default_rng(seed), (0.25, 1.6))
    half = (size - 1) / 2
    reach = half * cut.step * (abs(np.cos(cut.angle)) + abs(np.sin(cut.angle)))
    for centre, edge in zip(cut.centre, (height, width), strict=True):
        assert centre - reach > -0.51 and centre + reach < edge - 0.49
    assert cut.step <= 1.6


def test_gaps_are_never_taken_for_ground():
    pixels = np.where(np.arange(100)[:, None] < 50, 1.0, 0.0) * np.ones((3, 100, 100))
    valid = pixels[0] > 0
    image = Image("test", pixels.astype(np.float32), valid, BANDS[:3])
    for angle in (0.0, 0.7, 2.0):
        crop, usable = take_image_crop(image, ImageCrop((50.0, 50.0), 0.6, angle, False), 41)
        assert usable.any() and not usable.all()
        assert crop[:, usable] == pytest.approx(1.0, abs=0.2)  # a cubic spline rings by a tenth


@given(seed=st.integers(0, 10_000), radius=st.floats(1.2, 25))
@settings(max_examples=60, deadline=None)
def test_pieces_lie_in_the_scene(seed, radius):
    rng = np.random.default_rng(seed)
    for piece in (draw_piece(SIZE, radius, rng), grow_piece(ground(seed % 5), max(radius, 2.0), rng)):
        rows, cols = piece.window
        assert 0 <= rows.start < rows.stop <= SIZE and 0 <= cols.start < cols.stop <= SIZE
        assert piece.alpha.min() >= 0 and piece.alpha.max() <= 1 + 1e-6


# Days


def plain_day(bands: int, **changed) -> Day:
    from rsdetect.simulation.imaging.compression import Compression

    neutral = {
        "gain": np.ones((bands, 1, 1), np.float32),
        "offset": np.zeros((bands, 1, 1), np.float32),
        "shift_px": (0.0, 0.0),
        "compression": Compression(),
    }
    zeros = dict.fromkeys(("light", "haze", "blur_px", "bend_px", "noise", "grain", "stripes"), 0.0)
    return Day(**{**neutral, **zeros, **changed})


def test_a_day_shifts_by_its_shift():
    pixels = ground(2, edge=SIZE + 2 * MARGIN_PX)
    rng = np.random.default_rng(0)
    still = expose_day(pixels, plain_day(3), np.uint16, rng)
    moved = expose_day(pixels, plain_day(3, shift_px=(1.0, -2.0)), np.uint16, rng)
    assert still.shape == (3, SIZE, SIZE)
    assert np.array_equal(moved[:, :-1, 2:], still[:, 1:, :-2])


def test_haze_takes_contrast_and_numbers_stay_above_no_data():
    pixels = 4 * ground(2, edge=SIZE + 2 * MARGIN_PX)
    rng = np.random.default_rng(0)
    clear = expose_day(pixels, plain_day(3), np.uint8, rng)
    hazy = expose_day(pixels, plain_day(3, haze=0.5), np.uint8, rng)
    assert hazy.std() < 0.8 * clear.std()
    assert clear.min() == 1 and clear.max() == 255


def test_days_of_three_bands_are_compressed_at_any_size():
    rng = np.random.default_rng(0)
    pixels = ground(2, edge=50 + 2 * MARGIN_PX)
    compressed = 0
    for _ in range(12):
        day = draw_days(3, rng)[1]
        assert expose_day(pixels, day, np.uint8, rng).shape == (3, 50, 50)
        compressed += bool(day.compression.blocks or day.compression.waves)
    assert 0 < compressed < 12


# Classes


def test_a_drift_of_nothing_changes_nothing():
    pixels = ground(4, 6)
    drift = random_drift(pixels, 0.0, np.random.default_rng(0))
    assert drift.applied(pixels) == pytest.approx(pixels, abs=1e-4)


def test_plants_drift_more_than_water():
    rng = np.random.default_rng(0)
    pixels = ground(4, 4) * np.float32(0.05)
    plants, water = np.float32([-1, -1, -1, 1.5]), np.float32([0, 0, 0, -1.5])
    pixels[:, :, : SIZE // 2] += plants[:, None, None]
    pixels[:, :, SIZE // 2 :] += water[:, None, None]
    drifted = [random_drift(pixels, 0.6, rng).applied(pixels) for _ in range(60)]
    moved = np.abs(np.stack(drifted) - pixels).mean(axis=0)
    assert moved[:, :, : SIZE // 2].mean() > 1.2 * moved[:, :, SIZE // 2 :].mean()
    parcels = np.abs(parcel_drift(pixels, 0.6, rng))
    assert parcels[:, :, : SIZE // 2 - 8].mean() > 0.1 and not parcels[:, :, SIZE // 2 + 8 :].any()


def test_the_drift_between_two_dates_is_found_by_class():
    rng = np.random.default_rng(1)
    kind = (one_over_f_noise(160, 1.5, rng) > 0).astype(int)
    centres = np.array([[-1.0, -1.0, 1.5], [1.0, 1.0, -1.5]])
    offsets = np.array([[0.5, -0.3, 0.8], [-0.2, 0.4, 0.0]])
    noise = 0.15 * rng.standard_normal((3, 160, 160))
    one = (centres.T[:, kind] + noise).astype(np.float32)
    other = (centres.T[:, kind] + offsets.T[:, kind] + 1.3 * noise).astype(np.float32)
    drift = drift_between(one, other, np.ones(kind.shape, bool))
    assert drift is not None
    error = np.sqrt(((drift.applied(one) - other) ** 2).mean())
    assert error < 0.35 * np.sqrt(((one - other) ** 2).mean())
    assert drift_between(one, other, np.zeros(kind.shape, bool)) is None
    assert drift.only([2]).offsets == pytest.approx(drift.offsets[:, 2:])


def test_drift_of_one_class_is_a_straight_line():
    drift = Drift(np.array([[1.0]], np.float32), np.array([[2.0]], np.float32), np.array([[0.5]], np.float32))
    pixels = np.linspace(-1, 1, 25, dtype=np.float32).reshape(1, 5, 5)
    assert drift.applied(pixels) == pytest.approx(1 + 0.5 + 2 * (pixels - 1), abs=1e-5)
    assert drift.applied(pixels, 0.0) == pytest.approx(pixels, abs=1e-6)


# Dead leaves


def slope(pixels: np.ndarray) -> float:
    """Exponent of amplitude over frequency, by least squares over two octaves."""
    edge = len(pixels)
    amplitude = np.abs(np.fft.fft2(pixels - pixels.mean()))
    radius = np.rint(np.hypot(*np.meshgrid(*[np.fft.fftfreq(edge, 1 / edge)] * 2))).astype(int)
    mean = np.bincount(radius.ravel(), amplitude.ravel()) / np.bincount(radius.ravel())
    at = np.arange(4, edge // 6)
    return float(np.polyfit(np.log(at), np.log(mean[at]), 1)[0])


def test_noise_falls_with_frequency_as_asked():
    rng = np.random.default_rng(0)
    for power in (0.5, 1.0, 1.5):
        found = np.mean([slope(one_over_f_noise(128, power, rng)) for _ in range(8)])
        assert found == pytest.approx(-power, abs=0.1)


def test_dead_leaves_have_the_spectrum_of_natural_images():
    rng = np.random.default_rng(0)
    found = [slope(dead_leaves(128, rng).pixels[1]) for _ in range(12)]
    assert -1.7 < np.mean(found) < -0.7  # natural images lie near -1, and steeper once blurred


def test_dead_leaves_have_all_bands_in_spreads():
    image = dead_leaves(96, np.random.default_rng(5))
    assert image.bands == BANDS and image.pixels.shape == (6, 96, 96)
    low, high = np.percentile(image.pixels.reshape(6, -1), (16, 84), axis=1)
    assert (high - low) == pytest.approx(np.full(6, 2.0), abs=0.05)


# Files


def test_images_are_read_in_the_order_of_bands_with_their_drifts(images):
    assert [image.name for image in images] == ["a-0", "a-1", "b-0"]
    assert images[2].bands == ("red", "green", "blue", "nir")
    expected = standardise_image(land(1, bands=4)[[2, 1, 0, 3]].astype(np.float32), np.ones((150, 170), bool))
    assert np.array_equal(images[2].pixels, expected)
    assert [len(image.drifts) for image in images] == [1, 1, 0]
    assert not images[1].pixels[:, 40:70, 20:60].any()


def not_an_archive(path: Path) -> None:
    path.write_bytes(b"PK nothing")


def another_archive(path: Path) -> None:
    np.savez(path, weights=np.zeros(3))


def too_small(path: Path) -> None:
    write_image(path, land(0, (15, 300))[None])


def no_blue(path: Path) -> None:
    write_image(path, land(0, bands=2)[None], bands=("red", "green"))


def unknown_band(path: Path) -> None:
    write_image(path, land(0, bands=4)[None], bands=("red", "green", "blue", "thermal"))


def one_band_twice(path: Path) -> None:
    write_image(path, land(0, bands=4)[None], bands=("red", "green", "blue", "red"))


def wrong_shape(path: Path) -> None:
    write_image(path, land(0)[None], valid=np.ones((1, 9, 9), bool))


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (not_an_archive, "not a prepared image"),
        (another_archive, "lacks bands, pixels, valid"),
        (too_small, "15 x 300 pixels, and crops of 80 x 80 require at least 22 x 22"),
        (no_blue, "lacks blue"),
        (unknown_band, "'thermal'"),
        (one_band_twice, "duplicated"),
        (wrong_shape, "are inconsistent"),
    ],
)
def test_a_file_that_is_no_image_is_refused(tmp_path, write, words):
    write_image(tmp_path / "a.npz", land(0)[None])
    write(tmp_path / "b.npz")
    with pytest.raises(InputError, match=words) as said:
        read_images(tmp_path, SIZE + 2 * MARGIN_PX)
    assert "b.npz" in str(said.value)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no prepared image"):
        read_images(tmp_path, SIZE)


def write_tiff(path: Path, pixels: np.ndarray, left: float = 5e5, names=(), **profile) -> Path:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=pixels.shape[1],
        width=pixels.shape[2],
        count=len(pixels),
        dtype=pixels.dtype,
        crs="EPSG:32633",
        transform=Affine(30, 0, left, 0, -30, 5e6),
        **profile,
    ) as file:
        file.write(pixels)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
    return path


SIX = ("blue", "green", "red", "nir", "swir1", "swir2")


def test_rasters_become_one_image_per_place(tmp_path):
    first = write_tiff(tmp_path / "first.tif", land(0), names=SIX)
    quality = np.zeros((1, 150, 170), np.uint8)
    quality[0, :30] = 4
    second = write_tiff(tmp_path / "second.tif", np.concatenate([land(1), quality]))
    nodata = int(land(2)[0, 5, 6])
    elsewhere = write_tiff(tmp_path / "elsewhere.tif", land(2), left=6e5, names=SIX, nodata=nodata)
    sources = [
        ImageFile(path=first),
        ImageFile(path=second, bands=(*SIX, ""), mask_band=7, mask_values=(4,)),
        ImageFile(path=elsewhere),
    ]
    paths = prepare_images(sources, tmp_path / "out")
    assert [path.name for path in paths] == ["00-first.npz", "01-elsewhere.npz"]
    with np.load(paths[0]) as arrays:
        assert tuple(arrays["bands"]) == SIX
        assert np.array_equal(arrays["pixels"], np.stack([land(0), land(1)]))
        assert arrays["valid"][0].all()
        assert not arrays["valid"][1, :30].any() and arrays["valid"][1, 30:].all()
    with np.load(paths[1]) as arrays:
        assert not arrays["valid"][0, 5, 6] and arrays["valid"].mean() > 0.5
    assert len(read_images(tmp_path / "out", SIZE)) == 3


def test_images_are_prepared_with_their_buildings(tmp_path):
    mask = np.zeros((1, 150, 170), np.uint8)
    mask[0, 20:50, 60:90] = 255
    write_tiff(tmp_path / "mask.tif", mask)
    for number, name in enumerate(("built", "bare", "unknown")):
        write_tiff(tmp_path / f"{name}.tif", land(number, bands=3), left=5e5 + 9000 * number, names=BANDS[:3])
    listed = tmp_path / "images.toml"
    listed.write_text(
        '[[image]]\npath = "built.tif"\nbuildings = "mask.tif"\n'
        '[[image]]\npath = "bare.tif"\nbuildings = "none"\n'
        '[[image]]\npath = "unknown.tif"\n'
    )
    prepare_images(read_image_list(listed), tmp_path / "out")
    built, bare, unknown = read_images(tmp_path / "out", SIZE)
    assert np.array_equal(built.buildings, mask[0] == 255)
    assert bare.buildings is not None and bare.buildings.shape == (150, 170) and not bare.buildings.any()
    assert unknown.buildings is None


def test_buildings_of_another_size_are_refused(tmp_path):
    write_tiff(tmp_path / "mask.tif", np.zeros((1, 150, 171), np.uint8))
    write_tiff(tmp_path / "image.tif", land(0, bands=3), names=BANDS[:3])
    source = ImageFile(path=tmp_path / "image.tif", buildings=tmp_path / "mask.tif")
    with pytest.raises(InputError, match=r"mask\.tif has 150 x 171 pixels, and .*image\.tif has 150 x 170"):
        prepare_images([source], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_prepared_buildings_of_another_size_are_refused(tmp_path):
    arrays = {"pixels": land(0, bands=3)[None], "valid": np.ones((1, 150, 170), bool), "bands": BANDS[:3]}
    np.savez(tmp_path / "a.npz", **arrays, buildings=np.zeros((150, 171), bool))
    with pytest.raises(InputError, match=r"a\.npz is not a prepared image: .* are inconsistent"):
        read_images(tmp_path, SIZE)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"bands": ("red", "green")}, "has 6 bands, and 2 are listed"),
        ({"bands": ("red", "green", "blue", "nir", "swir1", "heat")}, "'heat'"),
        ({"bands": ("red", "green", "", "nir", "swir1", "swir2")}, "lacks blue"),
        ({}, "lacks red, green, blue; it has no named band"),
        ({"bands": SIX, "mask_band": 9}, "bands 1 to 6, and no band 9 for the mask"),
    ],
)
def test_rasters_that_cannot_be_prepared_leave_nothing(tmp_path, source, words):
    good = write_tiff(tmp_path / "good.tif", land(0), names=SIX)
    bad = write_tiff(tmp_path / "bad.tif", land(0))
    with pytest.raises(InputError, match=words):
        prepare_images([ImageFile(path=good), ImageFile(path=bad, **source)], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tif", "good.tif"]


def test_a_file_that_is_no_raster_is_refused(tmp_path):
    (tmp_path / "notes.tif").write_text("not a raster")
    with pytest.raises(InputError, match=r"notes\.tif"):
        prepare_images([ImageFile(path=tmp_path / "notes.tif")], tmp_path / "out")


LIST = """
[[image]]
path = "first.tif"

[[image]]
path = "second.tif"
bands = ["blue", "green", "red", "nir", "swir1", "swir2", ""]
mask_band = 7
mask_values = [2, 4]
"""


def test_the_command_prepares_what_a_list_names(tmp_path):
    write_tiff(tmp_path / "first.tif", land(0), names=SIX)
    write_tiff(tmp_path / "second.tif", np.concatenate([land(1), np.full((1, 150, 170), 1, np.uint8)]))
    (tmp_path / "images.toml").write_text(LIST)
    done = rsdetect("images", tmp_path / "images.toml", "--out", tmp_path / "new" / "out", "--json")
    assert done.returncode == 0, done.stderr
    paths = json.loads(done.stdout)["images"]
    assert paths == [str(tmp_path / "new" / "out" / "00-first.npz")]
    assert len(read_images(tmp_path / "new" / "out", SIZE)) == 2
    again = rsdetect("images", tmp_path / "images.toml", "--out", tmp_path / "new" / "out")
    assert again.returncode == 2 and "give a new folder" in again.stderr


def test_a_wrong_list_is_refused(tmp_path):
    for text, words in [
        ("[[image]]\npath = 3", "image.0.path"),
        ('[[image]]\npath = "a.tif"\nmask = 3', "image.0.mask"),
        ("", "image"),
        ("[[image", "cannot be read as a list of images"),
        ('[[image]]\npath = "none.tif"', "none.tif"),
    ]:
        (tmp_path / "images.toml").write_text(text)
        done = rsdetect("images", tmp_path / "images.toml", "--out", tmp_path / "out")
        assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()
