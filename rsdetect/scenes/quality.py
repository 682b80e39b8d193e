"""Quality masks of well-known products: their values and bits, from the products' own documents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray

MaskKind = Literal[
    "auto",
    "plain",
    "sentinel2-scl",
    "landsat-qa",
    "fmask",
    "hls-fmask",
    "udm2",
    "oa-fmask",
    "cloud-probability",
    "maja-clm",
    "force-qai",
    "s2cloudless",
    "modis-state",
]
MASK_KINDS: tuple[str, ...] = get_args(MaskKind)


@dataclass(frozen=True)
class MaskMeaning:
    """Meaning of a quality mask: values and bits that hide the ground; without any, all values but 0 do."""

    values: tuple[int, ...] = ()
    bits: tuple[int, ...] = ()  # 0 = lowest
    # Groups of bits: lowest bit, number of bits, and the values of the group that hide the ground.
    fields: tuple[tuple[int, int, tuple[int, ...]], ...] = ()
    at_least: int | None = None  # this value and all higher ones hide the ground
    known: tuple[int, ...] = ()  # all values that the product's document lists; () = any
    bands: int = 1  # of the product's file, of which the first is read

    def hides(self, classes: NDArray[np.int64]) -> BoolArray:
        """Pixels that a mask of this meaning hides; -1 (outside of the mask) is hidden."""
        hidden: BoolArray = classes == -1
        if self.values:
            hidden |= np.isin(classes, self.values)
        if self.bits:
            hidden |= (classes & np.int64(sum(1 << bit for bit in set(self.bits)))) != 0
        for lowest, width, values in self.fields:
            hidden |= np.isin((classes >> lowest) & ((1 << width) - 1), values)
        if self.at_least is not None:
            hidden |= classes >= self.at_least
        if not (self.values or self.bits or self.fields or self.at_least is not None):
            hidden |= classes != 0
        return hidden


# Sentinel-2 level 2A, scene classification: no data, saturated or defective, cloud shadow, cloud of medium
# and of high probability, thin cirrus, snow. Dark and "unclassified" areas are used, because mostly clear.
# https://sentiwiki.copernicus.eu/web/s2-processing
SENTINEL2_SCL = MaskMeaning(values=(0, 1, 3, 8, 9, 10, 11), known=tuple(range(12)))
# Landsat collection 2, QA_PIXEL: fill, dilated cloud, cirrus, cloud, cloud shadow, snow.
# Landsat 8-9 Collection 2 Level 2 Science Product Guide (LSDS-1619), table 6-2.
LANDSAT_QA = MaskMeaning(bits=(0, 1, 2, 3, 4, 5))
_BY_KIND = {
    "plain": MaskMeaning(),
    "sentinel2-scl": SENTINEL2_SCL,
    "landsat-qa": LANDSAT_QA,
    # Fmask 3 and 4, https://github.com/GERSL/Fmask: shadow, snow, cloud, outside; 0 and 1 are clear.
    "fmask": MaskMeaning(values=(2, 3, 4, 255), known=(0, 1, 2, 3, 4, 255)),
    # HLS user guide 2.0, table 9: cloud, beside cloud or shadow, shadow, snow. Fill is 255, all bits set.
    "hls-fmask": MaskMeaning(bits=(1, 2, 3, 4)),
    # Planet's UDM 2.1: band 1 is 1 where clear, 0 elsewhere and beyond the image. Eight bands.
    "udm2": MaskMeaning(values=(0,), known=(0, 1), bands=8),
    # Digital Earth Australia, oa_fmask: no data, cloud, shadow, snow; 1 is land and 5 water.
    "oa-fmask": MaskMeaning(values=(0, 2, 3, 4), known=(0, 1, 2, 3, 4, 5)),
    # Percent, as MSK_CLDPRB of Sentinel-2; 40 is the usual threshold. More than 100 is no data.
    "cloud-probability": MaskMeaning(at_least=40, known=(*range(101), 255)),
    # MAJA's CLM, https://labo.obs-mip.fr/multitemp: any of its bits is a cloud or a shadow.
    "maja-clm": MaskMeaning(bits=(0, 1, 2, 3, 4, 5, 6, 7)),
    # FORCE's QAI, https://force-eo.readthedocs.io: no data, cloud state, shadow, snow.
    "force-qai": MaskMeaning(bits=(0, 1, 2, 3, 4)),
    # The cloud mask CLM of s2cloudless: 1 is cloud and 255 no data.
    "s2cloudless": MaskMeaning(values=(1, 255), known=(0, 1, 255)),
    # MOD09 user guide 6, table 13: cloudy or mixed; shadow; average and high cirrus; the internal cloud flag;
    # snow of MOD35; beside cloud; internal snow. 65535 is fill.
    "modis-state": MaskMeaning(
        values=(65535,), bits=(2, 10, 12, 13, 15), fields=((0, 2, (1, 2)), (8, 2, (2, 3)))
    ),
}
# Names of files and keys of assets, the narrower ones first.
_BY_NAME = (
    (re.compile(r"(?:^|[_.-])scl(?:[_.-]|$)"), "sentinel2-scl"),
    (re.compile(r"(?:^|[_.-])qa[_-]?pixel(?:[_.-]|$)"), "landsat-qa"),
    (re.compile(r"^hls[._-].*fmask"), "hls-fmask"),
    (re.compile(r"oa[_-]fmask|^ga_(?:ls|s2).*fmask"), "oa-fmask"),
    (re.compile(r"(?:^|[_.-])fmask(?:4)?(?:[_.-]|$)"), "fmask"),
    (re.compile(r"udm2"), "udm2"),
    (re.compile(r"cldprb|cloud[_-]?prob"), "cloud-probability"),
    (re.compile(r"(?:^|[_.-])clm_(?:r\d|xs|all)(?:[_.-]|$)"), "maja-clm"),
    (re.compile(r"(?:^|[_.-])qai(?:[_.-]|$)"), "force-qai"),
    (re.compile(r"s2cloudless|(?:^|[_.-])clm(?:[_.-]|$)"), "s2cloudless"),
    (re.compile(r"state_(?:1km|500m)"), "modis-state"),
)


def kind_by_name(name: str) -> str | None:
    """Kind of the quality mask of this file name or asset key; None for others.

    >>> kind_by_name("T32UPU_20210704T101031_SCL_20m.jp2"), kind_by_name("HLS.S30.T32UPU.v2.0.Fmask.tif")
    ('sentinel2-scl', 'hls-fmask')
    >>> kind_by_name("20240503_101031_1234_3B_udm2.tif"), kind_by_name("muscle.tif")
    ('udm2', None)
    """
    lower = name.lower()
    return next((kind for pattern, kind in _BY_NAME if pattern.search(lower)), None)


def mask_meaning(kind: str, name: str) -> MaskMeaning:
    """Meaning of the quality mask with this file name or asset key; "auto" uses the name.

    >>> mask_meaning("auto", "SCL").values, mask_meaning("landsat-qa", "mask").bits
    ((0, 1, 3, 8, 9, 10, 11), (0, 1, 2, 3, 4, 5))
    """
    return _BY_KIND[settled_kind(kind, name)]


def settled_kind(kind: str, name: str) -> str:
    """Kind of a mask; for "auto" the one of its name, else "plain"."""
    return kind if kind != "auto" else kind_by_name(name) or "plain"


def known_mask(asset: str) -> MaskMeaning | None:
    """Meaning of a well-known quality mask by its asset key; None for others."""
    kind = kind_by_name(asset.lower().removesuffix("-jp2"))
    return None if kind is None else _BY_KIND[kind]
