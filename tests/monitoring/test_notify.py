"""News after a run: the summary, the page, and who is called."""

import base64
import json
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st

from rsdetect.grid import Window
from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.ingestion.site import site_from_journal
from rsdetect.monitoring.events import Event, Status
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.news import MILESTONES, event_milestone, find_event_news
from rsdetect.monitoring.run import run_job
from rsdetect.monitoring.thumbnails import Cutout, Thumbnails
from support.http_server import refusing_port, serving
from support.jobs import run_here
from support.watched_jobs import DAYS, deliver, series, source_in, write_job
from support.webhook_receiver import Receiver

TOKEN = "a-very-secret-token"


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A folder with all dates of the series, run, before any delivery."""
    folder = tmp_path_factory.mktemp("watched")
    deliver(folder, series(), *range(len(DAYS)))
    run_job(write_job(folder, source=source_in(folder)))
    return folder


@pytest.fixture
def place(tmp_path, watched):
    """The same for a test of its own: the findings are there, and still to be delivered."""
    shutil.copytree(watched / "out", tmp_path / "out")
    return tmp_path


@pytest.fixture
def new_job(watched):
    """Write a job over the scenes of `watched`."""
    return lambda folder, **sections: write_job(folder, source=source_in(watched), **sections)


def run(job, *options):
    return run_here("monitor", "run", job, *options)


def summary_of(folder):
    return json.loads((folder / "out" / "summary.json").read_text())


def ids(summary):
    return sorted(item["event"] for each in MILESTONES for item in summary["news"][str(each)])


def in_layer(folder):
    return sorted(pyogrio.read_dataframe(folder / "out" / "events.gpkg", layer="events").event_id)


def command(folder, *lines, status=0):
    """A hook that writes each call on a line."""
    script = folder / "tell.py"
    told = folder / "told.jsonl"
    script.write_text(
        "import json, os, sys\n"
        f"seen = dict(arguments=sys.argv[1:], folder=os.getcwd(), **{{k: v for k, v in os.environ.items()"
        " if k.startswith('RSDETECT_')})\n"
        "seen['summary'] = json.load(open(os.environ['RSDETECT_SUMMARY']))\n"
        f"open({str(told)!r}, 'a').write(json.dumps(seen) + '\\n')\n"
        + "\n".join(lines)
        + f"\nprint('no luck'); sys.exit({status})\n"
    )
    return {
        "hook": {"kind": "command", "command": [sys.executable, str(script), "; touch hacked", "$HOME"]}
    }, told


def calls(told):
    return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []


# --- what is news ------------------------------------------------------------------------------------------

MOMENT = datetime(2024, 5, 3, tzinfo=UTC)


def event(number, confirmed=False, resolved=False, merged=False):
    return Event(
        id=f"e{number}",
        status=Status.NEW,
        first_seen=MOMENT,
        last_seen=MOMENT,
        confirmed_on=MOMENT if confirmed else None,
        resolved_on=MOMENT if resolved else None,
        observations=1,
        seen=1,
        geometry=shapely.MultiPolygon([shapely.box(0, 0, 1, 1)]),
        area_m2=float(number),
        probability_mean=1.0,
        merged_into="e0" if merged else None,
        follows=None,
    )


events = st.lists(
    st.builds(event, st.integers(0, 9), st.booleans(), st.booleans(), st.booleans()),
    unique_by=lambda each: each.id,
)
told_before = st.dictionaries(
    st.integers(0, 12).map("e{}".format), st.sampled_from([str(m) for m in MILESTONES])
)


@given(events=events, told=told_before)
def test_every_new_milestone_is_delivered_once(events, told):
    news = find_event_news(events, told)
    items = [item for each in MILESTONES for item in news.at_milestone(each)]
    assert sorted(item.event.id for item in items) == sorted(item.event.id for item in news.items)
    assert {item.event.id for item in items} == {
        each.id
        for each in events
        if told.get(each.id) != event_milestone(each)
        and not (each.id not in told and event_milestone(each) is Status.MERGED)
    }
    assert set(news.withdrawn) == set(told) - {each.id for each in events}
    now = {each.id: str(event_milestone(each)) for each in events}
    assert not find_event_news(events, now)
    assert find_event_news(list(reversed(events)), told).id == news.id


# --- rounds ------------------------------------------------------------------------------------------------


def test_a_run_delivers_all_news_and_the_next_one_none_and_keeps_the_page(place, new_job, monkeypatch):
    news, told = command(place)
    job = new_job(place, news=news)
    done = run(job)
    assert done.status == 0, done.err
    (call,) = calls(told)
    summary = summary_of(place)
    assert call["summary"] == summary
    assert call["arguments"] == ["; touch hacked", "$HOME"] and not (place / "hacked").exists()
    assert call["folder"] == str(place)
    assert call["RSDETECT_NEWS_ID"] == summary["news_id"]
    assert call["RSDETECT_REPORT"] == summary["files"]["report"]
    assert len(ids(summary)) >= 2
    assert ids(summary) == in_layer(place)
    assert summary["has_news"] and summary["run"]["site"] == summary["site"]

    page = (place / "out" / "report.html").read_text()
    with monkeypatch.context() as patch:
        patch.setattr(Thumbnails, "thumbnail", lambda *_: 1 / 0)  # no scene is decoded without need
        again = run(job)
    assert again.status == 0 and len(calls(told)) == 1
    summary = summary_of(place)
    assert not summary["has_news"] and ids(summary) == []
    later = (place / "out" / "report.html").read_text()
    assert "no scenes compared. Nothing new since the news of" in later
    assert later.partition("</header>")[2] == page.partition("</header>")[2]
    assert len(list((place / "out" / "reports").iterdir())) == 1  # what was news stays


def test_news_come_scene_by_scene_and_an_event_is_delivered_at_each_milestone(tmp_path):
    news, told = command(tmp_path)
    job = write_job(tmp_path, news=news)
    came = {}
    made = series(cloudy=0)
    for number in range(len(DAYS)):
        deliver(tmp_path, made, number)
        assert run(job).status == 0
        for each in MILESTONES:
            for item in summary_of(tmp_path)["news"][str(each)]:
                assert item["was"] == came.get(item["event"])
                came[item["event"]] = str(each)
    assert "confirmed" in came.values()
    assert sorted(came) == in_layer(tmp_path)
    assert len({call["RSDETECT_NEWS_ID"] for call in calls(told)}) == len(calls(told)) >= 2


def test_the_page_carries_all_in_itself(place, new_job):
    job = new_job(place)
    assert run(job).status == 0
    summary = summary_of(place)
    page = (place / "out" / "report.html").read_text()
    assert page == Path(summary["files"]["report"]).read_text()
    assert "Valley &lt;b&gt;&amp; co&lt;/b&gt;" in page and "<b>" not in page
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page) and page.count("<script") == 1
    images = re.findall(r"data:image/(?:png|jpeg);base64,([^\"]+)", page)
    assert len(images) >= 2 * len(ids(summary))
    for image in images:
        with rasterio.MemoryFile(base64.b64decode(image)) as memory, memory.open() as picture:
            assert picture.count == 3 and picture.read().std() > 5  # something is to be seen in it
    for name in ids(summary):
        assert name in page


def test_a_hook_that_fails_undoes_nothing_and_is_called_again(place, new_job):
    news, told = command(place, status=7)
    job = new_job(place, news=news)
    done = run(job)
    assert done.status == 3
    assert "ended with status 7: no luck" in done.err and "delivers them again" in done.err
    assert in_layer(place) == ids(summary_of(place))
    first = calls(told)[0]
    assert run(job).status == 3
    assert [call["RSDETECT_NEWS_ID"] for call in calls(told)] == [first["RSDETECT_NEWS_ID"]] * 2
    assert calls(told)[1]["RSDETECT_REPORT"] == first["RSDETECT_REPORT"]
    command(place)  # fixed
    assert run(job).status == 0
    assert calls(told)[2]["summary"]["news"] == first["summary"]["news"]
    assert run(job).status == 0 and len(calls(told)) == 3


def test_a_run_that_dies_before_it_stores_the_delivery_repeats_it(place, new_job, monkeypatch):
    news, told = command(place)
    job = new_job(place, news=news)
    genuine = Journal.put_fact

    def dying(journal, name, value):
        if name == "told":
            raise MemoryError("dying here")
        genuine(journal, name, value)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "put_fact", dying)
        assert run(job).status == 3
    assert run(job).status == 0
    assert len(calls(told)) == 2 and len({call["RSDETECT_NEWS_ID"] for call in calls(told)}) == 1


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ({"kind": "command", "command": ["no-such-program-here"]}, "there is no such program"),
        ({"kind": "command", "command": ["./tell"]}, "there is no such program"),
        ({"kind": "webhook", "url_env": "NO_SUCH_VARIABLE"}, "the environment variable NO_SUCH_VARIABLE"),
        ({"kind": "webhook", "url": "ftp://host/x"}, "does not begin with http:// or https://"),
        ({"kind": "webhook", "url": "http://h/", "header_env": {"Authorization": "NO_SUCH"}}, "NO_SUCH"),
        ({"kind": "webhook"}, "give one of url and url_env"),
    ],
)
def test_a_hook_that_cannot_work_is_refused_before_anything_is_done(tmp_path, new_job, hook, said):
    done = run(new_job(tmp_path, news={"hook": hook}))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert said in done.err
    assert not (tmp_path / "out").exists()


# --- a webhook ---------------------------------------------------------------------------------------------


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setattr("rsdetect.feeds.retries._BACKOFF_S", 0.01)
    monkeypatch.setenv("HOOK_TOKEN", f"Bearer {TOKEN}")
    with serving(Receiver()) as server:
        monkeypatch.setenv("HOOK_URL", server.url)
        yield server


WEBHOOK = {"hook": {"kind": "webhook", "url_env": "HOOK_URL", "header_env": {"Authorization": "HOOK_TOKEN"}}}


def everything_written(folder):
    return b"".join(path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file())


def test_a_webhook_gets_the_summary_after_a_server_has_stumbled(place, new_job, receiver):
    receiver.answers = [503, 429, 500]
    done = run(new_job(place, news=WEBHOOK))
    assert done.status == 0, done.err
    assert len(receiver.got) == 4
    headers, body = receiver.got[-1]
    assert json.loads(body) == summary_of(place)
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == summary_of(place)["news_id"]
    assert run(new_job(place, news=WEBHOOK)).status == 0 and len(receiver.got) == 4


@pytest.mark.parametrize("answers", [[400], [302], [503] * 5], ids=["refused", "sent elsewhere", "down"])
def test_a_webhook_that_does_not_take_the_news_gets_them_next_time(place, new_job, receiver, answers):
    receiver.answers = list(answers)
    done = run(new_job(place, news=WEBHOOK))
    assert done.status == 3
    assert "the webhook at 127.0.0.1" in done.err
    kept = everything_written(place)
    for secret in (TOKEN, "key-in-the-path"):
        assert secret not in done.err + done.out
        assert secret.encode() not in kept
    before = len(receiver.got)
    assert run(new_job(place, news=WEBHOOK)).status == 0
    assert len(receiver.got) == before + 1


def test_a_webhook_that_does_not_exist_is_reported_without_its_address(place, new_job, monkeypatch, receiver):
    with refusing_port() as port:
        monkeypatch.setenv("HOOK_URL", f"http://127.0.0.1:{port}/hooks/key-in-the-path")
        done = run(new_job(place, news=WEBHOOK))
    assert done.status == 3
    assert "cannot be reached" in done.err and "key-in-the-path" not in done.err
    with closing(sqlite3.connect(place / "out" / ".monitor" / "journal.sqlite")) as journal:
        assert "key-in-the-path" not in "\n".join(journal.iterdump())


# --- pictures ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictured(watched):
    with Journal(JobFolder(watched / "out").journal, write=False) as journal:
        site = site_from_journal(journal.fact("site"), None)
        yield watched, site, Thumbnails(site, ScenesSection(), journal.scenes())


@given(row=st.integers(-60, 90), col=st.integers(-60, 90), edge=st.integers(1, 130), step=st.integers(1, 9))
def test_a_chip_is_every_nth_pixel_of_its_window(pictured, row, col, edge, step):
    _, _, thumbnails = pictured
    (scene,) = [scene for scene in thumbnails.scenes.values() if scene.valid_share < 0.9][:1]
    thumb = thumbnails.thumbnail(scene, Cutout(Window(row, col, edge, edge), step))
    whole = np.zeros((4, 96 + 400, 96 + 400), np.float32)
    with rasterio.open(scene.path) as raster, rasterio.open(scene.mask) as mask:
        whole[:, 200 : 200 + 96, 200 : 200 + 96] = np.where(mask.read(1) == 0, raster.read(), 0)
    wanted = whole[:, 200 + row : 200 + row + edge, 200 + col : 200 + col + edge][:, ::step, ::step]
    np.testing.assert_array_equal(thumb.values, wanted)
    np.testing.assert_array_equal(thumb.valid, wanted[0] > 0)


def test_large_places_are_thinned_and_blocks_join_without_a_seam(pictured, monkeypatch):
    _, site, thumbnails = pictured
    area = shapely.box(*site.grid.bounds)
    monkeypatch.setattr("rsdetect.monitoring.thumbnails._MOST_EDGE", 64)
    cutout = Cutout.around(area, site)
    assert cutout.step == 3 and cutout.shape == (64, 64)
    scene = thumbnails.scenes["20240513.tif"]
    whole = thumbnails.thumbnail(scene, cutout)
    monkeypatch.setattr("rsdetect.monitoring.thumbnails._BLOCK", 20)
    in_blocks = thumbnails.thumbnail(scene, cutout)
    np.testing.assert_array_equal(whole.values, in_blocks.values)
    np.testing.assert_array_equal(whole.valid, in_blocks.valid)


def test_an_outline_lies_where_its_pixels_are(pictured):
    _, site, _ = pictured
    left, _, _, top = site.grid.bounds
    area = shapely.MultiPolygon([shapely.box(left + 300, top - 200, left + 500, top - 100)])
    cutout = Cutout.around(area, site)
    assert cutout == Cutout(Window(15 - 24, 40 - 24, 48, 48), 1)
    corners = {tuple(map(float, point.split(","))) for point in cutout.outline(area, site)[1:-1].split()}
    # Columns 30 to 50 and rows 10 to 20 of the grid, counted from the frame's corner.
    assert corners == {(30 - 16, 10 + 9), (50 - 16, 10 + 9), (50 - 16, 20 + 9), (30 - 16, 20 + 9)}


def test_the_clearest_of_the_last_scenes_is_shown(pictured):
    _, _, thumbnails = pictured
    cutout = Cutout(Window(0, 0, 96, 96), 1)
    latest = sorted(thumbnails.scenes.values(), key=lambda scene: scene.taken, reverse=True)
    shares = [thumbnails.thumbnail(scene, cutout).valid_share for scene in latest]
    assert min(shares) < 0.9
    first_clear = next(i for i, share in enumerate(shares) if share >= 0.95)
    assert thumbnails.clearest(latest, cutout).scene == latest[first_clear].id
    hazy = [scene for scene, share in zip(latest, shares, strict=True) if share < 0.95]
    assert thumbnails.clearest(hazy, cutout).valid_share == max(share for share in shares if share < 0.95)
    assert thumbnails.clearest([], cutout) is None
