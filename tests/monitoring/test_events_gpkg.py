"""events.gpkg: its layers, and what QGIS makes of them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime

import geopandas
import pyproj
import pytest
import shapely

from rsdetect.errors import JobInterrupted
from rsdetect.monitoring import events_gpkg as layers
from rsdetect.monitoring.events import Event, Observation, Status
from rsdetect.monitoring.events_gpkg import write_events_gpkg
from rsdetect.monitoring.history_store import load_events, load_observations, store_history
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.tracking import History
from support.pyqgis import ask_qgis, require_qgis

UTM = pyproj.CRS(32633).to_wkt()
# Left edges of the three observations of one event, and the middle of their map's height.
LATEST = [((2 * 100 * k + 1) / 500, 0.5) for k in range(3)]
COLOURS = {"new": (230, 97, 1), "confirmed": (94, 60, 153), "unobserved": (150, 150, 150)}


def at(month, day=1):
    return datetime(2024, month, day, 10, 30, tzinfo=UTC)


def square(number):
    left = 500_000 + 200 * number
    return shapely.MultiPolygon([shapely.box(left, 5_300_000, left + 100, 5_300_100)])


def history():
    """One event of each status, and three observations of the first."""
    events = [
        Event(
            id=f"20240{2 + number}01-0000000{number}",
            status=status,
            first_seen=at(2 + number),
            last_seen=at(9),
            confirmed_on=None if status == Status.NEW else at(8),
            resolved_on=at(10) if status == Status.RESOLVED else None,
            observations=4,
            seen=3,
            geometry=square(number),
            area_m2=10_000.0,
            probability_mean=0.75,
            merged_into="20240201-00000000" if status == Status.MERGED else None,
            follows=None,
        )
        for number, status in enumerate(Status)
    ]
    observations = [
        Observation(
            event=events[0].id,
            scene=f"scene {month}",
            taken=at(month),
            baseline="" if seen is None else "scene 1",
            seen=seen,
            observed_share=0.1 if seen is None else 1.0,
            changed_share=None if seen is None else 0.9,
            probability_mean=None if seen is None else 0.8,
            geometry=square(month),
            area_m2=10_000.0 if seen else None,
            parts=1 if seen else 0,
            status=Status.NEW,
            relation="",
        )
        for month, seen in ((2, True), (3, None), (4, False))
    ]
    return History(tuple(events), tuple(observations))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("layers") / "events.gpkg"
    write_events_gpkg(path, history(), UTM, "riverside")
    return path


def test_both_layers_hold_what_the_history_says(path):
    events = geopandas.read_file(path, layer="events")
    assert list(events.status) == [str(status) for status in Status]
    assert (events.crs.to_epsg(), set(events.geom_type)) == (32633, {"MultiPolygon"})
    assert str(events.first_seen[0]) == "2024-02-01 10:30:00+00:00"
    assert events.resolved_on.notna().sum() == 1
    assert set(events.site) == {"riverside"}
    observations = geopandas.read_file(path, layer="observations")
    assert list(observations.outcome) == ["seen", "unobserved", "not seen"]
    assert observations.area_m2.notna().sum() == 1
    assert str(observations.taken.dtype).startswith("datetime64[ms")


def test_times_are_marked_as_utc_in_the_file(path):
    with sqlite3.connect(path) as database:
        (taken,) = database.execute("SELECT taken FROM observations LIMIT 1").fetchone()
    database.close()
    assert taken == "2024-02-01T10:30:00.000Z"


def test_no_events_are_two_empty_styled_layers(tmp_path):
    write_events_gpkg(tmp_path / "events.gpkg", History((), ()), UTM, "a")
    for layer in ("events", "observations"):
        assert len(geopandas.read_file(tmp_path / "events.gpkg", layer=layer)) == 0
    with sqlite3.connect(tmp_path / "events.gpkg") as database:
        assert database.execute("SELECT count(*) FROM layer_styles").fetchone() == (2,)
    database.close()


def test_the_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "events.gpkg"
    write_events_gpkg(path, history(), UTM, "before")
    (tmp_path / "events.gpkg-wal").write_text("of the file before")
    kept = path.read_bytes()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(layers, "write_geopackage", fail)
        with pytest.raises(JobInterrupted, match="No space left"):
            write_events_gpkg(path, history(), UTM, "after")
    assert path.read_bytes() == kept
    write_events_gpkg(path, history(), UTM, "after")
    assert [each.name for each in tmp_path.iterdir()] == ["events.gpkg"]
    assert set(geopandas.read_file(path, layer="events").site) == {"after"}


def test_a_history_comes_back_from_the_journal(tmp_path):
    made = history()
    with Journal(tmp_path / "journal.sqlite", write=True) as journal:
        store_history(journal, made)
        store_history(journal, made)
        assert load_events(journal) == made.events
        assert load_observations(journal) == made.observations
        store_history(journal, replace(made, events=made.events[:1], observations=()))
        assert (load_events(journal), load_observations(journal)) == (made.events[:1], ())


# --- in QGIS --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen(path):
    require_qgis()
    places = [((200 * number + 10) / 900, 0.5) for number in range(5)]
    months = [(f"2024-{month:02}-01T00:00:00", f"2024-{month:02}-28T00:00:00") for month in (1, 2, 4, 12)]
    requests = [
        {
            "source": f"{path}|layername={layer}",
            "kind": "vector",
            "png": str(path.with_name(f"{layer}.png")),
            "probes": probes,
            "ranges": months,
        }
        for layer, probes in (("events", places), ("observations", LATEST))
    ]
    answers, messages = ask_qgis("qgis_layers", requests)
    assert messages == []
    return dict(zip(("events", "observations"), answers, strict=True))


def test_qgis_shows_new_in_one_colour_and_confirmed_in_another(seen):
    assert seen["events"]["legend"][:4] == ["Status", "new", "confirmed", "unobserved: cloud since"]
    colours = dict(zip(map(str, Status), seen["events"]["colours"], strict=True))
    for status, colour in COLOURS.items():
        assert colours[status][:3] == pytest.approx(colour, abs=4)
        assert colours[status][3] > 50
    assert colours["resolved"][3] == colours["merged"][3] == 0


def test_of_an_event_the_latest_observation_alone_is_drawn(seen):
    first, second, latest = seen["observations"]["colours"]
    assert first[3] == second[3] == 0
    assert latest[3] > 50


def test_the_temporal_controller_is_set_up(seen):
    events, observations = seen["events"]["times"], seen["observations"]["times"]
    assert events["active"] and observations["active"]
    ids = [event.id for event in history().events]
    resolved = ids[list(Status).index(Status.RESOLVED)]
    # From the first sight on, until it is resolved.
    assert events["shown"] == [[], ids[:1], ids[:3], sorted(set(ids) - {resolved})]
    # Each on its date.
    assert observations["shown"] == [[], ids[:1], ids[:1], []]


def test_columns_have_readable_names_and_features_a_tip(seen):
    for layer in ("events", "observations"):
        assert all(alias for field, alias in seen[layer]["aliases"].items() if field != "fid")
        assert all("[%" not in tip for tip in seen[layer]["tips"])
    assert seen["events"]["fields"]["first_seen"] == "DateTime"
    tip = seen["events"]["tips"][0]
    assert "2024-02-01" in tip and "3 of 4 valid observations" in tip and "1.0 ha" in tip
