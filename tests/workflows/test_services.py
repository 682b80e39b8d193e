"""The files for service managers: systemd takes the units, and what they and containers start runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from support.jobs import run_here
from support.stand_ins import calls, require_compose_file, write_stand_ins
from support.watched_jobs import deliver, series, write_job

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD = ROOT / "workflows" / "systemd"
DOCKER = ROOT / "workflows" / "docker" / "compose.yaml"
CRON_JOB = ROOT / "workflows" / "kubernetes" / "cronjob.yaml"
MOST_EXPOSURE = 2.0  # of 10, as `systemd-analyze security` counts


@pytest.fixture
def systemd_analyze():
    """Run systemd-analyze; the test is skipped where it is missing, unless CI wants it."""

    def analyze(*arguments):
        if shutil.which("systemd-analyze") is None:
            if os.environ.get("CI"):
                pytest.fail("systemd-analyze is not installed: apt-get install systemd")
            pytest.skip("systemd is not installed")
        return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)

    return analyze


@pytest.fixture
def site(tmp_path):
    """A job of two dates in a folder of its own."""
    deliver(tmp_path, series(), 0, 1)
    return write_job(tmp_path)


def setting(unit, name):
    (found,) = re.findall(rf"^{name}=(.+)$", (SYSTEMD / unit).read_text(), re.MULTILINE)
    return found


def test_systemd_takes_the_units_and_the_service_is_confined(tmp_path, systemd_analyze):
    for path in SYSTEMD.iterdir():
        text = path.read_text().replace("/opt/rsdetect/.venv/bin/rsdetect", "/bin/true")
        (tmp_path / path.name.replace("@", "@valley")).write_text(text)
        (tmp_path / path.name).write_text(text)  # the template, which other units call
    for unit in sorted(tmp_path.glob("*@valley*")):
        done = systemd_analyze("verify", str(unit))
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), unit.name
    service = tmp_path / "rsdetect-monitor@valley.service"
    done = systemd_analyze(
        "security", "--offline=true", f"--threshold={10 * MOST_EXPOSURE:.0f}", str(service)
    )
    assert done.returncode == 0, done.stdout[-200:]
    text = service.read_text()
    assert "\nUser=rsdetect\n" in text and "\nStateDirectory=rsdetect/%i\n" in text


def test_the_timer_fires_on_mondays(systemd_analyze):
    done = systemd_analyze("calendar", "--iterations=3", setting("rsdetect-monitor@.timer", "OnCalendar"))
    assert done.returncode == 0, done.stderr
    fires = re.findall(r"(?:Next elapse|Iteration #\d|Iter\. #\d): (\w{3}) [\d-]+ (\S+)", done.stdout)
    assert fires == [("Mon", "06:00:00")] * 3


def test_what_systemd_starts_runs_the_job(site):
    program, *arguments = setting("rsdetect-monitor@.service", "ExecStart").split()
    assert program.endswith("/.venv/bin/rsdetect")
    told = run_here(*(part.replace("/etc/rsdetect/%i.yaml", str(site)) for part in arguments))
    assert (told.status, told.err) == (0, "")


def test_a_failure_is_mailed_with_its_log(tmp_path):
    command = setting("rsdetect-mail@.service", "ExecStart")
    unit = "rsdetect-monitor@valley.service"
    for sign, value in (("%i", unit), ("%H", "host"), ("%%", "%")):  # as systemd replaces them
        command = command.replace(sign, value)
    environment = write_stand_ins(tmp_path)
    to, _, address = setting("rsdetect-mail@.service", "Environment").partition("=")
    program = command.replace("/usr/sbin/sendmail", "sendmail").replace(r"\n", "\\n")
    subprocess.run(shlex.split(program), env=environment | {to: address}, check=True)
    mail = (tmp_path / "mail").read_text()
    assert mail.startswith(f"To: root\nSubject: {unit} failed on host\n\n")
    assert mail.endswith(f"the log of {unit}\n")
    assert ["systemctl", "status", "--full", "--lines", "50", unit] in calls(tmp_path)


def test_the_container_serves_the_job_and_its_health_check_asks_for_it(site, tmp_path):
    service = require_compose_file(DOCKER)["monitor"]
    assert service["command"][:2] == ["monitor", "serve"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["rsdetect"]' in dockerfile and "WORKDIR /data" in dockerfile
    kind, command = service["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    name = "sentinel2_municipality.yaml"
    assert service["command"][2] == name and f"../{name}:/data/{name}:ro" in service["volumes"]
    (tmp_path / name).write_text(site.read_text())
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
    }

    def health():
        return subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, env=environment).returncode

    assert run_here("monitor", "run", tmp_path / name).status == 0
    assert health() == 0
    (tmp_path / name).write_text("site: [\n")
    assert health() == 1  # Docker reserves 2 and higher ones


def test_images_have_the_version_of_the_package():
    files = (DOCKER, CRON_JOB, CRON_JOB.with_name("dask_cluster.yaml"))
    found = {tag for file in files for tag in re.findall(r"rsdetect:([\d.]+)", file.read_text())}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert found == {project["version"]}


def test_the_cron_job_runs_the_command_of_a_job_with_a_folder_to_write_in(site):
    claim, cron_job = yaml.safe_load_all(CRON_JOB.read_text())
    job = cron_job["spec"]["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    told = run_here(
        *(part.replace("/data/sentinel2_municipality.yaml", str(site)) for part in container["args"])
    )
    assert (told.status, told.err) == (0, "")
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert set(mounts.values()) == set(volumes)
    results = volumes[mounts["/data"]]["persistentVolumeClaim"]["claimName"]
    assert results == claim["metadata"]["name"]
    (fails,) = [rule for rule in job["podFailurePolicy"]["rules"] if rule["action"] == "FailJob"]
    assert fails["onExitCodes"]["values"] == [1, 2]
    assert fails["onExitCodes"]["containerName"] == container["name"]


# --- checked by the programs themselves, in environments of their own ---------------------------------------


def python_of(variable):
    """Python of the environment that a variable names; the test is skipped without it."""
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f"{variable} names no environment")
    return str(Path(folder) / "bin" / "python")


def test_kubernetes_knows_every_field_of_the_manifests():
    command = [python_of("RSDETECT_TOOLS"), ROOT / "tests" / "support" / "kubernetes_manifest.py"]
    done = subprocess.run(
        [*command, ROOT / "workflows" / "kubernetes"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.stress
def test_airflow_loads_the_dag(tmp_path):
    command = [python_of("RSDETECT_AIRFLOW"), ROOT / "tests" / "support" / "airflow_dagbag.py"]
    done = subprocess.run(
        [*command, ROOT / "workflows" / "airflow_dag.py"],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert loaded == {"errors": {}, "dags": {"rsdetect_monitor": {"run": 4}}}
