"""Backends: int8 is close to float32, symmetric and without seams; a backend is never chosen by accident."""

import functools
import inspect
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import rsdetect
from rsdetect.backends import select as choosing
from rsdetect.backends.activation_ranges import RangeMeasurement, folded_layers, measure_activation_ranges
from rsdetect.backends.batching import BatchingOwner
from rsdetect.backends.cuda import HalfPrecision
from rsdetect.backends.operations import run_operations
from rsdetect.backends.select import load_network, resolve_backend
from rsdetect.backends.torch import TorchNetwork
from rsdetect.batches.pairs import BatchPair
from rsdetect.batches.pending import Method, PendingWork, pending_work
from rsdetect.checks.scan import Scan
from rsdetect.detectors import choose_device, make_detector
from rsdetect.detectors.identity import ScoringIdentity
from rsdetect.detectors.learned import SiameseDetector
from rsdetect.errors import InputError, JobInterrupted, ModelError
from rsdetect.jobs import detect as change
from rsdetect.jobs.options import DetectOptions
from rsdetect.nets.card import Architecture, EightBit
from rsdetect.nets.checkpoint import load_model, read_card, save_model, shipped_models
from rsdetect.nets.fold_batchnorm import fold_batchnorm
from rsdetect.nets.siamese import SiameseNet
from rsdetect.percent import to_percent
from support.jobs import changed_pair, run_here
from support.models import card_of, trained_looking
from support.whole_scene import in_one_call, put_together, write_pair

ARCHITECTURES = (
    Architecture(bands=3, widths=(4, 6, 8), evidence=5),
    Architecture(bands=2, widths=(5, 7), evidence=3, blocks=(2,)),
    Architecture(bands=6, widths=(4, 6, 8, 10), evidence=5, blocks=(0, 1, 2), difference="absolute+mean"),
)
EIGHT_BIT = choosing.EIGHT_BIT
RUN_IN_8_BITS = [pytest.param(backend, marks=pytest.mark.eight_bit) for backend in EIGHT_BIT]


def dates(seed, height=96, width=128, bands=3):
    """Two smooth normalised dates that differ in blocks, (2, bands, height, width)."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(2, bands, -(-height // 8), -(-width // 8)))
    fine = (
        np.kron(coarse, np.ones((8, 8)))[..., :height, :width]
        + rng.normal(size=(2, bands, height, width)) / 3
    )
    return np.clip(fine, -6, 6).astype(np.float32)


def ranged(net, architecture=ARCHITECTURES[0], **card):
    """The card of a network with ranges."""
    ranges = measure_activation_ranges(net, [dates(seed, bands=architecture.bands) for seed in range(4)])
    eight_bit = EightBit(ranges=ranges, data="noise")
    update = {"eight_bit": eight_bit} | card
    return card_of(net, architecture).model_copy(update=update)


@functools.cache
def network_by(backend):
    """One small network, the same by every backend."""
    net = trained_looking()
    return load_network(net.weights(), ranged(net), backend, "cpu")


@pytest.fixture
def byte_products(monkeypatch):
    """A processor that sums products of 8 bits, as far as rsdetect knows."""
    monkeypatch.setattr(choosing, "multiplies_bytes", lambda: True)


@pytest.fixture
def no_byte_products(monkeypatch):
    """A processor that cannot sum products of 8 bits, as far as rsdetect knows."""
    monkeypatch.setattr(choosing, "multiplies_bytes", lambda: False)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    net = trained_looking()
    with torch.no_grad():
        net.head.weight.mul_(4)  # probabilities that spread over all of [0, 1]
    save_model(path, net, ranged(net))
    return path


class Rounding(RangeMeasurement):
    """The operations in floating point, with every result rounded as in int8: slow, and easy to check."""

    def __init__(self, ranges, clip):
        super().__init__()
        self._of = ranges
        self.scales = {}
        self.clip = clip

    def rounded(self, x, scale, signed=False):
        low, high = (-128, 127) if signed else (0, 255)
        y = torch.clamp(torch.round(x / scale), low, high) * scale
        self.scales[id(y)] = scale, y  # the tensor is kept, so that no other one gets its id
        return y

    def scale(self, x):
        return self.scales[id(x)][0]

    def conv(self, x, conv, name, *, relu):
        return self.rounded(self._conv(x, conv), self._of[name] / (255 if relu else 127), signed=not relu)

    def _conv(self, x, conv):
        scales = conv.weight.abs().amax((1, 2, 3)) / 127
        steps = torch.round(conv.weight / scales[:, None, None, None])
        bias = torch.round(conv.bias / (scales * self.scale(x))) * scales * self.scale(x)
        weight = steps * scales[:, None, None, None]
        return torch.nn.functional.conv2d(x, weight, bias, conv.stride, conv.padding)

    def add(self, x, y, name):
        return self.rounded(x + y, self._of[name] / 255)

    def difference(self, both):
        return self.rounded(super().difference(both), self.scale(both))

    def mean(self, both):
        return self.rounded(super().mean(both), self.scale(both))

    def concat(self, x, y):
        return self.rounded(super().concat(x, y), max(self.scale(x), self.scale(y)))

    def upsample(self, x):
        return self.rounded(super().upsample(x), self.scale(x))

    def head(self, x, conv):
        return torch.nn.functional.pixel_shuffle(self._conv(x, conv), 2)


# --- the same network -----------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_steps_are_those_of_the_network(architecture):
    net = trained_looking(architecture)
    folded = fold_batchnorm(net)
    both = torch.from_numpy(dates(1, bands=architecture.bands))
    with torch.inference_mode():
        assert torch.equal(
            run_operations(RangeMeasurement(), folded_layers(net), both)[0], folded(both[:1], both[1:])
        )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_without_torch_the_layers_are_those_of_torch(architecture):
    net = trained_looking(architecture)
    found, expected = net.weights().folded(), folded_layers(net)
    assert found.convs.keys() == expected.convs.keys()
    for step, conv in expected.convs.items():
        ours = found.convs[step]
        assert ours.weight.dtype == ours.bias.dtype == np.float32
        np.testing.assert_allclose(ours.weight, conv.weight.numpy(), rtol=1e-6)
        np.testing.assert_allclose(ours.bias, conv.bias.numpy(), rtol=1e-5, atol=1e-7)
        assert (ours.stride, ours.padding) == (conv.stride[0], conv.padding[0])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_layout_knows_every_tensor_of_the_network(architecture):
    tensors = architecture.build().weights().tensors
    assert {key: (values.shape, values.dtype) for key, values in tensors.items()} == (
        architecture.layout.tensors()
    )


@pytest.mark.parametrize("backend", RUN_IN_8_BITS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_8_bits_are_the_network_rounded_at_every_step(architecture, backend):
    net = trained_looking(architecture)
    card = ranged(net, architecture)
    both = dates(9, bands=architecture.bands)
    rounding = Rounding(card.eight_bit.ranges, card.scaling.clip)
    with torch.inference_mode():
        first = rounding.rounded(torch.from_numpy(both), card.scaling.clip / 127, signed=True)
        expected = run_operations(rounding, folded_layers(net), first)[0, 0].numpy()
    exact = TorchNetwork(net).logits(both)
    found = load_network(net.weights(), card, backend, "cpu").logits(both)
    assert found.shape == both.shape[2:] and found.dtype == np.float32
    # Numbers halfway between two steps may go either way.
    assert np.abs(found - expected).mean() < 0.3 * np.abs(expected - exact).mean()
    assert np.abs(found - exact).mean() < 0.03 * np.ptp(exact)


@pytest.mark.parametrize("backend", RUN_IN_8_BITS)
def test_what_reaches_farther_than_in_the_measurement_is_cut_and_does_not_wrap(backend):
    net = trained_looking()
    card = ranged(net)
    short = {name: reach / 8 for name, reach in card.eight_bit.ranges.items()}
    card = card.model_copy(update={"eight_bit": EightBit(ranges=short, data="too little")})
    rounding = Rounding(short, card.scaling.clip)
    both = dates(3)
    with torch.inference_mode():
        first = rounding.rounded(torch.from_numpy(both), card.scaling.clip / 127, signed=True)
        expected = run_operations(rounding, folded_layers(net), first)[0, 0].numpy()
    found = load_network(net.weights(), card, backend, "cpu").logits(both)
    assert np.abs(found - expected).mean() < 0.01 * np.ptp(expected)


def test_ranges_follow_from_the_network_and_the_pairs_alone():
    net = trained_looking()
    pairs = [dates(seed) for seed in range(3)]
    ranges = measure_activation_ranges(net, pairs)
    assert ranges == measure_activation_ranges(net, reversed(pairs))
    assert all(reach > 0 for reach in ranges.values())
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules()), "the original is left alone"


# --- the tile contract ----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["torch", *RUN_IN_8_BITS])
@given(seed=st.integers(0, 99))
@settings(max_examples=5)
def test_swapping_the_dates_changes_nothing(backend, seed):
    both, network = dates(seed), network_by(backend)
    np.testing.assert_array_equal(network.logits(both), network.logits(np.ascontiguousarray(both[::-1])))


@pytest.mark.parametrize("backend", RUN_IN_8_BITS)
@given(
    row=st.integers(0, 4),
    col=st.integers(0, 6),
    height=st.integers(17, 24),
    width=st.integers(17, 22),
    seed=st.integers(0, 9),
)
@settings(max_examples=12)
def test_a_window_in_int8_is_exactly_that_of_the_whole(backend, row, col, height, width, seed):
    both, network = dates(seed, 256, 256), network_by(backend)
    rows, cols = slice(8 * row, 8 * (row + height)), slice(8 * col, 8 * (col + width))
    whole = network.logits(both)[rows, cols]
    window = network.logits(np.ascontiguousarray(both[:, :, rows, cols]))
    halo = 64  # the receptive field, up to a multiple of the stride
    inside = slice(halo, -halo), slice(halo, -halo)
    np.testing.assert_array_equal(window[inside], whole[inside])


@pytest.mark.parametrize("backend", RUN_IN_8_BITS)
def test_threads_that_share_a_network_get_their_own_answers(backend):
    pairs, network = [dates(seed, 64, 64 + 16 * (seed % 3)) for seed in range(12)], network_by(backend)
    alone = [network.logits(both) for both in pairs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(network.logits, pairs))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("backend", RUN_IN_8_BITS)
def test_every_tile_in_int8_is_exactly_that_of_the_whole_scene(tmp_path, model, backend):
    pair = write_pair(tmp_path, np.random.default_rng(5), 3, 150, 131, "uint8", aoi=True, smooth=True)
    scorer = make_detector("siamese", str(model), backend=backend).fit(Scan(pair))
    whole = in_one_call(pair, scorer)
    np.testing.assert_array_equal(put_together(pair, scorer, 64), whole)
    exact = in_one_call(pair, make_detector("siamese", str(model)).fit(Scan(pair)))
    assert np.nanmax(np.abs(whole - exact)) < 0.15
    assert np.nanmean(np.abs(whole - exact)) < 0.02
    assert np.ptp(to_percent(exact)[~np.isnan(exact)]) > 20, "a constant network would pass"


@pytest.mark.parametrize("slots", [(0, 1, 2), (0, 3, 5), (4,)])
def test_a_narrowed_network_scores_as_if_the_other_bands_were_0(slots):
    net = trained_looking(ARCHITECTURES[2])
    few = dates(4, bands=len(slots))
    every = np.zeros((2, 6, *few.shape[2:]), np.float32)
    every[:, slots] = few
    narrowed = SiameseNet.of(net.weights().narrow(slots))
    assert (narrowed.bands, net.bands) == (len(slots), 6)
    np.testing.assert_allclose(
        TorchNetwork(narrowed).logits(few), TorchNetwork(net).logits(every), rtol=0, atol=1e-5
    )


# --- which backend --------------------------------------------------------------------------------------


def card_with_cost(**f1):
    net = trained_looking()
    card = card_of(net)
    return card.model_copy(update={"eight_bit": EightBit(ranges={}, data="none", f1={"a set": f1})})


CHEAP = {"torch": 0.5, "openvino": 0.495, "onnx": 0.492}


@pytest.mark.usefixtures("byte_products")
def test_auto_takes_int8_if_it_costs_little_by_the_card():
    assert resolve_backend("auto", "m", card_with_cost(**CHEAP), "cpu") == "openvino"
    assert resolve_backend("auto", "m", card_with_cost(**CHEAP | {"openvino": 0.48}), "cpu") == "onnx"
    dear = card_with_cost(torch=0.5, openvino=0.48, onnx=0.48)
    assert resolve_backend("auto", "m", dear, "cpu") == "torch"


def test_auto_takes_float32_if_int8_was_not_measured():
    assert resolve_backend("auto", "m", card_of(trained_looking()), "cpu") == "torch"
    assert resolve_backend("auto", "m", card_with_cost(), "cpu") == "torch"


@pytest.mark.parametrize("device", ["cuda:0", "cuda", "auto"])
def test_auto_is_torch_wherever_there_may_be_a_gpu(device):
    assert resolve_backend("auto", "m", card_with_cost(**CHEAP), device) == "torch"


@pytest.mark.usefixtures("byte_products")
def test_auto_goes_by_what_is_installed(monkeypatch):
    monkeypatch.setattr(choosing, "is_installed", lambda name: name == "onnx")
    assert resolve_backend("auto", "m", card_with_cost(**CHEAP), "cpu") == "onnx"
    monkeypatch.setattr(choosing, "is_installed", lambda name: False)
    assert resolve_backend("auto", "m", card_with_cost(**CHEAP), "cpu") == "torch"
    with pytest.raises(InputError, match=r"needs the extra 'cpu': pip install .*\[cpu\]'"):
        resolve_backend("onnx", "m", card_with_cost(**CHEAP), "cpu")


@pytest.mark.usefixtures("no_byte_products")
def test_a_processor_that_would_overflow_is_given_float32():
    assert resolve_backend("auto", "m", card_with_cost(**CHEAP), "cpu") == "torch"
    for backend in EIGHT_BIT:
        with pytest.raises(InputError, match="without overflow"):
            resolve_backend(backend, "m", card_with_cost(**CHEAP), "cpu")


@pytest.mark.parametrize(
    ("machine", "units", "can"),
    [
        ("x86_64", set(), False),
        ("AMD64", set(), False),
        ("x86_64", {"avx_vnni"}, True),
        ("arm64", set(), True),
    ],
)
def test_x86_needs_a_unit_for_products_of_8_bits(monkeypatch, machine, units, can):
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(choosing, "_processor_int8_units", lambda: units)
    assert inspect.unwrap(choosing.multiplies_bytes)() is can  # tests/support/older_processor wraps it


def test_the_units_of_the_processor_are_those_that_torch_finds():
    found = torch.cpu.get_capabilities()
    assert choosing._processor_int8_units() == {
        unit for unit in choosing._INT8_UNITS if found.get(unit, False)
    }


@pytest.mark.usefixtures("byte_products")
@pytest.mark.parametrize("backend", EIGHT_BIT)
def test_8_bits_are_refused_without_ranges_and_on_a_gpu(backend):
    bare = card_of(trained_looking())
    with pytest.raises(ModelError, match=r"rsdetect quantise mine\.safetensors"):
        resolve_backend(backend, "mine.safetensors", bare, "cpu")
    with pytest.raises(InputError, match="not on cuda:0; add `device='cpu'`"):
        resolve_backend(backend, "m", card_with_cost(**CHEAP), "cuda:0")


def test_int8_ignores_a_gpu_that_was_not_requested(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device("siamese", "auto", "openvino") == "cpu"
    assert choose_device("siamese", "auto", "auto") == "cuda:0"
    assert choose_device("cva", "auto", "auto") == "cpu"


@pytest.mark.usefixtures("byte_products")
def test_ranges_of_another_network_are_refused():
    net = trained_looking()
    card = ranged(net)
    ranges = dict(card.eight_bit.ranges)
    del ranges["evidence"]
    card = card.model_copy(update={"eight_bit": EightBit(ranges=ranges, data="")})
    with pytest.raises(ModelError, match="lacks the activation range of 'evidence'"):
        load_network(net.weights(), card, "onnx", "cpu")


# --- jobs -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"), height=150, width=200)


@pytest.mark.parametrize("backend", ["torch", *RUN_IN_8_BITS])
def test_the_record_names_what_ran(scenes, model, tmp_path, backend):
    found = rsdetect.detect(
        scenes.before, scenes.after, out=tmp_path, model=str(model), backend=backend, quiet=True
    )
    told = found.record["detector"]
    assert (told["backend"], told["precision"]) == (backend, "float32" if backend == "torch" else "int8")
    assert found.record["options"]["score"]["backend"] == backend


@pytest.mark.usefixtures("no_byte_products")
def test_a_job_on_a_processor_that_would_overflow_runs_in_float32_and_reports_it(scenes, tmp_path):
    _, card = load_model("siamese")
    assert card.eight_bit.f1_lost("openvino") <= choosing.MOST_F1_LOST, "only the processor is the reason"
    found = rsdetect.detect(scenes.before, scenes.after, out=tmp_path, device="cpu", quiet=True)
    told = found.record["detector"]
    assert (told["backend"], told["precision"]) == ("torch", "float32")


@pytest.mark.parametrize("backend", RUN_IN_8_BITS)
def test_an_int8_job_imports_neither_torch_nor_what_talks_to_clusters(scenes, model, tmp_path, backend):
    code = (
        "import sys, rsdetect\n"
        f"rsdetect.detect({str(scenes.before)!r}, {str(scenes.after)!r}, out={str(tmp_path / 'out')!r}, "
        f"model={str(model)!r}, device='cpu', backend={backend!r}, quiet=True)\n"
        "print('HELD', sorted({'torch', 'distributed'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.endswith("HELD []\n"), done.stdout + done.stderr


@pytest.mark.parametrize("backend", ["torch", *RUN_IN_8_BITS])
def test_the_network_is_loaded_while_the_pair_is_checked(scenes, model, tmp_path, monkeypatch, backend):
    loaded = threading.Event()
    check, load = change.check_pair, SiameseDetector.load

    def loading(self, pair):
        load(self, pair)
        loaded.set()

    def waiting(*asked):
        assert loaded.wait(100)
        return check(*asked)

    monkeypatch.setattr(SiameseDetector, "load", loading)
    monkeypatch.setattr(change, "check_pair", waiting)
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path, model=str(model), backend=backend, quiet=True)


@pytest.mark.usefixtures("byte_products")
@pytest.mark.parametrize("backend", ["torch", *EIGHT_BIT])
def test_weights_that_cannot_be_loaded_end_the_job_with_one_sentence(scenes, model, tmp_path, backend):
    broken = tmp_path / "broken.safetensors"
    net, card = load_model(model)
    with torch.no_grad():
        net.head.bias[0] = float("nan")
    save_model(broken, net, card)
    out = tmp_path / "out"
    told = run_here(
        "detect", scenes.before, scenes.after, "--out", out, "--model", broken, "--backend", backend
    )
    assert (told.status, told.out, told.err.count("\n")) == (2, "", 1)
    assert "holds values that are not finite" in told.err
    assert not list(out.glob("*.gpkg"))


@pytest.mark.eight_bit
def test_a_job_that_is_resumed_by_another_backend_starts_again(scenes, model, tmp_path, monkeypatch):
    options = {"out": tmp_path, "model": str(model), "tile_size": 64, "quiet": True}

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("rsdetect.jobs.detect.finish_raster", full)
        with pytest.raises(JobInterrupted):
            rsdetect.detect(scenes.before, scenes.after, backend="torch", **options)
    found = rsdetect.detect(scenes.before, scenes.after, backend="onnx", **options)
    assert found.record["counts"]["tiles_scored_in_this_run"] == found.record["counts"]["tiles"]
    alone = rsdetect.detect(
        scenes.before, scenes.after, backend="onnx", **options | {"out": tmp_path / "alone"}
    )
    assert found.raster.read_bytes() == alone.raster.read_bytes()


@pytest.mark.parametrize("ran", ["torch", *RUN_IN_8_BITS])
def test_a_batch_scores_again_if_another_backend_is_requested_by_name(scenes, model, tmp_path, ran):
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path, model=str(model), backend=ran, quiet=True)
    detector, left = make_detector("siamese", str(model)), {}
    for backend in choosing.BACKENDS:
        options = DetectOptions.from_keywords(model=str(model), backend=backend)
        pair = BatchPair("one", scenes.before, scenes.after, options)
        method = Method(detector.bands, ScoringIdentity.of(detector, backend))
        left[backend] = pending_work(pair, tmp_path, method)
    kept = ("auto", ran)
    assert left == {
        name: PendingWork.NOTHING if name in kept else PendingWork.ALL for name in choosing.BACKENDS
    }


@pytest.mark.parametrize(
    ("backend", "can", "words"),
    [
        ("tpu", True, "choose one of auto, torch"),
        ("onnx", True, "has no activation ranges for int8"),
        ("onnx", False, "only --backend torch runs on it"),
    ],
)
def test_a_backend_that_cannot_run_is_refused_before_anything_is_written(
    scenes, tmp_path, monkeypatch, backend, can, words
):
    monkeypatch.setattr(choosing, "multiplies_bytes", lambda: can)
    bare = tmp_path / "bare.safetensors"
    net = trained_looking()
    save_model(bare, net, card_of(net))
    out = tmp_path / "out"
    told = run_here(
        "detect", scenes.before, scenes.after, "--out", out, "--model", bare, "--backend", backend
    )
    assert (told.status, told.out, told.err.count("\n")) == (2, "", 1)
    assert words in told.err
    assert not out.exists()


# --- rsdetect quantise ----------------------------------------------------------------------------------


@pytest.fixture
def few_pairs(monkeypatch):
    monkeypatch.setattr("rsdetect.evaluation.quantise._PAIRS", 2)
    monkeypatch.setattr("rsdetect.evaluation.quantise._PAIR_PX", 64)


@pytest.mark.eight_bit
def test_quantise_writes_ranges_and_cost_into_the_card_and_leaves_the_rest(tmp_path, few_pairs):
    path = tmp_path / "mine.safetensors"
    net = trained_looking()
    save_model(path, net, card_of(net))
    assert run_here("quantise", path, "--quiet").status == 0
    first = read_card(path)
    assert set(first.eight_bit.f1) == {"simulated"}
    assert set(first.eight_bit.f1["simulated"]) == {"torch", *EIGHT_BIT}
    assert first.model_copy(update={"eight_bit": None}) == card_of(net)
    again, _ = load_model(path)
    for key, weight in net.state_dict().items():
        assert torch.equal(again.state_dict()[key], weight)
    content = path.read_bytes()
    assert run_here("quantise", path, "--quiet").status == 0
    assert path.read_bytes() == content, "the same model gives the same ranges"


@pytest.mark.eight_bit
def test_quantise_measures_the_cost_on_labelled_pairs_too(tmp_path, few_pairs, model):
    from support.labelled_sets import write_set

    path = tmp_path / "mine.safetensors"
    path.write_bytes(model.read_bytes())
    folder = write_set(tmp_path / "labelled")
    told = run_here("quantise", path, folder, "--json", "--quiet")
    assert told.status == 0
    assert set(read_card(path).eight_bit.f1) == {"simulated", "labelled"}


@pytest.mark.usefixtures("no_byte_products")
def test_quantise_is_refused_at_once_where_the_processor_cannot_run_8_bits(tmp_path, monkeypatch, model):
    def never(*_):
        raise AssertionError("pairs were made that nothing can be measured on")

    monkeypatch.setattr("rsdetect.evaluation.quantise._simulated", never)
    path = tmp_path / "mine.safetensors"
    path.write_bytes(model.read_bytes())
    told = run_here("quantise", path, "--quiet")
    assert (told.status, told.out, told.err.count("\n")) == (2, "", 1)
    assert "needs a processor that adds 8-bit products without overflow" in told.err
    assert path.read_bytes() == model.read_bytes()


@pytest.mark.usefixtures("byte_products")
def test_quantise_leaves_the_model_alone_where_it_fails(tmp_path, few_pairs, model):
    path = tmp_path / "mine.safetensors"
    net, card = load_model(model)
    save_model(path, net, card.model_copy(update={"bands": ("vv", "vh", "hh")}))
    content = path.read_bytes()
    told = run_here("quantise", path, "--quiet")
    assert told.status == 2
    assert "no sensor of rsdetect simulate has the bands" in told.err
    told = run_here("quantise", model, tmp_path / "nowhere", "--quiet")
    assert told.status == 2
    assert path.read_bytes() == content


# --- one owner of a GPU ---------------------------------------------------------------------------------


class FakeAccelerator:
    """Holds so many tiles at once, in all batches together; a tile's logits are the sum over its bands."""

    def __init__(self, room, most=8):
        self.room, self.limit, self.held, self.batches = room, most, 0, []
        self.owners = set()

    def most(self, shape):
        return self.limit

    def halve(self, shape):
        self.limit = max(1, self.limit // 2)

    def start(self, tiles):
        self.owners.add(threading.current_thread().name)
        assert len({tile.shape for tile in tiles}) == 1
        if self.held + len(tiles) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        if any(np.isnan(tile).any() for tile in tiles):
            raise RuntimeError("a kernel failed")
        self.held += len(tiles)
        self.batches.append(len(tiles))
        return tiles

    def finish(self, tiles):
        self.held -= len(tiles)
        return [tile.sum(axis=(0, 1)) for tile in tiles]


def tiles_of(seeds):
    return [dates(seed, 8, 8 * (1 + seed % 2)) for seed in seeds]


@given(room=st.integers(1, 9), most=st.integers(1, 8), callers=st.integers(1, 8))
@settings(max_examples=20)
def test_every_caller_gets_the_logits_of_its_tile_however_little_memory_there_is(room, most, callers):
    accelerator = FakeAccelerator(room, most)
    owner = BatchingOwner(accelerator, "cuda:0")
    tiles = tiles_of(range(30))
    with ThreadPoolExecutor(callers) as pool:
        for tile, logits in zip(tiles, pool.map(owner.logits, tiles), strict=True):
            np.testing.assert_array_equal(logits, tile.sum(axis=(0, 1)))
    assert sum(accelerator.batches) == len(tiles)
    assert max(accelerator.batches) <= min(room, most)
    assert accelerator.owners == {"owner of cuda:0"}


def test_batches_are_halved_until_they_fit():
    accelerator = FakeAccelerator(room=3)
    started = threading.Event()
    genuine = accelerator.most
    accelerator.most = lambda shape: started.wait() and genuine(shape)
    owner = BatchingOwner(accelerator, "cuda:0")
    tiles = [dates(seed, 8, 8) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(owner.logits, tile) for tile in tiles]
        started.set()
        for tile, answer in zip(tiles, answers, strict=True):
            np.testing.assert_array_equal(answer.result(), tile.sum(axis=(0, 1)))
    assert accelerator.limit >= 1
    assert max(accelerator.batches) <= 3


def test_a_tile_that_never_fits_is_refused_with_the_remedy_and_the_owner_continues():
    accelerator = FakeAccelerator(room=0)
    owner = BatchingOwner(accelerator, "cuda:0")
    with pytest.raises(
        InputError, match="is too small for a tile of 16 x 8 pixels; choose a smaller `tile_size`"
    ):
        owner.logits(dates(0, 8, 16))
    accelerator.room = 1
    assert owner.logits(dates(0, 8, 16)).shape == (8, 16)


def test_an_error_of_the_accelerator_reaches_those_whose_tiles_it_hit():
    owner = BatchingOwner(FakeAccelerator(room=4), "cuda:0")
    broken = np.full((2, 3, 8, 8), np.nan, np.float32)
    with pytest.raises(RuntimeError, match="a kernel failed"):
        owner.logits(broken)
    assert owner.logits(dates(0, 8, 8)).shape == (8, 8)


def test_half_precision_is_close_whatever_the_shapes_and_batches():
    # On the processor, where the same code runs without streams.
    net = trained_looking()
    half, exact = HalfPrecision(net, "cpu"), TorchNetwork(net)
    for shape, count in (((64, 96), 3), ((64, 96), 1), ((48, 64), 2)):
        tiles = [dates(seed, *shape) for seed in range(count)]
        assert half.most(tiles[0].shape) >= count
        tickets = [half.start(tiles), half.start(tiles[::-1])]
        for ticket, asked in zip(tickets, (tiles, tiles[::-1]), strict=True):
            for logits, both in zip(half.finish(ticket), asked, strict=True):
                np.testing.assert_allclose(logits, exact.logits(both), atol=0.02)
        most = half.most(tiles[0].shape)
        half.halve(tiles[0].shape)
        assert half.most(tiles[0].shape) == most // 2


def test_nothing_is_sent_to_the_makers_of_openvino():
    code = (
        "import sys\n"
        "calls = []\n"
        "loud = ('os.fork', 'socket.connect')\n"
        "sys.addaudithook(lambda event, _: calls.append(event) if event in loud else None)\n"
        "import rsdetect.backends.openvino, openvino\n"
        "openvino.Core()\n"
        "assert 'openvino_telemetry.main' not in sys.modules\n"
        "print('CALLS', calls)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.endswith("CALLS []\n"), done.stdout + done.stderr


def test_nothing_is_kept_for_the_makers_of_onnx_runtime(tmp_path):
    """What it sends lies in a database of the user's cache first."""
    code = "import rsdetect.backends.onnx, onnxruntime\nonnxruntime.SessionOptions()\n"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ORT_", "XDG_"))}
    environment["HOME"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.eight_bit
def test_threads_that_come_to_a_fresh_openvino_at_once_do_not_wait_for_each_other_for_ever():
    code = (
        "import sys, threading\n"
        "import numpy as np\n"
        "from rsdetect.backends.select import load_network\n"
        "from rsdetect.nets.checkpoint import load_weights\n"
        "weights, card = load_weights('siamese')\n"
        "network = load_network(weights, card, 'openvino', 'cpu')\n"
        "dates, gate = np.zeros((2, len(card.bands), 64, 64), np.float32), threading.Barrier(4)\n"
        "sys.setswitchinterval(1e-6)\n"
        "def come():\n"
        "    gate.wait()\n"
        "    network.logits(dates)\n"
        "threads = [threading.Thread(target=come) for _ in range(4)]\n"
        "[thread.start() for thread in threads], [thread.join() for thread in threads]\n"
        "print('ALL THROUGH')\n"
    )
    for _ in range(3):  # half of the processes hung when threads were the first to use the network
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        assert done.stdout == "ALL THROUGH\n", done.stderr


def test_the_script_for_a_gpu_runs_with_torch_and_numpy_alone():
    script = Path(rsdetect.__file__).parents[1] / "benchmarks" / "gpu.py"
    alone = (
        "import runpy, sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name in ('pydantic', 'safetensors', 'rasterio', 'scipy', 'dask', 'filelock', 'typer'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        f"sys.argv = ['gpu.py', '--device', 'cpu', '--edge', '32', '--repeats', '1']\n"
        f"runpy.run_path({str(script)!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", alone], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["runner_mpx_per_s"]["16 threads"] > 0
    assert figures["half_precision"]["largest_difference_when_dates_are_swapped"] == 0
    assert 0 < figures["half_precision"]["largest_logit_difference"] < 0.01


def test_what_a_shipped_model_says_of_8_bits_is_about_its_own_steps_and_cheap():
    for net, card in map(load_model, shipped_models()):
        if card.eight_bit is None:  # not measured: `auto` leaves it in float32
            assert resolve_backend("auto", card.name, card, "cpu") == "torch"
            continue
        steps = RangeMeasurement()
        with torch.inference_mode():
            run_operations(
                steps, folded_layers(net), torch.zeros(2, net.bands, 2 * net.stride, 2 * net.stride)
            )
        assert card.eight_bit.ranges.keys() == steps.ranges.keys()
        for backend in EIGHT_BIT:
            assert abs(card.eight_bit.f1_lost(backend)) <= choosing.MOST_F1_LOST
