"""World of a scene pair: everything that is drawn once per scene, independent of the place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rsdetect.simulation.draws import Draws
from rsdetect.simulation.ground.catalogue import Catalogue, draw_catalogue
from rsdetect.simulation.ground.districts import DistrictPlan, draw_district_plan
from rsdetect.simulation.ground.water import Waters
from rsdetect.simulation.imaging.acquisition import draw_views
from rsdetect.simulation.imaging.view import View
from rsdetect.simulation.materials import world_palette
from rsdetect.simulation.noise import Frame
from rsdetect.simulation.spec import SceneSpec


@dataclass(frozen=True)
class SwathEdge:
    """Swath edge of one date: a slanted line with nodata beyond it."""

    slant: float  # pixels that the edge moves to the left per row
    side: float  # 1 = nodata on the left, -1 = on the right, 0 = no edge
    start_px: float

    def beyond(self, frame: Frame) -> NDArray[np.bool_]:
        """Nodata pixels of a frame beyond a world's swath edge; (height, width)."""
        row = np.arange(frame.row, frame.row + frame.height)[:, None]
        col = np.arange(frame.col, frame.col + frame.width)[None, :]
        return np.asarray(self.side * col + self.slant * row < self.start_px)


@dataclass(frozen=True)
class World:
    """World of one scene."""

    seed: int  # 32 bits
    plan: DistrictPlan
    waters: Waters
    catalogue: Catalogue
    views: tuple[View, View]  # by date
    edges: tuple[SwathEdge, SwathEdge]  # by date
    tree_m: tuple[float, float]  # spacing of large and small trees
    cloud_m: float  # size of the clouds
    texture: float  # relative contrast of fine textures


@lru_cache(maxsize=4)
def build_world(spec: SceneSpec) -> World:
    """World of a scene, drawn from its seed."""
    rng = Draws(spec.seed)
    seed = rng.integers(0, 1 << 32)
    extent_m = min(spec.height, spec.width) * spec.ground_m
    large = rng.uniform(6.0, 11.0)
    # The changing parts of the layout add up to a third more than requested, as measured.
    wanted = 0.72 * spec.change
    plan = draw_district_plan(wanted, extent_m, spec.ground_m, rng)
    return World(
        seed=seed,
        plan=plan,
        waters=Waters.draw(wanted, plan.district_m, spec.ground_m, rng),
        catalogue=draw_catalogue(wanted, spec.ground_m, rng),
        views=draw_views(spec, world_palette(rng), rng),
        edges=(_draw_swath_edge(spec, rng), _draw_swath_edge(spec, rng)),
        tree_m=(large, large * rng.uniform(0.45, 0.65)),
        cloud_m=float(np.clip(extent_m / 3, 40 * spec.ground_m, 4000.0)),
        texture=rng.log_normal(0.35, 0.4),
    )


def _draw_swath_edge(spec: SceneSpec, rng: Draws) -> SwathEdge:
    """Swath edge of a world: up to a tenth of the scene's width has no data, more where it is slanted."""
    slant, left, share = rng.normal(0, 0.15), rng.random() < 0.5, rng.uniform(0.0, 0.1)
    if not spec.nodata_edge:
        return SwathEdge(0.0, 0.0, -1.0)
    start = share * spec.width if left else -(1 - share) * spec.width
    return SwathEdge(slant, 1.0 if left else -1.0, start + slant * spec.height / 2)
