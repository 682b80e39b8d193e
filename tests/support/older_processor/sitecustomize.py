"""On the path of a Python, makes rsdetect take the processor for one that cannot sum products of 8 bits."""

import functools

try:
    from rsdetect.backends import select as choosing
except ImportError:  # QGIS' Python, which has no rsdetect
    pass
else:

    @functools.wraps(choosing.multiplies_bytes)  # the tests of the function itself unwrap it
    def _cannot() -> bool:
        return False

    choosing.multiplies_bytes = _cannot
