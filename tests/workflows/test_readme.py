"""Every command of workflows/README.md runs literally, from a copy of the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from rsdetect.geopackage.file import Layer, write_geopackage
from support.file_server import ServerApart
from support.postgis import is_installed, postgis, query
from support.stac_server import item, stac_api
from support.stand_ins import await_jobs, calls, write_stand_ins

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "workflows" / "README.md").read_text(encoding="utf-8")
ENTER = ". .venv/bin/activate"
PROGRAMS = (
    *("rsdetect", "python", "python3", "pip", "bash", "dask", "sbatch", "snakemake", "docker", "kubectl"),
    *("crontab", "sudo", "systemctl", "apt-get", "make"),
)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # other cores run other tests
TOOLS = os.environ.get("RSDETECT_TOOLS")  # an environment with tests/workflows/requirements.txt


def blocks():
    """Blocks of commands by the first command that tells them apart, in order."""
    found = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert len(found) == README.count("```") / 2, "a block of another language"
    return {block.splitlines()[-1].strip(): block for block in found}


BLOCKS = blocks()


def block(part):
    """The one block with these words."""
    (found,) = [text for text in BLOCKS.values() if part in text]
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of what the commands need of a checkout; what they write stays private to the tests."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("landuse", "municipality", "__pycache__")
    shutil.copytree(ROOT / "workflows", folder / "workflows", ignore=ignored)
    shutil.copy(ROOT / "Dockerfile", folder)
    (folder / "data").symlink_to(ROOT / "data")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture(scope="module")
def shell(copy, tmp_path_factory):
    """Run a block as in a terminal that was just opened; (output, folder of the stand-ins)."""
    done = {}

    def run(text, environment=()):
        if text not in done:
            folder = tmp_path_factory.mktemp("services")
            clean = {"HOME": str(folder), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **ONE_THREAD}
            clean |= write_stand_ins(folder) | dict(environment) | {"RSDETECT_PROCESSES": "2"}
            if TOOLS:
                (folder / "programs" / "snakemake").symlink_to(Path(TOOLS) / "bin" / "snakemake")
            ended = subprocess.run(
                ["bash", "-ec", text], cwd=copy, env=clean, capture_output=True, text=True, timeout=300
            )
            assert ended.returncode == 0, f"{text}\n{ended.stdout}\n{ended.stderr}"
            done[text] = ended.stdout, folder
        return done[text]

    return run


def changes(folder):
    return pyogrio.read_info(folder / "changes.gpkg", layer="changes")["features"]


def test_every_command_is_in_a_block_and_every_block_has_a_test():
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```sh\n.*?^```", "", README, flags=re.M | re.S))
    commands = [text for text in inline if text.split()[0] in PROGRAMS and len(text.split()) > 1]
    everything = "\n".join(BLOCKS.values())
    for command in commands:
        is_worker = command.startswith("dask ")  # run in test_cluster_workflows
        is_named = not re.search(r"[A-Z]{3,}", command) and len(command.split()) > 3 and not is_worker
        assert not is_named or command in everything, f"{command} is in no block"
    tests = Path(__file__).read_text(encoding="utf-8")
    for last, text in BLOCKS.items():
        assert sum(part in text for part in re.findall(r'block\("([^"]+)"\)', tests)), last


def test_a_list_of_pairs_is_run_and_repeated_on_processes(shell, copy):
    shell(block("rsdetect batch workflows/pairs.csv"))
    assert changes(copy / "out" / "pairs") == changes(copy / "out" / "processes") > 100
    record = json.loads((copy / "out" / "processes" / "sample" / "run.json").read_text())
    assert record["options"]["score"]["scheduler"].startswith("tcp://")


def test_shards_are_run_and_collected(shell, copy):
    shell(block("--shard 2/2"))
    assert changes(copy / "out" / "shards") > 0
    summary = (copy / "out" / "shards" / "summary.csv").read_text()
    assert [line.split(",")[1] for line in summary.splitlines()[1:]] == ["done"] * 3


def test_an_array_job_of_slurm_gives_what_single_shards_give_and_a_shard_is_repeated_alone(shell, copy):
    _, services = shell(block("array=$(sbatch"))
    assert {status for status, _ in await_jobs(services).values()} == {0}
    first, second = calls(services)
    assert first[1:3] == ["--parsable", "--array=1-2"] and second[1] == "--dependency=afterany:1"
    shell(block("--shard 2/2"))
    assert changes(copy / "out" / "slurm") == changes(copy / "out" / "shards")
    _, services = shell(block("sbatch --array=2"))
    assert [status for status, _ in await_jobs(services).values()] == [0]
    assert sorted(path.name for path in (copy / "out" / "slurm" / "shards").iterdir()) == ["1-of-2", "2-of-2"]


def test_snakemake_runs_the_shards_and_collects_them(shell, copy):
    if not TOOLS:
        pytest.skip("RSDETECT_TOOLS names no environment with tests/workflows/requirements.txt")
    shell(block("snakemake --snakefile"))
    shell(block("--shard 2/2"))
    assert changes(copy / "out" / "snakemake") == changes(copy / "out" / "shards")


def test_a_cluster_of_processes_gives_what_threads_give(shell, copy):
    shell(block("local_cluster.py detect"))
    shell(block("rsdetect batch workflows/pairs.csv"))
    here, there = (
        pyogrio.read_dataframe(copy / "out" / folder / "changes.gpkg", layer="changes")
        for folder in ("pairs/sample", "local")
    )
    assert len(here) > 0 and len(there) > 0
    record = json.loads((copy / "out" / "local" / "run.json").read_text())
    assert record["options"]["score"]["scheduler"].startswith("tcp://")


def test_a_cluster_on_slurm_runs_a_list(shell, copy):
    _, services = shell(block("slurm_cluster.py batch"))
    assert changes(copy / "out" / "queued") == changes(copy / "out" / "pairs")
    assert [call[0] for call in calls(services)].count("sbatch") >= 1


def test_the_valley_is_monitored(shell, copy):
    out, _ = shell(block("monitor run workflows/landuse_monitor.yaml"))
    assert "simulated valley" in out
    assert len(list((copy / "workflows" / "landuse" / "timelines").iterdir())) == 2


def test_a_municipality_is_monitored_over_a_catalogue(shell, copy, tmp_path):
    days = [date(2023, 1, 9) + timedelta(days=28 * number) for number in (8, 9, 10, 11, 22, 23, 24)]
    for day in days:
        write_bands(tmp_path, f"{day:%Y%m%d}")
    job = copy / "workflows" / "sentinel2_municipality.yaml"
    text = job.read_text()
    with (
        ServerApart(tmp_path) as files,
        stac_api(tmp_path, [item_of(day, files.place) for day in days]) as api,
    ):
        job.write_text(re.sub(r"^  url: .*", f"  url: {api.url}", text, flags=re.MULTILINE))
        shell(block("monitor run workflows/sentinel2_municipality.yaml"), {"no_proxy": "127.0.0.1"})
    events = pyogrio.read_dataframe(copy / "workflows" / "municipality" / "events.gpkg", layer="events")
    assert "confirmed" in set(events.status)


def item_of(day, place):
    """A scene in a catalogue: a file per band, and clouds as Sentinel-2's classes."""
    keys = {"blue": "blue", "green": "green", "red": "red", "nir": "nir", "scl": None}
    assets = {key: (f"http://{place}/{day:%Y%m%d}_{key}.tif", name) for key, name in keys.items()}
    return item(f"S2A_{day:%Y%m%d}", day.isoformat(), assets, cloud=5, collection="sentinel-2-c1-l2a")


def write_bands(folder, name):
    """Write the files of a scene of the sample site."""
    with rasterio.open(ROOT / "data" / "site" / f"{name}.tif") as scene:
        bands = dict(zip(("blue", "green", "red", "nir"), scene.read(), strict=True))
        profile = {key: scene.profile[key] for key in ("driver", "width", "height", "crs", "transform")}
    with rasterio.open(ROOT / "data" / "site" / f"{name}_mask.tif") as mask:
        bands["scl"] = np.array([4, 9, 3], np.uint8)[mask.read(1)]
    for key, values in bands.items():
        with rasterio.open(folder / f"{name}_{key}.tif", "w", **profile, count=1, dtype=values.dtype) as file:
            file.write(values, 1)


def test_serve_prints_when_the_job_is_due_and_ends_on_a_signal(copy, shell, tmp_path):
    shell(block("monitor run workflows/landuse_monitor.yaml"))  # so that nothing is due now
    text = block("monitor serve workflows/landuse_monitor.yaml")
    clean = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    clean |= ONE_THREAD
    with subprocess.Popen(
        ["bash", "-ec", text],
        cwd=copy,
        env=clean | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as served:
        line = served.stdout.readline()
        os.killpg(served.pid, signal.SIGTERM)
        served.communicate(timeout=120)
    assert "landuse_monitor.yaml: due" in line, line


def test_cron_takes_the_line(shell):
    _, services = shell(block("crontab workflows/monitor.cron"))
    assert calls(services) == [["crontab", "workflows/monitor.cron"]]


def test_systemd_has_all_units_the_user_and_the_job(shell):
    _, services = shell(block("systemctl enable"))
    assert calls(services)[-1] == ["systemctl", "enable", "--now", "rsdetect-monitor@valley.timer"]
    job = (services / "root" / "etc" / "rsdetect" / "valley.yaml").read_text()
    assert "  path: /opt/rsdetect/data/site\n" in job and "out: /var/lib/rsdetect/valley\n" in job


def test_docker_takes_the_service(shell):
    _, services = shell(block("docker compose"))
    assert [call[4] for call in calls(services)] == ["config", "up", "exec"]


def test_kubernetes_gets_all_that_the_job_refers_to(shell):
    _, services = shell(block("kubectl create"))
    names = sorted(path.stem for path in (services / "kubernetes").iterdir())
    assert names == [
        "configmap-rsdetect-job",
        "cronjob-rsdetect-monitor",
        "persistentvolumeclaim-rsdetect-results",
    ]


def test_the_dag_is_copied(shell):
    _, services = shell(block("airflow/dags"))
    assert (services / "airflow" / "dags" / "airflow_dag.py").exists()


def test_postgis_has_the_changes_and_the_events(shell, copy, tmp_path):
    if not is_installed() and not TOOLS:
        pytest.skip("PostGIS or psycopg is not installed: apt-get install postgresql-postgis python3-psycopg")
    shell(block("rsdetect batch workflows/pairs.csv"))
    shell(block("monitor run workflows/landuse_monitor.yaml"))
    with ExitStack() as stack:
        client = stack.enter_context(postgis())
        shell(block("publish_postgis.py"), client)
        require_same(client, "changes", "sample", "change_id", copy / "out" / "pairs")
        require_same(client, "events", "landuse", "event_id", copy / "workflows" / "landuse")
        require_current(client, tmp_path)
        require_same(client, "changes", "sample", "change_id", copy / "out" / "pairs")
        query(client, "DELETE FROM spatial_ref_sys WHERE srid <> 4326")  # CRSs that have no number here
        shell(f"{ENTER}\n/usr/bin/python3 workflows/publish_postgis.py workflows/landuse --name text", client)
        require_same(client, "events", "text", "event_id", copy / "workflows" / "landuse")


def require_same(client, layer, name, key, folder):
    """The table of a layer has its features, areas and places."""
    file = pyogrio.read_dataframe(folder / f"{layer}.gpkg", layer=layer)
    rows = query(
        client,
        f"SELECT {key}, area_m2, ST_Area(geom::geography), attributes->>'pixels'"
        f" FROM rsdetect.{layer} WHERE name = '{name}'",
    )
    areas = {row[0]: float(row[1]) for row in rows}
    assert areas == {str(k): area for k, area in zip(file[key], file.area_m2, strict=True)} != {}
    for row in rows:
        assert float(row[2]) == pytest.approx(float(row[1]), rel=1e-3)


def require_current(client, folder):
    """The table follows the results of a folder: new, altered and vanished changes; all or nothing."""
    program = ["/usr/bin/python3", ROOT / "workflows" / "publish_postgis.py", folder, "--name", "again"]

    def publish(pixels_by_id, crs="EPSG:32632"):
        (folder / "changes.gpkg").unlink(missing_ok=True)
        ids = np.array(list(pixels_by_id), np.int64)
        columns = {
            "change_id": ids,
            "area_m2": ids * 100.0,
            "pixels": np.array([*pixels_by_id.values()], int),
        }
        squares = shapely.box(500_000 + 20 * ids, 5_400_000, 500_010 + 20 * ids, 5_400_010)
        write_geopackage(folder / "changes.gpkg", (Layer("changes", squares, columns, ()),), crs)
        done = subprocess.run(program, env=os.environ | client, capture_output=True, text=True, check=False)
        statement = "SELECT change_id, attributes->>'pixels' FROM rsdetect.changes WHERE name = 'again'"
        return done.returncode, {int(row[0]): int(row[1]) for row in query(client, statement)}

    assert publish({1: 10, 2: 20, 3: 30}) == (0, {1: 10, 2: 20, 3: 30})
    assert publish({1: 10, 2: 20, 3: 30}) == (0, {1: 10, 2: 20, 3: 30})
    assert publish({1: 10, 2: 25}) == (0, {1: 10, 2: 25})  # as with a higher threshold
    assert publish({7: 70}, crs=None) == (2, {1: 10, 2: 25})
    assert publish({}) == (0, {})
