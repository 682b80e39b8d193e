"""A dry run names what the run then compares, and a journal of the last release is taken as it is."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rsdetect.monitoring.history_store import load_events
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal import Journal
from support.jobs import listing, run_here
from support.watched_jobs import deliver, series, write_job

SECOND, THIRD = "20240513.tif", "20240523.tif"
# Dump of the journal that 0.1.0 left of three dates of `series()`.
LAST_RELEASE = Path(__file__).with_name("journal_0_1_0.sql")


@pytest.fixture
def job(tmp_path):
    """Two dates that were compared."""
    made = series(cloudy=0.0)
    deliver(tmp_path, made, 0, 1)
    path = write_job(tmp_path)
    assert run_here("monitor", "run", path).status == 0
    deliver(tmp_path, made, 2)
    return path


def everything(folder):
    return {path: path.read_bytes() for path in folder.glob("out/**/*") if path.is_file()}


def preview(job):
    before = listing(job.parent), everything(job.parent)
    done = run_here("monitor", "run", job, "--dry-run", "--json")
    assert done.status == 0, done.err
    assert (listing(job.parent), everything(job.parent)) == before
    found = json.loads(done.out)
    return found["new"], [(each["scene"], each["reason"]) for each in found["repeated"]]


def change(job, statement):
    with closing(sqlite3.connect(JobFolder(job.parent / "out").journal)) as journal, journal:
        journal.execute(statement)


def test_a_dry_run_names_what_the_run_then_compares(job):
    text = job.read_text()
    assert preview(job) == ([THIRD], [])
    change(job, "UPDATE steps SET content = json_set(content, '$.scoring', 'of another version')")
    assert preview(job) == ([THIRD], [(SECOND, "the model or rsdetect changed")])
    job.write_text(text.replace("threshold: 0.5", "threshold: 0.4"))
    assert preview(job) == ([THIRD], [(SECOND, "the job file changed")])
    said = run_here("monitor", "run", job, "--dry-run").err
    assert "1 comparison would be repeated (the job file changed): 20240513.tif" in said
    run = json.loads(run_here("monitor", "run", job, "--json").out)["run"]
    assert run["compared"] == [SECOND, THIRD]
    assert preview(job) == ([], [])
    job.write_text(
        text.replace("threshold: 0.5", "threshold: 0.4")
        .replace("policy: fixed", "policy: previous")
        .replace("  scene: '2024-05-03'\n", "")
    )
    assert preview(job) == ([], [(THIRD, "the job file changed")])
    assert "would compare nothing" not in run_here("monitor", "run", job, "--dry-run").err


def test_a_job_that_never_ran_would_read_all_scenes(tmp_path):
    deliver(tmp_path, series(), 0)
    assert preview(write_job(tmp_path)) == (["20240503.tif"], [])
    assert not (tmp_path / "out").exists()


def test_a_journal_of_the_last_release_goes_on_with_its_events(tmp_path):
    deliver(tmp_path, series(), 0, 1, 2)
    job = write_job(tmp_path)
    folder = JobFolder(tmp_path / "out")
    folder.inner.mkdir(parents=True)
    with closing(sqlite3.connect(folder.journal)) as journal, journal:
        journal.executescript(LAST_RELEASE.read_text().replace("PLACE", str(tmp_path)))
        journal.executescript("PRAGMA application_id = 1920167274; PRAGMA user_version = 1;")
        wanted = {row[0]: json.loads(row[1]) for row in journal.execute("SELECT id, content FROM events")}
    assert run_here("monitor", "status", job, "--nagios", "--late-after", "90000d").status == 0
    new, repeated = preview(job)
    assert len(new) == 3 and repeated == []  # it read scenes in another way
    done = json.loads(run_here("monitor", "run", job, "--json").out)
    assert (done["run"]["status"], len(done["run"]["compared"])) == (0, 2)
    with Journal(folder.journal, write=False) as journal:
        found = {event.id: str(event.status) for event in load_events(journal)}
    assert found == {event: content["status"] for event, content in wanted.items()}
    assert not done["has_news"]  # they were delivered
    assert preview(job) == ([], [])
