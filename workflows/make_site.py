"""Draw the scenes that landuse_monitor.yaml watches: a year and a month of dates, clouds, three changes.

    python workflows/make_site.py FOLDER

data/site was made by it; `truth.gpkg` there says what really changed, and when.
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

from rsdetect.simulate.series import Series, SeriesSpec
from rsdetect.simulate.write_series import write_series

DATES = tuple(date(2024, 1, 8) + timedelta(days=28 * number) for number in range(14))

if __name__ == "__main__":
    write_series(Series(SeriesSpec(DATES, size=112, seed=2, changes=3, quiet=3)), Path(sys.argv[1]))
