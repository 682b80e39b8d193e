"""Streaming down the rows of a scene gives the logits of the whole scene."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rsdetect.nets.checkpoint import load_model
from rsdetect.nets.fold_batchnorm import fold_batchnorm
from rsdetect.nets.siamese import SiameseNet
from rsdetect.nets.streaming import StreamingNet


def random_net(seed, **architecture):
    torch.manual_seed(seed)
    net = SiameseNet(**architecture).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
    return net


def by_rows(net, both, height):
    """Logits of every row of (2, bands, h, w), pushed by `height` rows; rows of zeros follow the last."""
    rows = StreamingNet(net, height, both.shape[-1])
    tall = both.shape[2]
    pushes = -(-(tall + rows.late) // height)
    padded = torch.nn.functional.pad(both, (0, 0, 0, pushes * height - tall))
    found = torch.cat([rows.push(padded[:, :, i * height : (i + 1) * height]) for i in range(pushes)])
    return found[rows.late : rows.late + tall]


def assert_same_inside(net, both, height, reach):
    with torch.inference_mode():
        whole = net(both[:1], both[1:])[0]
    found = by_rows(net, both, height)
    # The sides are those of the whole; above the first row and below the last something else lies.
    torch.testing.assert_close(found[reach:-reach], whole[reach:-reach], atol=1e-5, rtol=1e-5)
    assert whole[reach:-reach].std() > 1e-3


# widths and residual blocks of the encoder
LEVELS = (((4, 8), (1,)), ((4, 6, 8), (1, 1)), ((4, 6, 8), (0, 2)), ((4, 6, 6, 8), (1, 2, 0)))


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 999),
    levels=st.sampled_from(
        [((4, 8), (1,)), ((4, 6, 8), (1, 1)), ((4, 6, 8), (0, 2)), ((4, 6, 6, 8), (1, 2, 0))]
    ),
    difference=st.sampled_from(["absolute", "absolute+mean"]),
    height=st.sampled_from([16, 32, 80]),
)
def test_every_architecture_gives_the_same_logits_by_rows(seed, levels, difference, height):
    widths, blocks = levels
    net = random_net(seed, bands=3, widths=widths, evidence=8, blocks=blocks, difference=difference)
    reach = net.layout.reach()
    both = torch.randn(2, 3, 2 * reach + 2 * height + 32 - (2 * reach) % 16, 64)
    assert_same_inside(fold_batchnorm(net), both, height, reach)


@pytest.mark.parametrize("height", [16, 64])
def test_the_model_that_ships_gives_the_same_logits_by_rows(height):
    net, card = load_model("siamese")
    both = torch.randn(2, len(card.bands), 256, 96, generator=torch.Generator().manual_seed(1))
    assert_same_inside(fold_batchnorm(net), both, height, card.reach_px)


def test_the_delay_of_the_model_that_ships_is_no_longer_than_its_halo():
    net, card = load_model("siamese")
    halo = -(-card.reach_px // card.stride_px) * card.stride_px
    assert StreamingNet(fold_batchnorm(net), 64, 64).late <= halo
