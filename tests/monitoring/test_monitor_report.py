"""The report page of a monitoring job, of events that are made up; and what a run prints."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine

from rsdetect.commands.monitor_text import failure_lines, run_lines
from rsdetect.grid import Grid
from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.ingestion.site import site_within_aoi
from rsdetect.jobs.report.space import PageSpace
from rsdetect.monitoring.events import Event, Observation, Status
from rsdetect.monitoring.graticule import graticule
from rsdetect.monitoring.news import LatestNews, find_event_news
from rsdetect.monitoring.report import MonitorReport, render_report
from rsdetect.monitoring.report_pictures import PictureCache, ReportPictures
from rsdetect.monitoring.run import RunResult
from rsdetect.monitoring.thumbnails import Thumbnails
from rsdetect.monitoring.totals import Totals
from support.chromium import asked_in_chromium, opened_in_chromium

HOSTILE = "\"><script>alert(1)</script><b>&' تغيير 变化"
UTM = pyproj.CRS(32633).to_wkt()
NORTH_UP = Affine(10, 0, 500_000, 0, -10, 5_300_000)
GRIDS = {
    "utm": Grid(UTM, NORTH_UP, 400, 600),
    "degrees": Grid(pyproj.CRS(4326).to_wkt(), Affine(1e-4, 0, 15, 0, -1e-4, 48), 400, 600),
    "south up": Grid(UTM, Affine(10, 0, 500_000, 0, 10, 5_296_000), 400, 600),
    "no place": Grid(None, Affine(1, 0, 0, 0, -1, 0), 400, 600),
}


def event(number, grid=GRIDS["utm"], **changes):
    """An event of eight pixels edge, the next in its row."""
    col, row = 10 + 12 * (number % 48), 10 + 12 * (number // 48 % 30)
    corners = [grid.transform @ corner for corner in ((col, row), (col + 8, row + 8))]
    first = datetime(2024, 1, 15, tzinfo=UTC) + timedelta(days=number % 300)
    given = {
        "id": f"{first:%Y%m%d}-{number:08x}",
        "status": Status.CONFIRMED,
        "first_seen": first,
        "last_seen": first + timedelta(days=20),
        "confirmed_on": first + timedelta(days=10),
        "resolved_on": None,
        "observations": 3,
        "seen": 2,
        "geometry": shapely.MultiPolygon([shapely.box(*np.sort(np.array(corners), axis=0).ravel())]),
        "area_m2": None if grid.crs is None else 6400.0 + number,
        "probability_mean": 0.5 + number % 50 / 100,
        "merged_into": None,
        "follows": None,
        "kind": ("water gain", "burnt", None)[number % 3],
    }
    return Event(**given | changes)


def report(folder, events, grid=GRIDS["utm"], *, has_news=True, latest=None, **changes):
    """The report of these events, without scenes."""
    site = site_within_aoi(grid, ("red", "green", "blue"), None)
    observations = [
        Observation(
            each.id, "a scene", each.first_seen + timedelta(days=10 * i), "",
            seen, 1.0, 1.0, 0.8, None, None, 1, each.status, "",
        )
        for each in events
        for i, seen in enumerate((True, None, False, True))
    ]  # fmt: skip
    run = {"compared": ["a"], "failed": [], "set_aside": [], "unmatched": [f"{HOSTILE}.tif"]} | changes
    summary = {
        "site": HOSTILE,
        "has_news": has_news,
        "written": "2024-12-01T08:00:00+00:00",
        "run": run,
        "job": f"{HOSTILE}.yaml",
        "files": {"events": "events.gpkg"},
    }
    latest = latest or LatestNews.of(find_event_news(events, {}), "2024-11-30T08:00:00+00:00")
    thumbnails = Thumbnails(site, ScenesSection(), ())
    pictures = ReportPictures(site, thumbnails, observations, PictureCache(folder / "pictures.json"))
    timelines = frozenset({f"{events[0].id}.html"}) if events else frozenset()
    return MonitorReport(summary, events, observations, latest, site, pictures, timelines)


def test_the_page_sorts_and_links_and_its_names_are_text(tmp_path):
    statuses = (Status.NEW, Status.CONFIRMED, Status.UNOBSERVED)
    events = [event(i, status=statuses[i % 3]) for i in range(60)]
    text = render_report(report(tmp_path, events))
    assert text.count("<script") == 1 and "<b>" not in text and "变化" in text
    assert set(re.findall(r'href="([^#"][^"]*)"', text)) == {f"timelines/{events[0].id}.html"}
    page = tmp_path / "page.html"
    page.write_text(text, encoding="utf-8")
    (tmp_path / "chromium").mkdir()
    assert opened_in_chromium(page, tmp_path / "chromium") == ([], set())
    script = """
    const rows = () => [...document.querySelectorAll("#events tbody tr")];
    const press = (key) => document.querySelector(`th[data-key="${key}"] button`).click();
    const found = {};
    for (const key of ["area", "probability", "first", "what"]) {
      press(key); found[key] = rows().map((row) => row.dataset[key]);
    }
    const head = document.querySelector('th[data-key="what"]');
    found.said = head.getAttribute("aria-sort"); found.tab = head.querySelector("button").tabIndex;
    const links = [...document.querySelectorAll(".map a")];
    found.dead = links.filter((link) => !document.getElementById(link.getAttribute("href").slice(1))).length;
    found.links = links.length;
    const box = links[0].querySelector("path").getBoundingClientRect();
    found.wide = document.documentElement.scrollWidth <= innerWidth;
    found.drawn = box.width > 2;
    return found;
    """
    found = asked_in_chromium(page, tmp_path, script, (400, 900))  # a phone
    assert [float(area) for area in found["area"]] == sorted((each.area_m2 for each in events), reverse=True)
    assert [float(p) for p in found["probability"]] == sorted(map(float, found["probability"]), reverse=True)
    assert found["first"] == sorted(found["first"]) and found["what"] == sorted(found["what"])
    assert (found["said"], found["tab"], found["dead"], found["links"]) == ("ascending", 0, 0, 60)
    assert found["wide"] and found["drawn"]


@pytest.mark.parametrize("name", list(GRIDS))
def test_every_event_has_its_place_on_the_map_and_in_the_table(tmp_path, name):
    grid = GRIDS[name]
    events = [event(i, grid) for i in (0, 700)]
    given = report(tmp_path, events, grid)
    text = render_report(given)
    overview = given.pictures.overview(events, [])
    found = {mark.event.id: (mark.x, mark.y) for mark in overview.marks}
    rows = {each.id: int(each.id[-8:], 16) // 48 % 30 * 12 + 14 for each in events}
    assert {key: y for key, (_, y) in found.items()} == pytest.approx(
        {key: 400 - row if name == "south up" else row for key, row in rows.items()}, abs=0.2
    )
    place = r"row \d+, column \d+" if name == "no place" else r"4[78]\.\d{5}, 15\.\d{5}"
    assert len(re.findall(rf"<td>{place}</td>", text)) == 2
    assert ('class="scale"' in text) == (name != "no place")
    meridians = [line for line in overview.lines if line.is_meridian]
    assert len(meridians) >= 2 and len(meridians) < len(overview.lines)
    pattern = r"(row|column) \d+" if name == "no place" else r"\d+\.\d+° [EN]"
    assert all(re.fullmatch(pattern, line.text) for line in overview.lines)


def test_the_lines_of_a_graticule_lie_where_they_say():
    space = PageSpace(GRIDS["utm"])
    to_degrees = pyproj.Transformer.from_crs(UTM, 4326, always_xy=True)
    for line in graticule(space):
        lon, lat = to_degrees.transform(*(NORTH_UP @ (line.x, line.y)))
        value = lon if line.is_meridian else lat
        assert value == pytest.approx(float(line.text.partition("°")[0]), abs=1e-6)
    world = graticule(PageSpace(Grid(pyproj.CRS(4326).to_wkt(), Affine(1, 0, 100, 0, -1, 80), 160, 160)))
    assert {line.text for line in world if line.is_meridian} >= {"150° E", "160° W"}  # across 180 degrees


def test_totals_count_each_event_once():
    merged = event(3, status=Status.MERGED, merged_into="another")
    totals = Totals.of([event(0), event(1, status=Status.RESOLVED), event(65), merged])
    assert [(total.name, total.count) for total in totals.by_status] == [("confirmed", 2), ("resolved", 1)]
    kinds = {total.name: (total.count, total.area_m2) for total in totals.by_kind}
    assert kinds == {"unknown": (1, 6465), "burnt": (1, 6401), "water gain": (1, 6400)}
    assert [(total.name, total.count) for total in totals.by_month] == [
        ("2024-01", 2),
        ("2024-02", 0),
        ("2024-03", 1),
    ]
    assert Totals.of([]).by_month == ()


def test_a_page_without_news_keeps_the_last_news_and_what_is_confirmed(tmp_path):
    events = [event(0), event(1), event(2, resolved_on=datetime(2024, 6, 1, tzinfo=UTC))]
    latest = LatestNews("2024-11-01T09:30:00+00:00", {events[1].id: ("new", None)}, ("20230101-gone",))
    assert LatestNews.from_journal(json.loads(json.dumps(asdict(latest)))) == latest
    text = render_report(report(tmp_path, events, has_news=False, latest=latest, compared=[]))
    assert "Last run: 2024-12-01 08:00 UTC, no scenes compared" in text
    assert "Nothing new since the news of 2024-11-01 09:30 UTC" in text
    new, _, rest = text.partition('aria-label="Confirmed before"')
    assert f'<article id="{events[1].id}"' in new and f'<article id="{events[0].id}"' in rest
    assert f'<article id="{events[2].id}"' not in text and f'id="{events[2].id}"' in text
    assert "20230101-gone" in text


@pytest.mark.parametrize(("count", "listed"), [(0, 0), (2500, 2000)])
def test_no_event_and_many(tmp_path, count, listed):
    text = render_report(report(tmp_path, [event(i) for i in range(count)]))
    assert text.count("<tr data-id") + text.count("<tr id=") == listed
    assert ("None so far" in text) == (count == 0)
    assert ("500 older events are not listed" in text) == (count == 2500)
    assert len(text.encode()) < 4_000_000


def test_a_run_prints_ten_events_and_how_many_more():
    events = [event(i, status=Status.NEW if i else Status.CONFIRMED) for i in range(147)]
    result = RunResult(
        job=SimpleNamespace(site="valley", baseline=None),
        folder=SimpleNamespace(events="events.gpkg"),
        history=None,
        compared=("a",),
        failed=tuple((f"scene {i}", "unreadable") for i in range(12)),
        given_up=(),
        set_aside=(),
        clouded=(),
        listed=1,
        ingested=1,
        notes=tuple("abc"),
        left_out=(),
        unmatched=("x.txt", "y.jpg"),
        unreached=None,
        waiting=(),
        changed=tuple((each, None) for each in events),
    )
    lines = list(run_lines(result))
    assert "147 events changed: 1 confirmed, 146 new" in lines
    assert sum(line.startswith("  2024") for line in lines) == 10 and lines[-1] == "  and 137 more events"
    assert events[0].id in lines[-11]
    assert "Warning: 2 files of the folder do not fit the pattern: x.txt, y.jpg" in lines
    failed = list(failure_lines(result))
    assert len(failed) == 11 and failed[-1] == "Error: and 2 more scenes failed"
