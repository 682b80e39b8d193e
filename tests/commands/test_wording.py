"""Messages of Python calls name the argument, those of the command line the option."""

from __future__ import annotations

import ast
import logging
import re
from pathlib import Path

import pytest
import typer

import rsdetect
from rsdetect.cli import app
from rsdetect.commands.messages import log_to_stderr
from rsdetect.commands.wording import as_options, option_of
from rsdetect.errors import InputError
from rsdetect.evaluation.options import EvaluateOptions
from rsdetect.jobs.options import DetectOptions
from support.jobs import changed_pair, run_here

PACKAGE = Path(rsdetect.__file__).parent
# Argument, a value that is refused, and the same on the command line.
DETECT = [
    ("threshold", 1.5, "1.5"),
    ("min_area", -3.0, "-3"),
    ("simplify", -1.0, "-1"),
    ("tile_size", 3, "3"),
    ("workers", 0, "0"),
    ("memory", "much", "much"),
    ("memory", "1MB", "1MB"),
    ("backend", "magic", "magic"),
    ("detector", "magic", "magic"),
    ("resampling", "lanczos3", "lanczos3"),
    ("bands", [9], "9"),
    ("mask_values", [3], "3"),
    ("mask_bits", [3], "3"),
    ("masks", ["a.tif", "b.tif", "c.tif"], "a.tif,b.tif,c.tif"),
]
EVALUATE = [
    ("seed", -1, "-1"),
    ("shifts_px", [99.0], "99"),
    ("part", "test", "test"),
    ("log_look", "why", "why"),
]


def messages(path):
    """(line, text) of every string in a module that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


# The modules that end a process of the command line speak of its options.
_TERMINAL = {"cli.py", "statuses.py", "limited_memory.py"}
LIBRARY = [p for p in sorted(PACKAGE.rglob("*.py")) if "commands" not in p.parts and p.name not in _TERMINAL]


def test_no_message_of_the_library_speaks_of_the_command_line():
    spoken = [
        f"{path.name}:{line} {text}"
        for path in LIBRARY
        for line, text in messages(path)
        if re.search(r"(^|[ (])--[a-z]", text) and text != "--porcelain"
    ]
    assert not spoken, "name the argument in backticks, as in `min_area`"


def test_every_argument_that_a_message_names_is_an_option():
    command = typer.main.get_command(app)
    commands = [command, *command.commands.values(), *command.commands["monitor"].commands.values()]
    options = {option for each in commands for parameter in each.params for option in parameter.opts}
    named = {
        argument
        for path in LIBRARY
        for _, text in messages(path)
        for argument in re.findall(r"`([a-z][a-z_]*)(?:=[^`]+)?`", text)
    }
    assert len(named) > 30
    assert {option_of(argument) for argument in named} <= options


@pytest.mark.parametrize(("argument", "value", "text"), DETECT)
def test_detect_names_the_argument_or_the_option(argument, value, text, tmp_path):
    scenes = changed_pair(tmp_path, 70, 70)
    before, after = scenes.before, scenes.after
    with pytest.raises(InputError) as refusal:
        rsdetect.detect(before, after, out=tmp_path / "out", **({"detector": "cva"} | {argument: value}))
    assert f"`{argument}`" in str(refusal.value) and "--" not in str(refusal.value)
    options = {"--detector": "cva"} | {option_of(argument): text}
    words = [f"{option}={given}" for option, given in options.items()]
    done = run_here("detect", before, after, "--out", tmp_path / "out", *words)
    assert done.status == 2
    assert option_of(argument) in done.err and "`" not in done.err


@pytest.mark.parametrize(("argument", "value", "text"), EVALUATE)
def test_evaluate_names_the_argument_or_the_option(argument, value, text, tmp_path):
    with pytest.raises(InputError) as refusal:
        EvaluateOptions.from_keywords(**{argument: value})
    assert f"`{argument}`" in str(refusal.value)
    done = run_here("evaluate", tmp_path, "--out", tmp_path / "out", f"{option_of(argument)}={text}")
    assert done.status == 2
    assert option_of(argument) in done.err and "`" not in done.err


def test_warnings_name_the_option_on_the_command_line(capsys):
    log_to_stderr(quiet=False)
    logging.getLogger("rsdetect.scenes").warning("the first bands are taken; `bands` chooses others.")
    said = capsys.readouterr().err.split(" ", 2)[2]  # after date and time
    assert said == "Warning: the first bands are taken; --bands chooses others.\n"


def test_values_are_written_as_the_command_line_takes_them():
    assert as_options("give `bands=[1, 1, 1]`") == "give --bands 1,1,1"
    assert as_options("`changes='seed=1'`") == "--set seed=1"
    assert as_options("no `such thing` is touched") == "no `such thing` is touched"


def test_unknown_keywords_are_refused_by_name():
    with pytest.raises(InputError, match="no option 'min_aera'"):
        DetectOptions.from_keywords(min_aera=3)
