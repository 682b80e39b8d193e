"""What is released: the wheel is complete, versions agree, and images are built as promised."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
DOCKERFILES = ("Dockerfile", "Dockerfile.gpu")


def test_the_wheel_holds_every_file_of_the_package(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("rsdetect/")}
    there = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "rsdetect").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == there
    for suffix in (".safetensors", ".html", ".qml", ".toml", ".yaml", ".json", "py.typed"):
        assert any(name.endswith(suffix) for name in held), suffix


def test_versions_agree():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] == VERSION
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == VERSION


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_is_pinned_runs_as_no_root_and_starts_rsdetect(name):
    lines = [
        line.split(maxsplit=1)
        for line in (ROOT / name).read_text().replace("\\\n", " ").splitlines()
        if line and not line.startswith("#")
    ]
    words = {}
    for word, rest in lines:
        words.setdefault(word, []).append(rest)
    assert [re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", image) is not None for image in words["FROM"]] == [
        True
    ]
    assert words["USER"][-1] == "1000"
    assert words["ENTRYPOINT"] == ['["rsdetect"]']
    lock = (ROOT / "requirements-torch.lock").read_text().splitlines()
    installed = re.findall(r"torch==\S+", " ".join(words["RUN"]))
    assert installed == [line for line in lock if line.startswith("torch==")]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_builder_is_sent_what_an_image_copies(name):
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [
        line.split()[1:-1] for line in (ROOT / name).read_text().splitlines() if line.startswith("COPY")
    ]
    assert {path.removeprefix("./") for paths in copied for path in paths} == kept
    assert all((ROOT / path).exists() for path in kept)


def test_every_locked_version_has_hashes_except_torch():
    entries = re.split(r"^(?=\S)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)[1:]
    assert len(entries) > 100
    for entry in entries:
        assert re.fullmatch(r"\S+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+\n", entry), entry[:80]
    assert re.fullmatch(r"torch==\S+\n", (ROOT / "requirements-torch.lock").read_text())
    assert not any(entry.startswith("torch==") for entry in entries)
    makefile = (ROOT / "Makefile").read_text()
    assert "--no-deps --require-hashes --requirement requirements.lock" in makefile


def test_the_promises_name_tests_that_are_there():
    """docs/reliability.md: each test by its file, with or without its folder."""
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:tests/)?[\w/]*test_\w+\.py)`", text))
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    assert len(named) > 20
    assert named <= there | {path.rpartition("/")[2] for path in there}
