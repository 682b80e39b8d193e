"""Scenes that no camera takes: constant, extreme, nearly empty."""

from __future__ import annotations

import numpy as np

from support.scenes import random_scene


def one_valid_pixel():
    array = np.full((2, 20, 20), np.nan, np.float32)
    array[:, 7, 9] = 5
    return array


def far_out():
    array = random_scene(0, 2, 20, 20, "float32")
    array[:, 3, 3], array[:, 4, 4], array[:, 5, 5] = 1e30, -3e38, np.inf
    return array


def wide_integers():
    return np.random.default_rng(0).integers(-(2**31), 2**31 - 1, (2, 20, 20)).astype(np.int32)


ODD = {
    "constant bands": np.full((2, 20, 20), 9, np.uint8),
    "one constant band": np.stack([np.full((20, 20), 9.0), np.arange(400.0).reshape(20, 20)]).astype(
        np.float32
    ),
    "one valid pixel": one_valid_pixel(),
    "extreme values": far_out(),
    "all values extreme": np.full((2, 20, 20), 3e38, np.float32) * np.eye(20, dtype=np.float32),
    "hardly any spread": 1 + random_scene(1, 2, 20, 20, "float32") * 1e-7,
    "spread below float32": random_scene(1, 2, 20, 20, "float32") * np.float32(1e-38),
    "wide integers": wide_integers(),
    "one pixel": np.full((1, 1, 1), 3, np.uint8),
    "one row": random_scene(2, 1, 1, 500),
}
