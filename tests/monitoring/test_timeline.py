"""A place over the dates: the numbers are those of the files, and the pictures open."""

import json
import re

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from rsdetect.errors import InputError
from rsdetect.monitoring.band_indices import band_indices
from rsdetect.monitoring.history_store import load_events, load_observations
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.run import run_job
from rsdetect.monitoring.timeline import make_timeline
from support.jobs import run_here
from support.watched_jobs import DAYS, deliver, series, source_in, write_job

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A job that was run over five dates, two of them cloudy."""
    folder = tmp_path_factory.mktemp("watched")
    deliver(folder, series(), *range(len(DAYS)))
    made = write_job(folder, source=source_in(folder))
    run_job(made)
    return made


@pytest.fixture(scope="module")
def planted():
    """The first planted change of the series: (row, column) in its middle, and its first date."""
    change = series().planted[0]
    rows, cols = np.nonzero(change.where)
    return int(np.median(rows)), int(np.median(cols)), DAYS[change.first]


def point_of(job, row, col):
    with rasterio.open(next((job.parent / "scenes").glob("*[0-9].tif"))) as raster:
        return raster.xy(row, col)


# --- indices -----------------------------------------------------------------------------------------------


@given(
    names=st.permutations(["blue", "green", "red", "nir08", "swir16", "other"]),
    seed=st.integers(0, 99),
)
def test_indices_are_their_formulas_whatever_the_order_of_the_bands(names, seed):
    values = np.random.default_rng(seed).uniform(1, 4000, (len(names), 3, 4)).astype(np.float32)
    band = dict(zip(names, values.astype(np.float64), strict=True))
    found = band_indices(values, names)
    wanted = {
        "NDVI": (band["nir08"] - band["red"]) / (band["nir08"] + band["red"]),
        "NDWI": (band["green"] - band["nir08"]) / (band["green"] + band["nir08"]),
        "NDBI": (band["swir16"] - band["nir08"]) / (band["swir16"] + band["nir08"]),
    }
    assert list(found) == list(wanted)
    for name, index in wanted.items():
        np.testing.assert_allclose(found[name], index, rtol=0, atol=1e-5)


def test_an_index_needs_its_bands_and_light():
    dark = np.zeros((3, 1, 1), np.float32)
    assert band_indices(dark, ("red", "green", "blue")) == {}
    assert np.isnan(band_indices(dark, ("red", "green", "nir"))["NDVI"]).all()


# --- a point -----------------------------------------------------------------------------------------------


def test_a_point_has_the_values_of_the_files(job, planted):
    row, col, first = planted
    timeline = make_timeline(job, at=point_of(job, row, col))
    assert [moment.taken.date() for moment in timeline.moments] == list(DAYS)
    near = (slice(row - 1, row + 2), slice(col - 1, col + 2))
    steps = {json.loads(path.read_text())["check"]["after"]["date"]: path.parent
             for path in (job.parent / "out" / "steps").glob("*/run.json")}  # fmt: skip
    seen = 0
    for moment in timeline.moments:
        name = f"{moment.taken:%Y%m%d}"
        with rasterio.open(job.parent / "scenes" / f"{name}.tif") as raster:
            values = raster.read()[:, *near].astype(np.float64)
        with rasterio.open(job.parent / "scenes" / f"{name}_mask.tif") as mask:
            clear = mask.read(1)[near] == 0
        assert moment.valid_share == pytest.approx(clear.mean())
        if clear.mean() < 0.5:
            assert (moment.bands, moment.indices) == (None, {})
            continue
        seen += 1
        np.testing.assert_allclose(moment.bands, values[:, clear].mean(axis=1), rtol=1e-5)
        ndvi = ((values[3] - values[2]) / (values[3] + values[2]))[clear].mean()
        assert moment.indices["NDVI"] == pytest.approx(ndvi, abs=1e-5)
        if moment.probability is not None:
            with rasterio.open(steps[moment.taken.date().isoformat()] / "change_probability.tif") as raster:
                percent = raster.read(1)[near]
            assert moment.probability == pytest.approx(percent[percent != 255].mean() / 100)
            # One sees when it happened.
            assert (moment.probability > timeline.threshold) == (moment.taken.date() >= first)
    assert seen >= 3


def test_a_point_may_be_given_in_degrees(job, planted):
    x, y = point_of(job, *planted[:2])
    degrees = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True).transform(x, y)
    in_degrees, in_metres = make_timeline(job, at=degrees), make_timeline(job, at=(x, y))
    assert in_degrees.moments == in_metres.moments
    assert in_degrees.title != in_metres.title


# --- an event ----------------------------------------------------------------------------------------------


def test_an_event_follows_its_observations_once_it_exists(job):
    with Journal(JobFolder(job.parent / "out").journal, write=False) as journal:
        events, observations = load_events(journal), load_observations(journal)
    event = max(events, key=lambda each: each.area_m2)
    timeline = make_timeline(job, event=event.id)
    assert (timeline.event.id, timeline.title) == (event.id, event.id)
    mine = {each.scene: each for each in observations if each.event == event.id}
    assert len(mine) >= 2
    for moment in timeline.moments:
        told = mine.get(moment.scene)
        assert (told is None) == (moment.taken < event.first_seen)
        if told is not None:
            assert (moment.probability, moment.seen) == (told.probability_mean, told.seen)
    before = [moment for moment in timeline.moments if moment.taken < event.first_seen and moment.probability]
    assert all(moment.seen is None and moment.probability < timeline.threshold for moment in before)


def test_a_timeline_comes_as_a_picture_and_as_a_page_that_carries_all_in_itself(job, tmp_path):
    with Journal(JobFolder(job.parent / "out").journal, write=False) as journal:
        event = load_events(journal)[0]
    told = run_here("monitor", "timeline", job, "--event", event.id)
    assert told.status == 0, told.err
    folder = job.parent / "out" / "timelines"
    assert told.err.split() == [str(folder / f"{event.id}.{kind}") for kind in ("png", "html")]
    with rasterio.open(folder / f"{event.id}.png") as picture:
        assert picture.width > 800 and picture.read().std() > 10
    page = (folder / f"{event.id}.html").read_text()
    # The name of the site is text, in the page and in what is drawn.
    assert page.count("Valley &lt;b&gt;&amp; co&lt;/b&gt;") >= 2 and "<b>" not in page
    assert "<script" not in page and not re.findall(r"<img src=\"(?!data:)", page)
    assert not re.findall(r"href=\"(?!#)", page) and "<?xml" not in page
    for word in ("change probability", "NDVI", "NDWI", "first seen"):
        assert word in page
    assert page.count("data:image/png;base64,") == len(DAYS)
    run_here("monitor", "timeline", job, "--event", event.id, "--out", tmp_path / "again")
    assert (tmp_path / "again" / f"{event.id}.html").read_text() == page


# --- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "give one of --event and --at"),
        (("--event", "x", "--at", "1,2"), "give one of --event and --at"),
        (("--event", "19990101-00000000"), "there is no event '19990101-00000000'; the latest are 2024"),
        (("--event", "2"), "give more of it"),
        (("--at", "here"), "--at 'here' is not a point"),
        (("--at", "1,2,3"), "is not a point"),
        (("--at", "0,0"), "lies outside the job's grid"),
        (("--at", "nan,0"), "is not a point"),
    ],
)
def test_what_cannot_be_plotted_is_one_line(job, options, said):
    told = run_here("monitor", "timeline", job, *options)
    assert (told.status, told.err.count("\n")) == (2, 1), told.err
    assert said in told.err


def test_a_job_that_was_never_run_has_no_timeline(tmp_path):
    with pytest.raises(InputError, match="was not run yet"):
        make_timeline(write_job(tmp_path), at=(0, 0))
