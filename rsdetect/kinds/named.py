"""Kinds that are named, by their measured agreement; regions of all others are of an unknown kind.

Agreement is the share of the area of a kind, within true changes, that has this kind in truth. It was
measured end to end, in the outlines of the default detector, by `benchmarks/kinds.py --every-kind --seeds
1100:1112`: pairs of 512 x 512 pixels with a fifth of them changed, twelve of each kind of scene. These seeds
neither tuned the rules nor are they those of the figures in docs/kinds.md.
"""

from __future__ import annotations

from typing import NamedTuple

from rsdetect.kinds.classes import Kind
from rsdetect.kinds.rules import LandRules

LEAST_AGREEMENT = 0.6
LEAST_SHARE = 0.005  # of the area; of a rarer kind agreement was hardly measured


class Measured(NamedTuple):
    """Measurement of a kind."""

    share: float  # of the changed and marked area that was given this kind
    agreement: float


# By what the rules read: reflectance with near infrared (s2-swir, s2, landsat), pictures in red, green and
# blue (vhr), and multispectral bands that are not known to be reflectance (tm, rgbn).
MEASURED: dict[str, dict[Kind, Measured]] = {
    "reflectance": {
        Kind.VEGETATION_LOSS: Measured(0.156, 0.874),
        Kind.VEGETATION_GAIN: Measured(0.031, 0.281),
        Kind.WATER_GAIN: Measured(0.157, 0.698),
        Kind.WATER_LOSS: Measured(0.015, 0.793),
        Kind.BUILT: Measured(0.449, 0.630),
        Kind.OPENED_GROUND: Measured(0.122, 0.473),
        Kind.BURNT: Measured(0.001, 0.216),
    },
    "picture": {
        Kind.VEGETATION_GAIN: Measured(0.047, 0.0),
        Kind.BUILT: Measured(0.440, 0.704),
        Kind.OPENED_GROUND: Measured(0.365, 0.551),
        Kind.SNOW: Measured(0.004, 0.0),
    },
    "stretched": {
        Kind.VEGETATION_GAIN: Measured(0.020, 0.494),
        Kind.WATER_GAIN: Measured(0.122, 0.451),
        Kind.WATER_LOSS: Measured(0.013, 0.853),
        Kind.BUILT: Measured(0.388, 0.460),
        Kind.SNOW: Measured(0.384, 0.0),
    },
}


def named_kinds(land: LandRules | None) -> frozenset[Kind]:
    """Kinds that regions of a pair with these rules may have, beside `other` and `unknown`.

    >>> from rsdetect.kinds.rules import Scale
    >>> scale = Scale((1.0,) * 3, (0.0,) * 3)
    >>> rules = LandRules("rgb", (0, 1, 2), scale, scale, units="stretched")
    >>> [kind.name for kind in named_kinds(rules) if kind < Kind.OTHER]
    ['BUILT']
    """
    measured = {} if land is None else MEASURED[_input_of(land)]
    named = {
        kind
        for kind, (share, agreement) in measured.items()
        if share >= LEAST_SHARE and agreement >= LEAST_AGREEMENT
    }
    return frozenset({Kind.OTHER, Kind.UNKNOWN, *named})


def _input_of(land: LandRules) -> str:
    """Key of `MEASURED`: what the rules read."""
    if land.basis == "rgb":
        return "picture"
    return "reflectance" if land.units == "reflectance" else "stretched"
