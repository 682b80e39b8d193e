"""Stand-ins for the programs of services: they check arguments and files, and run what the service would.

`write_stand_ins` makes a folder with a program of each name, for the front of PATH. Each appends its command
to `calls.jsonl` in the folder that STAND_INS names, and ends with a message and status 64 if a service would
refuse it. Files of the system lie below `root` there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

NAMES = (
    *("sudo", "useradd", "apt-get", "systemctl", "crontab", "sendmail"),
    *("docker", "kubectl", "sbatch", "scancel"),
)
_OF_THE_SYSTEM = ("/etc/", "/var/", "/opt/")
_DURATION = re.compile(r"(\d+(ms|s|m|h))+")


def write_stand_ins(folder):
    """Write the programs into `folder`; the environment in which they work."""
    programs = folder / "programs"
    programs.mkdir(parents=True)
    for name in NAMES:
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} -I {__file__} {name} "$@"\n')
        (programs / name).chmod(0o755)
    (folder / "root").mkdir()
    return {"STAND_INS": str(folder), "PATH": f"{programs}:/usr/bin:/bin"}


def calls(folder):
    """Commands that the stand-ins got, in order."""
    file = folder / "calls.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def await_jobs(folder):
    """Wait for all jobs of Slurm; (status, output) of each by number."""
    found = {}
    for script in sorted((folder / "slurm").glob("*.sh")):
        ended = script.with_suffix(".status")
        while not ended.exists():
            time.sleep(0.05)  # the test's own timeout ends this
        found[int(script.stem)] = int(ended.read_text()), script.with_suffix(".log").read_text()
    return found


def _here():
    return Path(os.environ["STAND_INS"])


def _require(holds, why):
    if not holds:
        sys.exit(why)


def _placed(argument):
    """An argument that is a path of the system as the path below `root`."""
    return f"{_here()}/root{argument}" if argument.startswith(_OF_THE_SYSTEM) else argument


def sudo(*command):
    """Only what an administrator is asked for, with the files of the system below `root`."""
    known = ("useradd", "mkdir", "tee", "cp", "install", "systemctl", "apt-get")
    _require(command[0] in known, f"sudo {command[0]} is not expected")
    places = [_placed(argument) for argument in command[1:]]
    for place in places[-1:]:
        if place.startswith(str(_here())):
            Path(place.rstrip("/") if place.endswith("/") else Path(place).parent).mkdir(
                parents=True, exist_ok=True
            )
    return subprocess.run([command[0], *places], check=False).returncode


def useradd(*arguments):
    """A system user without a shell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--system", action="store_true", required=True)
    parser.add_argument("--home-dir", required=True)
    parser.add_argument("--shell", required=True)
    parser.add_argument("user")
    given = parser.parse_args(arguments)
    (_here() / "users").open("a").write(f"{given.user}\n")
    return 0


def apt_get(action, *packages):
    """Packages that Debian has."""
    _require(action == "install" and packages, "apt-get: install PACKAGE is expected")
    done = subprocess.run(["/usr/bin/apt-cache", "show", "--no-all-versions", *packages], check=False)
    return done.returncode


def systemctl(action, *arguments):
    """Units are there; a timer that is enabled has its service, and the user of the service."""
    if action == "daemon-reload":
        return 0
    if action == "status":
        print(f"the log of {arguments[-1]}")
        return 3  # as of a failed unit
    _require((action, arguments[0]) == ("enable", "--now"), f"systemctl {action} is not expected")
    timer = re.fullmatch(r"(.+)@(.+)\.timer", arguments[1])
    _require(timer, f"{arguments[1]} is no timer of a template")
    units = _here() / "root" / "etc" / "systemd" / "system"
    for unit in (f"{timer[1]}@.timer", f"{timer[1]}@.service"):
        _require((units / unit).exists(), f"Unit {unit} does not exist")
    service = (units / f"{timer[1]}@.service").read_text()
    user = re.search(r"^User=(.+)$", service, re.MULTILINE)[1]
    _require(user in (_here() / "users").read_text().split(), f"there is no user {user}")
    (called,) = re.findall(r"^OnFailure=(.+)@", service, re.MULTILINE)
    _require((units / f"{called}@.service").exists(), f"Unit {called}@.service does not exist")
    return 0


def crontab(path):
    """Lines of variables, and of five fields and a command."""
    for line in Path(path).read_text().splitlines():
        fields = line.split(maxsplit=5)
        is_job = len(fields) == 6 and all(re.fullmatch(r"[\d*,/A-Z-]+", field) for field in fields[:5])
        is_variable = re.fullmatch(r"\w+=\S*", line)
        _require(line[:1] in ("", "#") or is_variable or is_job, f"bad line: {line}")
    return 0


def sendmail(option):
    """A mail with its recipients in the head."""
    _require(option == "-t", "sendmail -t is expected")
    (_here() / "mail").write_text(sys.stdin.read())
    return 0


# --- Docker: the parts of the Compose specification that a file of ours may have ----------------------------

_SERVICE = {
    *("image", "build", "command", "restart", "init", "stop_grace_period", "environment", "volumes"),
    *("healthcheck", "read_only", "tmpfs", "cap_drop", "security_opt", "mem_limit", "logging"),
}


def docker(*arguments):
    """`docker compose`: the file is valid, and every file in it is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("compose", choices=["compose"])
    parser.add_argument("-f", dest="file", type=Path, required=True)
    parser.add_argument("action", choices=["config", "up", "exec"])
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    services = require_compose_file(given.file)
    allowed = {"config": {"--quiet"}, "up": {"--detach", "--build"}}
    if given.action == "exec":
        _require(given.rest[0] in services, f"no such service: {given.rest[0]}")
    else:
        _require(set(given.rest) <= allowed[given.action], f"unknown option in {given.rest}")
    return 0


def require_compose_file(path):
    """Services of a Compose file that holds to the specification."""
    import yaml

    content = yaml.safe_load(path.read_text())
    _require(set(content) == {"name", "services", "volumes"}, f"top-level keys: {sorted(content)}")
    for name, service in content["services"].items():
        _require(set(service) <= _SERVICE, f"{name}: unknown keys {set(service) - _SERVICE}")
        _require(service["restart"] in ("no", "always", "on-failure", "unless-stopped"), service["restart"])
        context = path.parent / service["build"]["context"]
        _require((context / service["build"]["dockerfile"]).is_file(), f"{name}: no Dockerfile")
        _require_mounts(name, service, content["volumes"], path.parent)
        health = service["healthcheck"]
        times = [health[key] for key in ("interval", "timeout", "start_period")]
        _require(all(_DURATION.fullmatch(each) for each in times), f"{name}: {times}")
        _require(health["test"][0] in ("CMD", "CMD-SHELL") and isinstance(health["retries"], int), name)
        _require(all(isinstance(v, str) for v in service["logging"]["options"].values()), "logging: text")
    return content["services"]


def _require_mounts(name, service, volumes, folder):
    for mount in service["volumes"]:
        source, target, *mode = mount.split(":")
        is_path = source.startswith(".")
        _require((folder / source).is_file() if is_path else source in volumes, f"{name}: no {source}")
        _require(target.startswith("/") and mode in ([], ["ro"]), f"{name}: {mount}")


# --- Kubernetes ---------------------------------------------------------------------------------------------


def kubectl(*arguments):
    """Objects have a kind and a name; what a job is made from was applied, with all that it refers to."""
    parser = argparse.ArgumentParser()
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create").add_subparsers(dest="kind", required=True)
    config = create.add_parser("configmap")
    config.add_argument("name")
    config.add_argument("--from-file", type=Path, action="append", required=True)
    job = create.add_parser("job")
    job.add_argument("name")
    job.add_argument("--from", dest="origin", required=True)
    actions.add_parser("apply").add_argument("--filename", type=Path, required=True)
    given = parser.parse_args(arguments)
    store = _here() / "kubernetes"
    store.mkdir(exist_ok=True)
    if given.action == "apply":
        import yaml

        for each in yaml.safe_load_all(given.filename.read_text()):
            kind, name = each["kind"].lower(), each["metadata"]["name"]
            (store / f"{kind}-{name}.json").write_text(json.dumps(each))
    elif given.kind == "configmap":
        content = {path.name: path.read_text() for path in given.from_file}
        (store / f"configmap-{given.name}.json").write_text(json.dumps({"data": content}))
    else:
        applied = store / f"{given.origin.replace('/', '-')}.json"
        _require(applied.exists(), f"{given.origin} not found")
        _require_references(json.loads(applied.read_text()), store)
    return 0


def _require_references(cron_job, store):
    pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    volumes = {}
    for volume in pod["volumes"]:
        volumes[volume["name"]] = volume
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        _require(not claim or (store / f"persistentvolumeclaim-{claim}.json").exists(), f"no claim {claim}")
    for container in pod["containers"]:
        for mount in container["volumeMounts"]:
            config = volumes[mount["name"]].get("configMap")
            if config:
                data = json.loads((store / f"configmap-{config['name']}.json").read_text())["data"]
                _require(mount["subPath"] in data, f"no {mount['subPath']} in {config['name']}")


# --- Slurm --------------------------------------------------------------------------------------------------


def sbatch(*arguments):
    """Queue a script under the next number; it runs by itself, an array task after task."""
    directives, given, script = _job_of(arguments)
    queue = _here() / "slurm"
    queue.mkdir(exist_ok=True)
    import fcntl

    with (queue / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        number = len(list(queue.glob("*.sh"))) + 1
        (queue / f"{number}.sh").write_text(Path(script[0]).read_text())
    cores = directives.cpus_per_task or 1
    environment = {**os.environ, "SLURM_JOB_ID": str(number), "SLURM_CPUS_PER_TASK": str(cores)}
    command = [sys.executable, "-I", __file__, "--run", str(number), given.array or "", *script[1:]]
    if given.dependency:
        _require(re.fullmatch(r"after(any|ok):\d+", given.dependency), given.dependency)
        environment["STAND_IN_AFTER"] = given.dependency.partition(":")[2]
    process = subprocess.Popen(
        command,
        env=environment,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=(queue / f"{number}.log").open("w"),
        stderr=subprocess.STDOUT,
    )
    (queue / f"{number}.pid").write_text(str(process.pid))
    print(number if given.parsable else f"Submitted batch job {number}")
    return 0


def _job_of(arguments):
    """Directives of a script, options of the command line, and the script with its arguments."""
    parser = argparse.ArgumentParser()
    for name in ("job-name", "mem", "time", "output", "array", "dependency", "gres"):
        parser.add_argument(f"--{name}")
    for short, name in (("-J", "J"), ("-p", "p"), ("-A", "A"), ("-n", "n"), ("-t", "t"), ("-e", "e")):
        parser.add_argument(short, dest=name)
    parser.add_argument("--cpus-per-task", type=int)
    parser.add_argument("--requeue", action="store_true")
    parser.add_argument("--parsable", action="store_true")
    given, script = parser.parse_known_args(arguments)
    _require(script and not script[0].startswith("-"), f"unknown options in {arguments}")
    lines = Path(script[0]).read_text().splitlines()
    _require(lines[0].startswith("#!"), "a batch script begins with #!")
    words = [word for line in lines if line.startswith("#SBATCH ") for word in shlex.split(line[8:])]
    return parser.parse_args(words), given, script


def run_queued(number, array, *arguments):
    """A queued job: each task of its array, once the job that it depends on has ended."""
    queue = _here() / "slurm"
    while (after := os.environ.get("STAND_IN_AFTER")) and not (queue / f"{after}.status").exists():
        time.sleep(0.05)
    first, _, last = array.partition("-")
    tasks = range(int(first), int(last or first) + 1) if array else [None]
    found = []
    for task in tasks:
        own = {} if task is None else {"SLURM_ARRAY_TASK_ID": str(task)}
        command = ["bash", str(queue / f"{number}.sh"), *arguments]
        found.append(subprocess.run(command, env={**os.environ, **own}, check=False).returncode)
    status = queue / f"{number}.status.part"
    status.write_text(str(max(found)))
    status.rename(queue / f"{number}.status")  # which others wait for
    return 0


def scancel(number):
    """End all processes of a job."""
    import signal

    os.killpg(int((_here() / "slurm" / f"{number}.pid").read_text()), signal.SIGTERM)
    return 0


def main(name, *arguments):
    """The program `name`."""
    if name == "--run":
        return run_queued(*arguments)
    with (_here() / "calls.jsonl").open("a") as file:
        file.write(json.dumps([name, *arguments]) + "\n")
    return globals()[name.replace("-", "_")](*arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
