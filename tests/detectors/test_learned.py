"""The learned detector: seam-free, symmetric, picklable, and deaf to what is not valid."""

import dataclasses
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsdetect.detectors.learned import Normalisation, SiameseDetector, SiameseScorer
from rsdetect.errors import ModelError, NothingToCompare
from rsdetect.grid import Window
from rsdetect.nets.checkpoint import load_model, read_card, save_model
from rsdetect.scenes.normalisation import PERCENTILE
from rsdetect.stats import PixelSample
from rsdetect.tiles import Tile
from support.models import card_of, trained_looking


class FakeScan:
    """All that the detector asks of a scan."""

    def __init__(self, before: np.ndarray, after: np.ndarray, slots: tuple[int, ...] = ()) -> None:
        self._sample = PixelSample(before, after)
        everywhere = Window(-10_000, -10_000, 20_000, 20_000)
        self.pair = SimpleNamespace(slots=slots, covered=everywhere, normalisation=PERCENTILE)

    def sample_pixels(self) -> PixelSample:
        return self._sample


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    net = trained_looking()
    with torch.no_grad():
        net.head.weight.mul_(4)  # probabilities that spread over all of [0, 1]
    save_model(path, net, card_of(net))
    return path


@pytest.fixture(scope="module")
def scorer(model: Path) -> SiameseScorer:
    rng = np.random.default_rng(0)
    before, after = (rng.normal(c, s, (3, 500)).astype(np.float32) for c, s in ((90, 20), (400, 60)))
    return SiameseDetector(str(model)).fit(FakeScan(before, after))


@dataclasses.dataclass(frozen=True)
class Plane:
    """A scene in memory, read by windows that may run outside of it."""

    before: np.ndarray
    after: np.ndarray
    before_valid: np.ndarray
    after_valid: np.ndarray

    def tile(self, core: Window, read: Window) -> Tile:
        whole = Window(0, 0, *self.before_valid.shape)
        seen = read.intersection(whole)
        arrays = []
        for array in (self.before, self.after, self.before_valid, self.after_valid):
            window = np.zeros((*array.shape[:-2], *read.shape), array.dtype)
            window[(..., *seen.slices_in(read))] = array[(..., *seen.slices_in(whole))]
            arrays.append(window)
        return Tile(core, read, *arrays)


def plane(height: int, width: int, seed: int, nodata: float) -> Plane:
    rng = np.random.default_rng(seed)
    before_valid, after_valid = (
        np.kron(rng.random((-(-height // 5), -(-width // 5))), np.ones((5, 5)))[:height, :width] >= nodata
        for _ in range(2)
    )
    before = rng.normal(90, 25, (3, height, width)).astype(np.float32) * before_valid
    after = rng.normal(400, 80, (3, height, width)).astype(np.float32) * after_valid
    return Plane(before, after, before_valid, after_valid)


def around(core: Window, margin: int) -> Window:
    return Window(
        core.row_off - margin, core.col_off - margin, core.height + 2 * margin, core.width + 2 * margin
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(20, 170), st.integers(20, 170)),
    tile_size=st.integers(1, 12).map(lambda n: 8 * n),
    origin=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    seed=st.integers(0, 99),
    nodata=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_a_tile_equals_the_same_pixels_of_the_whole(scorer, size, tile_size, origin, seed, nodata):
    scene = plane(*size, seed, nodata)
    halo = -(-scorer.halo // 8) * 8
    assert halo == 64
    whole = Window(0, 0, *size)
    padded = Window(-halo, -halo, *(-(-edge // 8) * 8 + 2 * halo for edge in size))
    expected = scene.tile(whole, padded).crop_to_core(scorer.score(scene.tile(whole, padded)))
    row, col = (8 * (at * edge // 20 // 8) for at, edge in zip(origin, size, strict=True))
    corner = Window(row, col, tile_size, tile_size)
    core = corner.intersection(whole)
    tile = scene.tile(core, around(corner, halo))
    found = tile.crop_to_core(scorer.score(tile))
    np.testing.assert_allclose(found, expected[core.slices_in(whole)], rtol=0, atol=1e-6)


def test_a_halo_below_the_receptive_field_would_show(scorer):
    # The property above could hold for a constant network: here it must break.
    scene = plane(128, 128, seed=1, nodata=0.0)
    core = Window(32, 32, 32, 32)
    near, far = (scene.tile(core, around(core, margin)) for margin in (8, 64))
    off = np.abs(near.crop_to_core(scorer.score(near)) - far.crop_to_core(scorer.score(far)))
    assert off.max() > 1e-3


def test_probabilities_are_probabilities(scorer):
    core = Window(0, 0, 64, 64)
    score = scorer.score(plane(64, 64, seed=2, nodata=0.2).tile(core, core))
    assert score.dtype == np.float32
    assert score.shape == (64, 64)
    assert 0 <= score.min() < score.max() <= 1
    assert np.ptp(score) > 0.05


def test_calibration_and_scaling_are_those_of_the_card(model, scorer):
    core = Window(0, 0, 16, 16)
    tile = plane(16, 16, seed=3, nodata=0.0).tile(core, core)
    net, _ = load_model(model)
    dates = [
        (raw - np.array(n.centre)[:, None, None]) / np.array(n.scale)[:, None, None]
        for raw, n in ((tile.before, scorer.before), (tile.after, scorer.after))
    ]
    tensors = [torch.from_numpy(np.clip(date, -6, 6).astype(np.float32))[None] for date in dates]
    with torch.inference_mode():
        expected = torch.sigmoid((net(*tensors)[0] - 0.5) / 0.8).numpy()
    np.testing.assert_allclose(scorer.score(tile), expected, rtol=0, atol=1e-5)


def test_pixels_invalid_on_one_date_are_ignored_on_the_other(scorer):
    core = Window(0, 0, 64, 64)
    tile = plane(64, 64, seed=4, nodata=0.3).tile(core, core)
    loud = dataclasses.replace(
        tile, before=np.where(tile.valid, tile.before, 9e9), after=np.where(tile.valid, tile.after, np.nan)
    )
    np.testing.assert_array_equal(scorer.score(tile), scorer.score(loud))


def test_each_date_is_normalised_by_itself(model):
    sample = np.linspace(0, 100, 1001, dtype=np.float32)[None].repeat(3, axis=0)
    scan = FakeScan(sample, 10 * sample + 7)
    scorer = SiameseDetector(str(model)).fit(scan)
    assert scorer.before.centre == (50.0,) * 3
    assert scorer.after.centre == (507.0,) * 3
    assert scorer.after.scale[0] == pytest.approx(10 * scorer.before.scale[0])


def test_a_pickled_scorer_scores_the_same(scorer):
    core = Window(0, 0, 32, 32)
    tile = plane(32, 32, seed=5, nodata=0.1).tile(core, core)
    again = pickle.loads(pickle.dumps(scorer))
    assert again == scorer
    assert len(pickle.dumps(scorer)) < 2000, "the network must not travel"
    np.testing.assert_array_equal(again.score(tile), scorer.score(tile))


def test_a_model_that_changed_under_the_job_is_refused(model, scorer, tmp_path):
    path = tmp_path / "small.safetensors"
    path.write_bytes(model.read_bytes())
    other = dataclasses.replace(scorer, model=str(path), sha256="0" * 64)
    core = Window(0, 0, 16, 16)
    with pytest.raises(ModelError, match="changed since the job was set up"):
        other.score(plane(16, 16, seed=0, nodata=0.0).tile(core, core))


def test_the_number_of_bands_must_fit(model):
    four = np.ones((4, 10), np.float32)
    with pytest.raises(ModelError, match=r"wants 3 bands \(red, green, blue\), but the pair has 4"):
        SiameseDetector(str(model)).fit(FakeScan(four, four))


def test_bands_go_to_their_slots_and_those_that_a_pair_lacks_are_nothing(model, tmp_path):
    net, card = load_model(str(model))
    path = tmp_path / "optional.safetensors"
    save_model(path, net, card.model_copy(update={"bands_required": 1}))
    rng = np.random.default_rng(0)
    before, after = (rng.normal(100, 20, (3, 64, 64)).astype(np.float32) for _ in range(2))
    valid = np.ones((64, 64), bool)
    window = Window(0, 0, 64, 64)

    def score(rows, slots):
        pixels = (before[rows].reshape(len(rows), -1), after[rows].reshape(len(rows), -1))
        scorer = SiameseDetector(str(path)).fit(FakeScan(*pixels, slots))
        return scorer.score(Tile(window, window, before[rows], after[rows], valid, valid))

    np.testing.assert_array_equal(score([0, 1, 2], (0, 1, 2)), score([2, 0, 1], (2, 0, 1)))
    # A constant band is 0 once it is standardised, and so is one that is not there.
    flat = before.copy(), after.copy()
    before[1], after[1] = 7, 9
    without, constant = score([0, 2], (0, 2)), score([0, 1, 2], (0, 1, 2))
    np.testing.assert_allclose(without, constant, rtol=0, atol=1e-6)
    before, after = flat
    assert np.abs(score([0, 1, 2], (0, 1, 2)) - without).max() > 0.01


def test_a_pair_without_common_pixels_is_refused(model):
    none = np.ones((3, 0), np.float32)
    with pytest.raises(NothingToCompare):
        SiameseDetector(str(model)).fit(FakeScan(none, none))


def test_the_record_has_model_and_normalisation(model, scorer):
    record = scorer.provenance()
    assert record["name"] == SiameseDetector.name == "siamese"
    assert record["model_sha256"] == scorer.sha256
    assert record["threshold"] == read_card(model).threshold
    assert record["normalisation"]["before"]["centre"] == list(scorer.before.centre)


def test_a_constant_band_does_not_divide_by_zero():
    normalisation = Normalisation((5.0,), (1.0,))
    standardised = np.ones((1, 2, 2), np.float32)
    normalisation.apply(np.full((1, 2, 2), 5, np.float32), 6.0, (0,), out=standardised)
    assert not standardised.any()
