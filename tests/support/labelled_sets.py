"""Small sets of labelled pairs, for tests that score or learn."""

from __future__ import annotations

import numpy as np
import rasterio

from support.scenes import TEN_METRES, UTM, textured_scene, write_scene

H, W = 96, 140


def write_set(folder, names=("north_1", "north_2", "south_1", "quiet_1"), *, seed=0, **profile):
    """Textured pairs with bright blocks that appear, labels of 0 and 255; one named quiet has no change."""
    profile = {"crs": UTM, "transform": TEN_METRES, **profile}
    suffix = "png" if profile.get("driver") == "PNG" else "tif"
    for number, name in enumerate(names):
        rng = np.random.default_rng((seed, number))
        before = textured_scene(seed + number, 3, H, W)
        changed = np.zeros((H, W), bool)
        if not name.startswith("quiet"):
            for row, col in ((10, 12), (50, 30), (20 + 4 * number, 90)):
                changed[row : row + 20, col : col + 16 + 3 * number] = True
        after = before.astype(np.int16) + rng.integers(-6, 7, before.shape)
        after += np.where(changed, 60 + 10 * number, 0) - 15 * number
        write_scene(folder / "A" / f"{name}.{suffix}", before, **profile)
        write_scene(folder / "B" / f"{name}.{suffix}", np.clip(after, 1, 250).astype(np.uint8), **profile)
        write_scene(
            folder / "label" / f"{name}.{suffix}", np.where(changed, 255, 0).astype(np.uint8), **profile
        )
    return folder


def hide_unchanged(folder):
    """Labels of 1 that declare their background, 0, as nodata, as drawing polygons makes them."""
    for path in (folder / "label").iterdir():
        with rasterio.open(path) as label:
            changed = label.read(1) > 0
        write_scene(path, changed.astype(np.uint8), nodata=0)
