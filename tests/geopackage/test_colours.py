"""Colours of changes, as readers with and without colour vision deficiency see them."""

from __future__ import annotations

import numpy as np
import pytest

from rsdetect.geopackage.styles.colours import KIND_COLOURS, PROBABILITY_COLOURS, RASTER_COLOURS

# Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(colours, vision="normal"):
    """CIELAB of "#rrggbb" colours, (n, 3)."""
    rgb = np.array([[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in colours]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ VISIONS[vision].T, 0, 1) @ TO_XYZ.T / TO_XYZ.sum(axis=1)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def least_distance(a, b):
    distances = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return distances[distances > 0].min() if a is b else distances.min()


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(
    ("colours", "floor"), [(KIND_COLOURS.values(), 20), (PROBABILITY_COLOURS, 10), (RASTER_COLOURS, 10)]
)
def test_colours_stay_apart(vision, colours, floor):
    seen = lab(colours, vision)
    assert len(np.unique(seen, axis=0)) == len(seen)
    assert least_distance(seen, seen) >= floor


def test_polygons_and_raster_share_no_colour():
    raster = lab(RASTER_COLOURS)
    assert least_distance(lab(KIND_COLOURS.values()), raster) > 20
    assert least_distance(lab(PROBABILITY_COLOURS), raster) > 20


def test_a_surer_class_is_darker():
    lightness = lab(PROBABILITY_COLOURS)[:, 0]
    assert (np.diff(lightness) < -10).all()
