"""The default detector: the mean of unlike evidence, networks, slow features and texture.

A network recognises what was built and is blind to what it never saw; slow features see any spectral change,
and texture any change of structure. Their errors differ, so that the mean of their evidence is better than
each of them: an ensemble in logits, after Dietterich (2000), "Ensemble methods in machine learning". Weights,
offsets and the threshold were fitted on labelled scenes that no network was trained on (docs/detectors.md has
the figures).

    z = weight * (logits of the networks + ln(slow features / level) + ln(texture)) + offset

z is averaged over a square of pixels whose width depends on the pixel size, and the probability is its
logistic function. The networks depend on the pixel size as well. Below 5 m, where buildings have a shape,
there are two: the one of buildings at the scene's resolution, and the one of all kinds of change at half of
it, which shows it the surroundings of a building. From 5 m on there is the latter alone, and its logit is the
mean of those at both resolutions; from 20 m on that at the scene's resolution. Texture is a distance in units
of the scene's own spread: Otsu's threshold of it would divide mere noise where nothing changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.detectors.base import Detector, Scorer, Strip
from rsdetect.detectors.learned import DEFAULT_MODEL, SiameseDetector, SiameseScorer
from rsdetect.detectors.ratio import RatioStrip
from rsdetect.detectors.row_filters import Delay, Held
from rsdetect.detectors.sfa import SfaDetector, SfaScorer
from rsdetect.detectors.texture import TextureDetector, TextureScorer, fit_texture
from rsdetect.errors import InputError
from rsdetect.grid import Grid
from rsdetect.jsontypes import JsonObject
from rsdetect.regions.areas import metres_per_unit
from rsdetect.scenes.bands import WantedBands
from rsdetect.tiles import Tile

if TYPE_CHECKING:
    from rsdetect.checks.scan import Scan
    from rsdetect.scenes.pair import Pair

BUILDINGS_MODEL = "siamese-buildings"


@dataclass(frozen=True)
class Rule:
    """Rule that combines evidence: z = weight * sum + offset."""

    weight: float
    offset: float


# Logistic fits on the *choose* places of benchmarks/splits/shared.toml, each source weighing the same, and on
# simulated pairs, which weigh a fifth; the threshold has the best mean F1 of both in these shares
# (docs/notes/best.md).
_ONE_NETWORK, _TWO_NETWORKS = Rule(0.77, -0.16), Rule(0.53, 0.52)
_THRESHOLD = 0.22
_LEAST = 1e-6  # of a probability of the network; keeps logits finite
# Half the width of the square that is averaged, in metres, and at most in pixels. A scene without a
# georeference is taken for a fine one, as nearly all of them are.
_HALF_WIDTH_M, _MOST_HALF_WIDTH = 4.0, 8
_TWO_BELOW_M = 5.0  # pixel size from which there is one network
_HALVED_BELOW_M = 20.0  # pixel size from which the network runs at the scene's resolution alone


@dataclass(frozen=True, kw_only=True)
class BestScorer(Scorer):
    """A fitted `BestDetector`: its fitted parts."""

    networks: tuple[SiameseScorer, ...]  # the one of all kinds of change; then, in fine scenes, of buildings
    sfa: SfaScorer
    texture: TextureScorer
    half_width: int  # of the square that is averaged, in pixels beside its centre

    name = "best"
    threshold = _THRESHOLD
    skips_equal = True

    def score(self, tile: Tile) -> Float32Array:
        """Change probability over `tile.read`, (height, width) float32."""
        evidence = self.sfa.log_ratio(tile)
        evidence += self.texture.log_ratio(tile)
        for network in self.networks:
            evidence += _logit(network.score(tile))
        half = self.half_width
        weighted = np.pad(_weighted(evidence, tile.valid), ((0, 0), (0, half), (0, 0)))
        return _probability(_Average(half).push(weighted)[:, half:], self.rule)

    @property
    def rule(self) -> Rule:
        """Rule for the number of networks."""
        return _ONE_NETWORK if len(self.networks) == 1 else _TWO_NETWORKS

    @property
    def _parts(self) -> tuple[Scorer, ...]:
        return (*self.networks, self.sfa, self.texture)

    @property
    def device(self) -> str:  # type: ignore[override]
        """That of the networks."""
        return self.networks[0].device

    @property
    def halo(self) -> int:  # type: ignore[override]
        """The largest reach of the parts, and half the square that is averaged."""
        return max(part.halo for part in self._parts) + self.half_width

    @property
    def stride(self) -> int:  # type: ignore[override]
        """The least common multiple of those of the parts."""
        return int(np.lcm.reduce([part.stride for part in self._parts]))

    @property
    def strips(self) -> bool:  # type: ignore[override]
        """Where the networks' backend takes a strip row by row."""
        return all(network.strips for network in self.networks)

    @property
    def files(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the networks."""
        return tuple(file for network in self.networks for file in network.files)

    @property
    def bytes_per_pixel(self) -> int:  # type: ignore[override]
        """That of the networks, and the evidence of the other parts."""
        return sum(network.bytes_per_pixel for network in self.networks) + _BYTES_OF_EVIDENCE

    @property
    def import_bytes(self) -> int:  # type: ignore[override]
        """What the networks' backend imports."""
        return self.networks[0].import_bytes

    def on_device(self, device: str) -> Self:
        """The same scorer with its networks on the device of a worker."""
        return replace(self, networks=tuple(network.on_device(device) for network in self.networks))

    def strip(self, height: int, width: int) -> BestStrip:
        """The parts at the top of a strip; where `strips`."""
        return BestStrip(self, height, width)

    def provenance(self) -> JsonObject:
        """Name, threshold, the network's model and bands, and what each part was fitted to."""
        network = self.networks[0].provenance()
        named = ("model", "model_version", "model_sha256", "backend", "precision")
        return {
            "name": self.name,
            "threshold": self.threshold,
            **{key: network[key] for key in (*named, "bands", "bands_required", "bands_used")},
            "weight": self.rule.weight,
            "offset": self.rule.offset,
            "averaged_px": 2 * self.half_width + 1,
            "parts": {
                **{each.model: each.provenance() for each in self.networks},
                "sfa": self.sfa.provenance(),
                "texture": self.texture.provenance(),
            },
        }


_BYTES_OF_EVIDENCE = 60


class BestStrip:
    """The parts side by side on their way down a strip, as late as the latest of them."""

    def __init__(self, scorer: BestScorer, height: int, width: int) -> None:
        self._networks: list[Strip] = [network.strip(height, width) for network in scorer.networks]
        self._ratios = [RatioStrip(scorer.sfa), RatioStrip(scorer.texture)]
        lates = [part.late for part in (*self._networks, *self._ratios)]
        self._waits = [Delay(max(lates) - late) for late in lates]
        self._valid = Delay(max(lates))
        self._average = _Average(scorer.half_width)
        self._rule = scorer.rule
        self.late = max(lates) + scorer.half_width

    def push(self, rows: Tile) -> Float32Array:
        """(height, width) float32 probability of the rows `late` higher up."""
        parts = [_logit(network.push(rows)) for network in self._networks]
        parts += [ratio.push_log_ratio(rows) for ratio in self._ratios]
        evidence = np.zeros(rows.valid.shape, np.float32)
        for wait, part in zip(self._waits, parts, strict=True):
            evidence += wait.push(part[None])[0]
        valid = self._valid.push(rows.valid.astype(np.float32)[None])[0] > 0
        return _probability(self._average.push(_weighted(evidence, valid)), self._rule)


class _Average:
    """Means over squares of pixels, fed with rows; invalid pixels are no part of them."""

    def __init__(self, half_width: int) -> None:
        self._half = half_width
        self._held = Held(2 * half_width)

    def push(self, rows: Float32Array) -> Float32Array:
        """Sums of values and of weights, (2, height, width), of the rows half a width higher up."""
        width = 2 * self._half + 1
        across = np.pad(rows, ((0, 0), (0, 0), (self._half, self._half)))
        return _running_sum(self._held.push(_running_sum(across, width, 2)), width, 1)


def _running_sum(values: Float32Array, count: int, axis: int) -> Float32Array:
    """Sums of the next `count` along an axis, from each that has so many.

    In sums of 1, 2, 4, ... neighbours: a sum is the same wherever a tile begins, as cumulative sums are not.
    """
    values = np.moveaxis(values, axis, 0)
    length = values.shape[0] - count + 1
    total, start, step = None, 0, 1
    while count:
        if count & 1:
            part = values[start : start + length]
            total, start = part if total is None else total + part, start + step
        count >>= 1
        if count:
            values, step = values[:-step] + values[step:], 2 * step
    assert total is not None
    return np.moveaxis(total, 0, axis)


def _weighted(evidence: Float32Array, valid: np.ndarray[Any, Any]) -> Float32Array:
    """(2, height, width): the evidence where it is valid, and 1 there."""
    return np.stack([np.where(valid, evidence, np.float32(0)), valid.astype(np.float32)])


def _probability(sums: Float32Array, rule: Rule) -> Float32Array:
    """Change probability of sums of evidence and of weights, (2, height, width); float32."""
    z = sums[0] / np.maximum(sums[1], np.float32(1))
    z *= np.float32(-rule.weight)
    z -= np.float32(rule.offset)
    np.exp(z, out=z)
    z += np.float32(1)
    return np.asarray(np.reciprocal(z, out=z))


def _logit(probability: Float32Array) -> Float32Array:
    clipped = np.clip(probability, np.float32(_LEAST), np.float32(1 - _LEAST))
    return np.asarray(np.log(clipped / (1 - clipped)))


@dataclass(frozen=True)
class BestDetector(Detector):
    """The mean of networks', slow features' and texture's evidence; what ships as the default.

    Parameters
    ----------
    device, backend
        Of the networks, as for `SiameseDetector`.
    """

    device: str = "cpu"
    backend: str = "torch"

    name = "best"
    description = "The mean of siamese, siamese-buildings below 5 m, sfa and texture."
    passes = 3
    uses_device = True

    @classmethod
    def configure(cls, model: str | None, device: str, backend: str) -> Self:
        """Settle the backend.

        Raises
        ------
        InputError
            A model, or a backend that cannot run here.
        """
        if model is not None:
            raise InputError(
                "`model` names a network, and `detector='best'` combines those that it was fitted with; "
                "take `detector='siamese'` for another."
            )
        return cls(device, SiameseDetector.configure(None, device, backend).backend)

    @property
    def _network(self) -> SiameseDetector:
        return SiameseDetector(DEFAULT_MODEL, self.device, self.backend)

    @property
    def _buildings(self) -> SiameseDetector:
        return SiameseDetector(BUILDINGS_MODEL, self.device, self.backend)

    @property
    def bands(self) -> WantedBands:  # type: ignore[override]
        """Those of the networks; slow features and texture use whichever of them the pair has."""
        return self._network.bands

    @property
    def seconds_per_mpx(self) -> float | None:  # type: ignore[override]
        """Cost of the parts together; None where that of a network was not measured."""
        network = self._network.seconds_per_mpx
        others = (SfaDetector.seconds_per_mpx, TextureDetector.seconds_per_mpx)
        runs = 1.25  # at the scene's resolution, and at half of it
        return None if network is None else round(runs * network + sum(cost or 0.0 for cost in others), 2)

    @property
    def model_sha256(self) -> str:  # type: ignore[override]
        """That of the network of all kinds of change."""
        return self._network.model_sha256

    @property
    def parameters(self) -> JsonObject:
        """The network of buildings; the constants are those of the version."""
        return {BUILDINGS_MODEL: self._buildings.model_sha256}

    def load(self, pair: Pair) -> None:
        """Import and load the networks that the pair takes."""
        self._network.load(pair)
        if _is_fine(pixel_size_m(pair.grid)):
            self._buildings.load(pair)

    def fit(self, scan: Scan) -> BestScorer:
        """Fit the parts.

        Raises
        ------
        ModelError, NothingToCompare
            As `SiameseDetector.fit`.
        """
        pixel_m = pixel_size_m(scan.pair.grid)
        return BestScorer(
            networks=self._fit_networks(scan, pixel_m),
            sfa=SfaDetector().fit(scan),
            texture=fit_texture(scan),
            half_width=half_width(pixel_m),
        )

    def _fit_networks(self, scan: Scan, pixel_m: float | None) -> tuple[SiameseScorer, ...]:
        network = self._network.fit(scan)
        if _is_fine(pixel_m):
            return network.with_half_resolution(alone=True), self._buildings.fit(scan)
        return (
            network if pixel_m is not None and pixel_m >= _HALVED_BELOW_M else network.with_half_resolution(),
        )


def _is_fine(pixel_m: float | None) -> bool:
    """Whether buildings have a shape in a scene, so that their network has a part."""
    return pixel_m is None or pixel_m < _TWO_BELOW_M


def half_width(pixel_m: float | None) -> int:
    """Half the width, in pixels, of the square over which evidence is averaged.

    >>> [half_width(size) for size in (None, 0.5, 3, 10, 30)]
    [8, 8, 1, 0, 0]
    """
    return _MOST_HALF_WIDTH if pixel_m is None else min(_MOST_HALF_WIDTH, round(_HALF_WIDTH_M / pixel_m))


def pixel_size_m(grid: Grid) -> float | None:
    """Edge of a square as large as the pixel in the middle of a grid, in metres; None without a CRS."""
    if grid.crs is None:
        return None
    east, north = metres_per_unit(grid.crs, *(grid.transform @ (grid.width / 2, grid.height / 2)))
    return float(np.sqrt(grid.pixel_area * east * north))
