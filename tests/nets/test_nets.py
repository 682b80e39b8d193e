"""The network keeps its budget and the tile contract; model files keep what was put into them."""

import json
import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rsdetect.errors import ModelError
from rsdetect.nets.card import Architecture
from rsdetect.nets.checkpoint import (
    find_model,
    load_model,
    model_hash,
    read_card,
    save_model,
    shipped_models,
)
from rsdetect.nets.cost import count_parameters, macs_per_pixel_pair
from rsdetect.nets.fold_batchnorm import fold_batchnorm
from support.models import SMALL, card_of, trained_looking
from support.receptive_field import measure_receptive_field, measure_stride

torch.set_num_threads(1)  # two threads on a busy machine wait for each other ten times longer


def dates(height: int, width: int, bands: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return tuple(torch.randn(1, bands, height, width, generator=generator) for _ in range(2))


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    net = trained_looking()
    save_model(path, net, card_of(net))
    return path


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_a_model_file_has_the_mode_of_any_file_of_the_user(tmp_path, mask):
    net = trained_looking()
    before = os.umask(mask)
    try:
        save_model(tmp_path / "m.safetensors", net, card_of(net))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "m.safetensors").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("name", shipped_models())
def test_a_shipped_model_is_within_budget_and_its_card_is_true(name):
    net, card = load_model(name)
    assert card.stride_px == net.stride
    assert count_parameters(net) == card.parameters <= 500_000
    assert macs_per_pixel_pair(net) == card.macs_per_pixel_pair <= 30_000
    assert measure_receptive_field(net) == card.reach_px
    assert measure_stride(net, card.reach_px) == card.stride_px
    assert find_model(name).stat().st_size < 4_000_000
    assert len(card.bands) == net.bands


def test_reach_is_where_the_output_stops_moving():
    # Measured a second way: change one input pixel of a small network of real weights, see who moves.
    net = trained_looking()
    before, after = dates(192, 192)
    reach = measure_receptive_field(net)
    with torch.inference_mode():
        still = net(before, after)[0]
        widest = 0
        for at in range(96, 96 + net.stride):
            poked = after.clone()
            poked[:, :, at, at] += 50
            rows, cols = torch.nonzero(net(before, poked)[0] != still, as_tuple=True)
            widest = max(widest, int((rows - at).abs().max()), int((cols - at).abs().max()))
    assert widest <= reach
    assert widest >= reach - 8, "a measure far beyond what real weights show would waste work on the halo"


def test_the_stride_is_eight_and_not_less():
    assert measure_stride(trained_looking(), radius=58) == 8


def test_swapping_the_dates_changes_nothing():
    net = trained_looking()
    before, after = dates(64, 48)
    with torch.inference_mode():
        assert torch.equal(net(before, after), net(after, before))


def test_every_pixel_gets_a_logit():
    before, after = dates(40, 72)
    assert trained_looking()(before, after).shape == (1, 40, 72)


def test_folding_changes_nothing_but_rounding():
    net = trained_looking(Architecture(bands=3, widths=(24, 48, 96), evidence=64))
    before, after = dates(96, 64)
    folded = fold_batchnorm(net)
    with torch.inference_mode():
        torch.testing.assert_close(folded(before, after), net(before, after), rtol=0, atol=1e-5)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules()), "the original is left alone"


def test_multiply_adds_counted_by_hand():
    # Half resolution: 4x4x3 to 4, 3x3; then by the table of the architecture, encoder twice.
    encoder = (48 * 4 + 36 * 4) / 4 + (16 * 6 + 2 * 54 * 6) / 16 + (24 * 8 + 2 * 72 * 8) / 64
    decoder = (72 * 5 + 45 * 5) / 64 + (11 * 6 + 54 * 6) / 16 + (10 * 4 + 36 * 4) / 4 + 36 * 4 / 4
    assert macs_per_pixel_pair(SMALL.build()) == pytest.approx(2 * encoder + decoder)


def test_a_model_file_gives_back_weights_and_card(model_file):
    net, card = load_model(model_file)
    expected = trained_looking()
    before, after = dates(32, 32)
    with torch.inference_mode():
        assert torch.equal(net(before, after), expected(before, after))
    assert not net.training
    assert card == card_of(expected) == read_card(model_file)


def test_the_hash_follows_the_content(model_file, tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(model_file.read_bytes())
    assert model_hash(model_file) == model_hash(other)
    other.write_bytes(model_file.read_bytes() + b"\0")
    assert model_hash(model_file) != model_hash(other)


def rewritten(path: Path, tensors=None, **card) -> Path:
    """The model file with some tensors (None: left out) or fields of the card changed."""
    weights, words = load_file(path), json.loads(read_card(path).model_dump_json())
    weights = {k: v for k, v in (weights | (tensors or {})).items() if v is not None}
    save_file(weights, path, metadata={"card": json.dumps(words | card)})
    return path


def test_an_unknown_name_lists_the_names_there_are():
    with pytest.raises(ModelError, match="no model named 'nonesuch'; rsdetect ships: "):
        load_model("nonesuch")


def test_a_missing_file_is_reported_as_missing(tmp_path):
    with pytest.raises(ModelError, match=r"no model file at .*nowhere\.safetensors"):
        load_model(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip of pickles", b"\xff" * 64])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        load_model(path)


def test_a_truncated_file_is_refused(model_file):
    model_file.write_bytes(model_file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        load_model(model_file)


def test_weights_without_a_card_are_refused(tmp_path):
    path = tmp_path / "bare.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="no model card"):
        load_model(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threshold", 1.5),
        ("calibration", {"temperature": 0, "offset": 0, "change_share": 0.05}),
        ("surprise", 1),
        ("bands", None),
    ],
)
def test_a_card_that_does_not_fit_names_the_field(model_file, field, value):
    with pytest.raises(ModelError, match=f"card in .*small.safetensors does not fit.*{field}"):
        load_model(rewritten(model_file, **{field: value}))


def test_a_card_cannot_ask_for_a_giant_network(model_file):
    giant = {"kind": "siamese", "bands": 3, "widths": [10**9, 1, 1], "evidence": 1}
    with pytest.raises(ModelError, match=r"architecture\.widths\.0"):
        load_model(rewritten(model_file, architecture=giant))


def test_weights_of_another_network_are_refused(model_file):
    with pytest.raises(ModelError, match=r"'head\.bias' is 5 float32, .* should be 4 float32"):
        load_model(rewritten(model_file, {"head.bias": torch.zeros(5)}))
    with pytest.raises(ModelError, match=r"has no tensor 'head\.bias'"):
        load_model(rewritten(model_file, {"head.bias": None}))


def test_broken_numbers_are_refused(model_file):
    with pytest.raises(ModelError, match="not finite"):
        load_model(rewritten(model_file, {"head.bias": torch.full((4,), float("nan"))}))
