"""View of one date: season, sun, haze, optics, tone; one for the whole scene, or two in a mosaic."""

from __future__ import annotations

from dataclasses import dataclass

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation.imaging.compression import Compression
from rsdetect.simulation.imaging.detector_noise import Flaws
from rsdetect.simulation.imaging.mosaic import Seam
from rsdetect.simulation.imaging.optics import Optics
from rsdetect.simulation.imaging.tone_curve import Tone
from rsdetect.simulation.materials import Season


@dataclass(frozen=True)
class View:
    """View of one date: season, light and sensor. Per-band arrays are in the order of `materials.BANDS`."""

    season: Season
    palette: Float32Array  # (materials, 7) reflectance
    sun: tuple[float, float]  # unit vector on the ground towards the sun (south, east)
    sun_tan: float  # tangent of the sun's elevation
    skylight: Float32Array  # (7,) light in a shadow, share of full light
    lean: tuple[float, float]  # relief displacement, metres (south, east) per metre of height
    haze: Float32Array  # (7,) reflectance added by clear air and haze
    haze_swing: float  # relative change of haze over kilometres
    cirrus: float  # opacity of the thickest cirrus, 0 = none
    gain: Float32Array  # (7,) relative error of the calibration
    optics: Optics
    flaws: Flaws
    tone: Tone  # of 8-bit pictures
    compression: Compression
    seam: Seam | None = None  # where the mosaic changes to another day
    beyond: View | None = None  # view of the other day, with the same relief displacement

    @property
    def shift_px(self) -> tuple[float, float]:
        """Shift of the image, (rows, columns) down and right."""
        return self.optics.shift
