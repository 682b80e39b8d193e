"""Quality masks of well-known products: their values and bits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MaskMeaning:
    """Meaning of a quality mask: values and bits that hide the ground."""

    values: tuple[int, ...] = ()
    bits: tuple[int, ...] = ()  # 0 = lowest


# Sentinel-2 level 2A, scene classification: no data, saturated or defective, cloud shadow, cloud of medium
# and of high probability, thin cirrus, snow. Dark and "unclassified" areas are used, because mostly clear.
SENTINEL2_SCL = MaskMeaning(values=(0, 1, 3, 8, 9, 10, 11))
# Landsat collection 2, QA_PIXEL: fill, dilated cloud, cirrus, cloud, cloud shadow, snow.
LANDSAT_QA = MaskMeaning(bits=(0, 1, 2, 3, 4, 5))
_BY_KIND = {"plain": MaskMeaning(), "sentinel2-scl": SENTINEL2_SCL, "landsat-qa": LANDSAT_QA}
_BY_ASSET = {"scl": SENTINEL2_SCL, "qa_pixel": LANDSAT_QA}


def mask_meaning(kind: str, asset: str) -> MaskMeaning:
    """Meaning of the quality mask with the asset key `asset`; "auto" uses the key.

    >>> mask_meaning("auto", "SCL").values, mask_meaning("landsat-qa", "mask").bits
    ((0, 1, 3, 8, 9, 10, 11), (0, 1, 2, 3, 4, 5))
    """
    if kind != "auto":
        return _BY_KIND[kind]
    return known_mask(asset) or MaskMeaning()


def known_mask(asset: str) -> MaskMeaning | None:
    """Meaning of a well-known quality mask by its asset key; None for others."""
    return _BY_ASSET.get(asset.lower().removesuffix("_20m").removesuffix("-jp2"))
