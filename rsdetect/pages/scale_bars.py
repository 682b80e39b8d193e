"""Scale bars over pictures of pages: a round length on the ground, and its share of the picture's width."""

from __future__ import annotations

import math
from dataclasses import dataclass

_MOST_SHARE = 0.4  # of the picture's width


@dataclass(frozen=True)
class ScaleBar:
    """Scale bar of a picture."""

    text: str  # length with its unit
    share: float  # of the picture's width, 0 to 1


def scale_bar(metres: float | None, width: float) -> ScaleBar | None:
    """Scale bar of a picture that is `width` pixels of some metres wide; None where these are unknown.

    >>> scale_bar(10.0, 96), scale_bar(0.5, 64), scale_bar(30.0, 7000)
    (ScaleBar(text='200 m', share=0.20833333333333334), ScaleBar(text='10 m', share=0.3125), \
ScaleBar(text='50 km', share=0.23809523809523808))
    """
    if metres is None or not metres * width > 0:
        return None
    most = _MOST_SHARE * metres * width
    power = 10.0 ** math.floor(math.log10(most))
    length = max(step * power for step in (1, 2, 5) if step * power <= most)
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    return ScaleBar(text, length / (metres * width))
