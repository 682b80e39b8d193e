"""Objects and outlines: what users count, beside pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label

from rsdetect.arraytypes import BoolArray

SMALLEST_PX = 20  # smaller objects and regions are not counted
FOUND_SHARE = 0.5  # of an object that must be marked
TOLERANCE_PX = 2  # between outlines that count as the same

_NEAR = (
    np.hypot(*np.mgrid[-TOLERANCE_PX : TOLERANCE_PX + 1, -TOLERANCE_PX : TOLERANCE_PX + 1]) <= TOLERANCE_PX
)


def count_objects(marked: BoolArray, changed: BoolArray, labelled: BoolArray) -> dict[str, int]:
    """How many objects are found, and how many marked regions are false.

    Objects and regions are 4-connected, as the regions of `detect` are. An object is found when half of its
    pixels are marked; a region is false when none of its pixels changed. All arrays are (height, width), and
    what is not labelled belongs to neither.
    """
    changed, marked = changed & labelled, marked & labelled
    objects, marks_in_objects = _pieces(changed, marked)
    regions, change_in_regions = _pieces(marked, changed)
    large = objects >= SMALLEST_PX
    return {
        "objects": int(large.sum()),
        "objects_found": int((large & (marks_in_objects >= FOUND_SHARE * objects)).sum()),
        "false_regions": int(((regions >= SMALLEST_PX) & (change_in_regions == 0)).sum()),
    }


def count_edges(marked: BoolArray, changed: BoolArray, labelled: BoolArray) -> dict[str, int]:
    """How much of each outline lies near the other's.

    Csurka, Larlus and Perronnin (2013), "What is a good evaluation measure for semantic segmentation?",
    section 3: precision and recall of contours within a tolerance, here 2 pixels.
    """
    marked_edge, true_edge = (_edge(mask & labelled, labelled) for mask in (marked, changed))
    return {
        "marked_edge": int(marked_edge.sum()),
        "marked_edge_near": int((marked_edge & binary_dilation(true_edge, _NEAR)).sum()),
        "true_edge": int(true_edge.sum()),
        "true_edge_near": int((true_edge & binary_dilation(marked_edge, _NEAR)).sum()),
    }


def _pieces(mask: BoolArray, other: BoolArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels of each connected piece of `mask`, and how many of them are in `other`."""
    numbered, count = label(mask)
    sizes = np.bincount(numbered[mask], minlength=count + 1)[1:]
    return sizes, np.bincount(numbered[mask & other], minlength=count + 1)[1:]


def _edge(mask: BoolArray, labelled: BoolArray) -> BoolArray:
    """Pixels of `mask` beside a labelled pixel that is not in it; the rim of what is labelled is no edge."""
    return np.asarray(mask & binary_dilation(labelled & ~mask))
