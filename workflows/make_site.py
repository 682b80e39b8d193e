"""Draw the scenes that landuse_monitor.yaml watches: two years of dates, clouds, three changes in the second.

    python workflows/make_site.py FOLDER

data/site was made by it; `truth.gpkg` there has the true changes with their dates.
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

from rsdetect.simulation.time_series import Series
from rsdetect.simulation.time_series_spec import SeriesSpec
from rsdetect.simulation.write_time_series import write_series

DATES = tuple(date(2023, 1, 9) + timedelta(days=28 * number) for number in range(26))

if __name__ == "__main__":
    write_series(Series(SeriesSpec(dates=DATES, size=104, seed=1, changes=3, quiet=14)), Path(sys.argv[1]))
