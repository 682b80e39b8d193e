"""Object counts of an evaluation: detected objects, false regions, and matching boundaries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label

from rsdetect.arraytypes import BoolArray

SMALLEST_PX = 20  # minimum size of counted objects and regions
FOUND_SHARE = 0.5  # minimum marked share of a detected object
TOLERANCE_PX = 2  # between matching boundaries

_NEAR = (
    np.hypot(*np.mgrid[-TOLERANCE_PX : TOLERANCE_PX + 1, -TOLERANCE_PX : TOLERANCE_PX + 1]) <= TOLERANCE_PX
)


def count_objects(marked: BoolArray, changed: BoolArray, labelled: BoolArray) -> dict[str, int]:
    """Count the detected objects and the false regions of a pair.

    Objects and regions are 4-connected, like the regions of `detect`. An object is detected if half of its
    pixels are marked; a region is false if none of its pixels changed. All arrays are (height, width);
    unlabelled pixels belong to neither.
    """
    changed, marked = changed & labelled, marked & labelled
    objects, marks_in_objects = _object_sizes(changed, marked)
    regions, change_in_regions = _object_sizes(marked, changed)
    large = objects >= SMALLEST_PX
    return {
        "objects": int(large.sum()),
        "objects_found": int((large & (marks_in_objects >= FOUND_SHARE * objects)).sum()),
        "false_regions": int(((regions >= SMALLEST_PX) & (change_in_regions == 0)).sum()),
    }


def count_edges(marked: BoolArray, changed: BoolArray, labelled: BoolArray) -> dict[str, int]:
    """Count the boundary pixels of a pair that match the other mask's boundary.

    Csurka, Larlus and Perronnin (2013), "What is a good evaluation measure for semantic segmentation?",
    section 3: precision and recall of contours within a tolerance, here 2 pixels.
    """
    marked_edge, true_edge = (_edge_pixels(mask & labelled, labelled) for mask in (marked, changed))
    return {
        "marked_edge": int(marked_edge.sum()),
        "marked_edge_near": int((marked_edge & binary_dilation(true_edge, _NEAR)).sum()),
        "true_edge": int(true_edge.sum()),
        "true_edge_near": int((true_edge & binary_dilation(marked_edge, _NEAR)).sum()),
    }


def _object_sizes(mask: BoolArray, other: BoolArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sizes of the connected objects of `mask`, and their overlap with `other`, in pixels."""
    numbered, count = label(mask)
    sizes = np.bincount(numbered[mask], minlength=count + 1)[1:]
    return sizes, np.bincount(numbered[mask & other], minlength=count + 1)[1:]


def _edge_pixels(mask: BoolArray, labelled: BoolArray) -> BoolArray:
    """Count-ready boundary pixels of an object mask: those beside labelled pixels outside it."""
    return np.asarray(mask & binary_dilation(labelled & ~mask))
