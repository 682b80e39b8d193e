"""Models that give NaN or whose cards are wrong: refused when they are loaded, at no cost in memory."""

import json
import math
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

import rsdetect
from rsdetect.errors import ModelError
from rsdetect.nets.checkpoint import load_weights, read_card
from rsdetect.nets.layout import Layout

SHIPPED = Path(rsdetect.__file__).parent / "models" / "siamese.safetensors"


def contents():
    data = SHIPPED.read_bytes()
    length = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["card"]), data[8 + length :]


def with_card(folder, change):
    header, card, tensors = contents()
    header["__metadata__"]["card"] = json.dumps(card | change(card))
    text = json.dumps(header).encode()
    (folder / "m.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + tensors)
    return folder / "m.safetensors"


def test_the_model_without_a_change_is_loaded(tmp_path):
    load_weights(with_card(tmp_path, lambda card: {}))


@pytest.mark.parametrize(
    "change",
    [
        *(
            lambda c, v=v: {"calibration": c["calibration"] | {"offset": v}}
            for v in (math.nan, math.inf, 1e9)
        ),
        *(lambda c, v=v: {"calibration": c["calibration"] | {"temperature": v}} for v in (math.inf, 0, 1e-9)),
        *(lambda c, v=v: {"scaling": c["scaling"] | {"clip": v}} for v in (math.inf, math.nan, 1e300)),
        *(lambda c, v=v: {"reach_px": c["reach_px"] + v} for v in (-58, -1, 1, 10**9)),
        *(lambda c, v=v: {"stride_px": v} for v in (1, 4, 16, 2**40)),
        lambda c: {"bands": c["bands"][:-1]},
        lambda c: {"bands_required": 99},
        lambda c: {"threshold": math.nan},
        lambda c: {"macs_per_pixel_pair": math.inf},
        lambda c: {"eight_bit": {"ranges": {"stem": math.inf}, "data": ""}},
        lambda c: {"architecture": c["architecture"] | {"evidence": 10**6}},
        lambda c: {"architecture": c["architecture"] | {"blocks": [16, 16]}},
    ],
)
def test_a_wrong_card_is_refused(tmp_path, change):
    with pytest.raises(ModelError, match=r"m\.safetensors"):
        load_weights(with_card(tmp_path, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: {"scores": {str(i): {"f1": 0.5} for i in range(100_000)}},
        lambda c: {"known_failures": ["x"] * 100_000},
        lambda c: {str(i): i for i in range(100_000)},
        lambda c: {"bands": [f"b{i}" for i in range(100_000)]},
    ],
)
def test_a_card_of_many_entries_costs_no_memory(tmp_path, change):
    path = with_card(tmp_path, change)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match=r"too long|header"):
            read_card(path)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_weights_that_overflow_are_refused(tmp_path, value):
    tensors = load(SHIPPED.read_bytes())
    key = next(key for key in tensors if key.endswith("weight"))
    tensors[key] = np.full_like(tensors[key], value)
    header, _, _ = contents()
    (tmp_path / "m.safetensors").write_bytes(save(tensors, metadata=header["__metadata__"]))
    with pytest.raises(ModelError, match=key):
        load_weights(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("widths", "blocks"),
    [((4, 4), (1,)), ((4, 4, 4), (1, 2)), ((4, 4, 4), (0, 0)), ((2, 2, 2, 2), (1, 0, 1))],
)
def test_the_computed_reach_is_the_measured_one(widths, blocks):
    pytest.importorskip("torch")
    from rsdetect.nets.siamese import SiameseNet
    from support.receptive_field import measure_receptive_field

    layout = Layout(1, widths, 4, blocks, "absolute")
    assert layout.reach() == measure_receptive_field(SiameseNet(1, widths, 4, blocks, "absolute"))
