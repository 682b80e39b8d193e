"""A monitoring run that is killed before any change of the file system is completed by the next one."""

from __future__ import annotations

import shutil

import pytest

from support.forked import forked_commands
from support.jobs import listing
from support.monitored import layers
from support.trials import trials
from support.watched_jobs import deliver, series, write_job

pytestmark = pytest.mark.stress
MOMENTS = 4  # that the suite tries; `make stress` tries all


@pytest.fixture(scope="module")
def server():
    return forked_commands()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    deliver(folder, series(), 0, 1, 2)
    return folder


def test_monitor_can_be_killed_before_any_change(site, server, tmp_path, stress):
    job = write_job(site, baseline={"policy": "composite", "count": 2}, scenes={"align": True})
    out = site / "out"
    command = ("monitor", "run", job, "--quiet")

    def reset():
        shutil.rmtree(out, ignore_errors=True)

    reset()
    whole = server.run(*command, folder=site)
    assert whole["status"] == 0, whole["err"]
    wanted, files = layers(out), [name for name in listing(out) if not name.startswith("reports/")]
    count = whole["changes"]
    moments = range(1, count + 1) if stress else range(count // 9, count + 1, count // MOMENTS)
    for moment in trials("kills", "monitor", moments):
        reset()
        assert server.run(*command, folder=site, kill=moment)["status"] == -9
        again = server.run(*command, folder=site)
        assert again["status"] == 0, (moment, again["err"])
        assert layers(out) == wanted, moment
        assert [name for name in listing(out) if not name.startswith("reports/")] == files, moment
