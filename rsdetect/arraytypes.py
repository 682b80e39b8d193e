"""Array types by dtype; shapes are given in docstrings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
UInt8Array = NDArray[np.uint8]
UInt16Array = NDArray[np.uint16]
UInt32Array = NDArray[np.uint32]
Int64Array = NDArray[np.int64]
IndexArray = NDArray[np.intp]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
