"""Training pairs: one small window of one random world, every option drawn widely."""

from __future__ import annotations

import numpy as np

from rsdetect.simulate.scene import render_whole
from rsdetect.simulate.spec import Rendered, SceneSpec

_GSD_M = {"vhr": (0.3, 3.0), "s2": (10.0, 30.0)}


def training_pair(seed: int, size: int = 256, kind: str = "vhr") -> Rendered:
    """A pair of `size` x `size` pixels to learn from. Equal arguments give equal pixels.

    About one pair in eight holds no change at all; of the others, the mean share of changed pixels is
    about a sixth. Dates differ in tone, season, sun and shift more than in `SceneSpec`'s defaults.
    """
    return render_whole(training_spec(seed, size, kind))


def training_spec(seed: int, size: int = 256, kind: str = "vhr") -> SceneSpec:
    """The spec that `training_pair` draws its pixels from."""
    rng = np.random.default_rng([seed, 7])
    least, most = _GSD_M.get(kind, (1.0, 1.0))
    change = 0.0 if rng.random() < 0.05 else float(np.clip(rng.gamma(2.0, 0.14), 0.06, 0.5))
    far = 2.0 if rng.random() < 0.08 else 0.8
    angle, length = rng.uniform(0, 2 * np.pi), far * rng.uniform(0, 1) ** 1.5
    return SceneSpec(
        kind=kind,
        height=size,
        width=size,
        seed=int(rng.integers(2**62)),
        gsd_m=float(np.exp(rng.uniform(np.log(least), np.log(most)))),
        change=change,
        cloud=float(rng.uniform(0.02, 0.3)) if rng.random() < 0.08 else 0.0,
        shift_px=(float(length * np.sin(angle)), float(length * np.cos(angle))),
        nodata_edge=bool(rng.random() < 0.05),
        contrast=float(rng.uniform(0.2, 1.5)),
    )
