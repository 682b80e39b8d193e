"""Hints for missing extras: the command fits how rsdetect was installed."""

from pathlib import Path

import pytest

from rsdetect import extras
from rsdetect.errors import InputError


def test_in_a_checkout_the_hint_names_its_folder(tmp_path, monkeypatch):
    checkout = tmp_path / "my checkout"
    (checkout / "rsdetect").mkdir(parents=True)
    (checkout / "pyproject.toml").touch()
    monkeypatch.setattr(extras, "_PACKAGE", checkout / "rsdetect")
    with pytest.raises(InputError) as said:
        raise extras.missing_extra("cpu", "--backend onnx")
    assert str(said.value) == (f"--backend onnx needs the extra 'cpu': pip install -e '{checkout}[cpu]'.")


def test_installed_from_a_wheel_the_hint_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "_PACKAGE", tmp_path / "site-packages" / "rsdetect")
    assert extras.install_command("train") == "pip install 'rsdetect[train]'"


def test_every_hint_comes_from_there():
    package = Path(extras.__file__).parent
    saying = {
        path.name for path in package.rglob("*.py") if "pip install" in path.read_text(encoding="utf-8")
    }
    assert saying == {"extras.py"}
