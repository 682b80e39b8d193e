"""Clear share of a scene over the area of a site, from its mask on a coarse grid."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from affine import Affine

from rsdetect.arraytypes import BoolArray
from rsdetect.feeds.scene_refs import SceneRef
from rsdetect.grid import Grid, Window
from rsdetect.ingestion.scene_view import ingest_view, mask_of_scene
from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.ingestion.site import Site, scene_headers, site_within_aoi
from rsdetect.scenes.aoi import inside_aoi
from rsdetect.scenes.scene import read_mask, read_scene

_EDGE = 512  # pixels of the coarse grid, at most


def coarse_site(site: Site) -> Site:
    """The site on a grid of at most 512 pixels in each direction, for shares of its area."""
    grid = site.grid
    step = math.ceil(max(grid.shape) / _EDGE)
    shape = (math.ceil(grid.height / step), math.ceil(grid.width / step))
    coarse = Grid(grid.crs, grid.transform @ Affine.scale(step), *shape)
    return replace(site_within_aoi(coarse, site.names, site.aoi_given), scaled=site.scaled)


def clear_share(ref: SceneRef, site: Site, options: ScenesSection) -> float:
    """Share of the pixels in the area of a coarse site that the scene shows without a cloud.

    Only headers and the mask are read; of a scene without a mask the first band.

    Raises
    ------
    SceneError
        A file cannot be opened.
    SourceUnavailable
        A server does not answer.
    """
    window = site.grid.window
    inside = np.ones(window.shape, dtype=bool) if site.aoi is None else inside_aoi(site.aoi, window)
    clear = np.zeros(window.shape, dtype=bool)
    for tile in ref.tiles or (ref,):
        clear |= _clear(tile, site, options, window)
    return float((clear & inside).sum() / inside.sum()) if inside.any() else 0.0


def _clear(ref: SceneRef, site: Site, options: ScenesSection, window: Window) -> BoolArray:
    """Clear pixels of one tile of a scene on the coarse grid."""
    headers = scene_headers(replace(ref, files=ref.files[:1], linear=ref.linear[:1]), align=True)
    mask = mask_of_scene(ref, headers, options)
    if mask is not None:
        return ~mask.hides(read_mask(mask, site.grid, window))
    _, valid = read_scene(
        ingest_view(headers[0], headers[0].usable[:1], site.grid, "nearest", None, options.nodata), window
    )
    return valid
