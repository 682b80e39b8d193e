"""Deprecated names: a warning with the new name, for one version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer

from rsdetect.cli import app
from rsdetect.deprecation import RENAMED, replace_deprecated
from rsdetect.errors import InputError
from rsdetect.training.options import TrainOptions

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def options_of(command):
    """Names and whether they are hidden of all parameters of a command and its subcommands."""
    for sub in getattr(command, "commands", {}).values():
        yield from options_of(sub)
    yield from ((parameter.name, getattr(parameter, "hidden", False)) for parameter in command.params)


@pytest.mark.parametrize("name", RENAMED)
def test_a_deprecated_name_is_removed_in_time(name):
    now, removed = (tuple(map(int, version.split("."))) for version in (VERSION, RENAMED[name].removed_in))
    assert now < removed, f"remove {name} from RENAMED, the commands and the tests"
    major, minor, _ = now
    assert removed == (major, minor + 1, 0), "it works for one version"


@pytest.mark.parametrize("name", RENAMED)
def test_the_option_of_a_deprecated_name_is_hidden_and_the_changelog_has_both(name):
    hidden = dict(options_of(typer.main.get_command(app)))
    new = RENAMED[name].new
    assert hidden[name] is True and hidden[new] is False
    option, current = (f"--{each.replace('_', '-')}" for each in (name, new))
    assert re.search(
        rf"`[^`]*{current}[^`]*` replaces `{option}`", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    )


def test_a_deprecated_keyword_works_with_a_warning_that_has_the_new_name():
    with pytest.warns(FutureWarning, match="`pseudo_labels` is deprecated .* use `unlabelled`") as caught:
        options = TrainOptions.from_keywords("pairs", "m.safetensors", pseudo_labels="more")
    assert options.unlabelled == "more" and len(caught) == 1


def test_both_names_at_once_are_refused():
    with pytest.raises(InputError, match="deprecated name of `unlabelled`; drop `pseudo_labels`"):
        replace_deprecated({"unlabelled": "one", "pseudo_labels": "other"})


def test_what_is_not_deprecated_is_left_as_it_is():
    assert replace_deprecated({"seed": None, "unlabelled": None}) == {"seed": None, "unlabelled": None}
