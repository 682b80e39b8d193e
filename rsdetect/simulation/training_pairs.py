"""Training pairs: small simulated pairs with randomised options, each of a world of its own."""

from __future__ import annotations

from math import sqrt

import numpy as np

from rsdetect.simulation.draws import Draws
from rsdetect.simulation.exact import direction
from rsdetect.simulation.imaging.sensors import SENSORS
from rsdetect.simulation.scene import render_whole
from rsdetect.simulation.spec import Rendered, SceneSpec

# Frequency of each sensor: most scenes in practice are pictures in red, green and blue.
_SHARES = {
    "vhr": 0.36,
    "aerial": 0.20,
    "rgbn": 0.08,
    "smallsat": 0.08,
    "s2": 0.07,
    "s2-swir": 0.07,
    "landsat": 0.07,
    "tm": 0.07,
}
_EXPORTED = 0.12  # share of RGB pictures that are exports of coarser scenes
_EXPORT_M = (3.0, 20.0)
_UNCHANGED = 0.25  # share of pairs in which nothing changes


def training_pair(seed: int, size: int = 256, kind: str | None = None) -> Rendered:
    """Training pair of `size` x `size` simulated pixels. Equal arguments give equal pixels.

    Sensor and pixel size vary from pair to pair unless a `kind` is given; `training_spec(...).bands` lists
    the bands. A quarter of the pairs has no change at all; in the others, the mean share of changed pixels
    is about a sixth. Dates differ in tone, season, sun and shift more than in
    `SceneSpec`'s defaults.
    """
    return render_whole(training_spec(seed, size, kind))


def training_spec(seed: int, size: int = 256, kind: str | None = None) -> SceneSpec:
    """Specification of the simulated training pair of a seed."""
    rng = Draws([seed, 7])
    drawn = str(rng.choice(list(_SHARES), list(_SHARES.values())))
    kind = drawn if kind is None else kind
    least, most = SENSORS[kind].range_m if kind in SENSORS else (1.0, 1.0)  # SceneSpec raises
    if kind == "vhr" and rng.random() < _EXPORTED:
        least, most = _EXPORT_M
    unchanged = rng.random() < _UNCHANGED
    change = float(np.clip(rng.gamma(2.0, 0.14), 0.06, 0.5))
    # Most pairs are registered within a pixel; a tenth is misregistered further.
    far = 2.0 if rng.random() < 0.1 else 0.8
    (down, right), length = direction(rng.random()), rng.random()
    length *= far * sqrt(length)
    return SceneSpec(
        kind=kind,
        height=size,
        width=size,
        seed=rng.integers(0, 1 << 62),
        gsd_m=rng.log_uniform(least, most),
        change=0.0 if unchanged else change,
        cloud=rng.uniform(0.02, 0.3) if rng.random() < 0.08 else 0.0,
        shift_px=(length * down, length * right),
        nodata_edge=rng.random() < 0.05,
        contrast=rng.uniform(0.6, 1.5) if unchanged else rng.uniform(0.2, 1.5),
    )
