"""What people meet on the terminal: help, summaries, `info`, completion."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
import typer

import rsdetect.cli
from rsdetect.batches.batch_record import BatchRecord
from rsdetect.batches.batch_report import BatchReport
from rsdetect.batches.pair_results import PairResult, State
from rsdetect.commands import completion
from rsdetect.commands.command_help import GROUPS
from rsdetect.commands.examples import EXAMPLES
from rsdetect.commands.summary import summary_lines
from support.jobs import COMMAND, changed_pair, run_here
from support.scenes import random_scene, write_plain


def every_command():
    """(name, command) of all commands, those of `monitor` too."""
    root = typer.main.get_command(rsdetect.cli.app)
    for name, command in root.commands.items():
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", each) for inner, each in command.commands.items())
        else:
            yield name, command


COMMANDS = dict(every_command())


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    scenes = changed_pair(folder, 120, 140)
    told = run_here("detect", scenes.before, scenes.after, "--out", folder / "out", "--detector", "cva")
    assert told.status == 0, told.err
    return folder / "out"


def test_the_help_of_detect_has_its_options_in_groups_in_order():
    text = run_here("detect", "--help").out
    places = [text.index(f"\n{title}:\n") for title in ("Arguments", *GROUPS, "Examples")]
    assert places == sorted(places)
    sections = dict(zip(GROUPS, (text[low:high] for low, high in pairwise(places[1:])), strict=True))
    for title, option in (
        ("Input", "--mask"),
        ("What counts", "--min-area"),
        ("Output", "--out"),
        ("Machine", "--memory"),
        ("Advanced", "--accept"),
    ):
        assert f"  {option} " in sections[title]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_two_examples_that_it_takes(name):
    lines = [line.strip() for line in EXAMPLES[name].strip().splitlines()]
    assert len(lines) == 2
    help_text = run_here(*name.split(), "--help").out
    for line in lines:
        assert f"  {line}\n" in help_text, "as written, not wrapped"
        program, *arguments = shlex.split(line)
        words = name.split()
        assert [program, *arguments[: len(words)]] == ["rsdetect", *words]
        COMMANDS[name].make_context(name, arguments[len(words) :])  # raises for what it does not take


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_quiet_and_json(name):
    options = {option for each in COMMANDS[name].params for option in each.opts}
    assert {"--quiet", "--json", "--debug"} <= options


@pytest.mark.parametrize(
    "command",
    [
        *("info OUT", "vectorize OUT --min-area 0", "report OUT", "check BEFORE AFTER", "detectors"),
        "check-detector cva",
        "detect BEFORE AFTER --out NEW --detector cva",
        "simulate --kind s2 --size 64 --workers 1 --out NEW",
        *("compare BEFORE AFTER --detectors cva,difference --out NEW", "monitor init NEW.yaml"),
    ],
)
def test_json_and_quiet_leave_one_object_on_stdout_and_nothing_else(done, tmp_path, command):
    shutil.copytree(done, tmp_path / "out")
    places = {"OUT": tmp_path / "out", "NEW": tmp_path / "new", "NEW.yaml": tmp_path / "new.yaml"}
    places |= {"BEFORE": done.parent / "before.tif", "AFTER": done.parent / "after.tif"}
    told = run_here(*(places.get(word, word) for word in command.split()), "--json", "--quiet")
    assert told.status == 0 and isinstance(json.loads(told.out), dict)
    assert told.err == "" or (told.err.count("\n") == 1 and "regions changed" in told.err)


def test_options_of_the_last_group_are_few():
    """An option without a group of its own is shown there."""
    grouped = {name for names in GROUPS.values() for name in names}
    for name, command in COMMANDS.items():
        rest = {each.name for each in command.params if each.param_type_name == "option"} - grouped
        assert len(rest) <= 5, (name, rest)


def test_the_shell_completes_commands_and_options():
    def completed(*words):
        environment = {"_RSDETECT_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words)}
        code = "import os, sys; os.environ |= " + repr(environment | {"COMP_CWORD": str(len(words) - 1)})
        code += "; sys.argv = ['rsdetect']; from rsdetect.cli import main; main()"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()

    assert completed("rsdetect", "vec") == ["vectorize"]
    assert "--min-area" in completed("rsdetect", "detect", "--min")


def test_the_shell_completes_names_in_any_case():
    assert {"best", "cva", "siamese"} <= set(completion.detector_names(""))
    assert completion.detector_names("PCA") == ["pca-kmeans"]
    assert completion.model_names("siamese-") == ["siamese-buildings"]
    assert completion.backend_names("o") == ["openvino", "onnx"]
    assert completion.normalisation_names("ir") == ["irmad"]
    command = typer.main.get_command(rsdetect.cli.app).commands["detect"]
    completing = {each.name: each._custom_shell_complete for each in command.params}
    assert all(completing[name] for name in ("detector", "model", "backend", "normalise"))


def test_info_of_a_run_is_for_people_and_json_for_programs(done):
    told = run_here("info", done)
    assert (told.status, told.err) == (0, "")
    record = json.loads(run_here("info", done, "--json").out)
    assert record == json.loads((done / "run.json").read_text())
    lines = told.out.splitlines()
    assert all(len(line.split(None, 1)[0]) <= 12 and not line.startswith("{") for line in lines)
    for words in ("140 x 120 pixels of 10 x 10, EPSG:32632", "cva, threshold 0.5", "regions changed, "):
        assert words in told.out
    assert f"rsdetect vectorize {done} --threshold P" in told.out


def test_info_of_a_result_is_that_of_its_folder(done):
    whole = run_here("info", done).out
    for name in ("run.json", "changes.gpkg", "change_probability.tif", "report.html"):
        assert run_here("info", done / name).out == whole


def test_info_names_what_is_no_result(done, tmp_path):
    (tmp_path / "empty").mkdir()
    shutil.copy(done / "changes.gpkg", tmp_path)
    shutil.copy(done.parent / "before.tif", tmp_path)
    (tmp_path / "evaluated").mkdir()
    (tmp_path / "evaluated" / "evaluation.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("no model")
    for name, words in {
        "": "holds no finished run, batch or monitoring job",
        "empty": "is empty",
        "changes.gpkg": "no file in the folder of a run",
        "before.tif": "is a raster, not a result in its folder; rsdetect check",
        "evaluated": "open " + str(tmp_path / "evaluated" / "evaluation.html"),
        "notes.txt": "neither a model nor a result of rsdetect",
        "none": "There is no model file at",
    }.items():
        told = run_here("info", tmp_path / name)
        assert (told.status, told.out) == (2, "") and words in told.err, told.err
        assert str(tmp_path / name) in told.err and told.err.count("\n") == 1


def written_batch(folder, count=14, *, shard=None):
    """Record of a batch whose first pair is finished, the last one waits, and the others failed."""
    rows = [PairResult(f"p{number}", State.FAILED, 3, "no disk", "a.tif", "b.tif") for number in range(count)]
    rows[0] = replace(rows[0], state=State.DONE, exit_status=0, why="", regions=2, changed_area_m2=1e4)
    rows[-1] = replace(rows[-1], state=State.WAITING, exit_status=None, why="")
    (folder / "list.csv").write_text("name,before,after\n")
    out = folder / "out"
    place = out if shard is None else out / "shards" / f"{shard}-of-2"
    place.mkdir(parents=True)
    record = BatchRecord(folder / "list.csv", out, place, {}, set(), shard and f"{shard}/2")
    record.write(BatchReport(rows, None, None, [], regions=2, changed_area_m2=1e4), finished=True)
    return out


def test_info_of_a_batch_has_its_pairs_result_and_failures(tmp_path):
    out = written_batch(tmp_path)
    told = run_here("info", out)
    assert (told.status, told.err) == (0, "")
    assert re.search(r"^batch +1 of 14 pairs done, 12 failed, 1 waiting\.$", told.out, re.M)
    assert re.search(r"^result +2 regions changed, 1 ha$", told.out, re.M)
    assert told.out.count("no disk") == 10 and re.search(r"^failed +and 2 more$", told.out, re.M)
    assert json.loads(run_here("info", out, "--json").out) == json.loads((out / "batch.json").read_text())
    assert run_here("info", out / "summary.csv").out == told.out


def test_info_of_shards_names_what_has_not_begun(tmp_path):
    out = written_batch(tmp_path, shard=1)
    told = run_here("info", out)
    assert told.status == 0 and "Not begun: 2/2." in told.out and "--collect" in told.out
    assert json.loads(run_here("info", out, "--json").out)["missing"] == ["2/2"]


def test_info_of_a_model_is_for_people_and_json_for_programs():
    told = run_here("info", "siamese")
    assert told.status == 0 and re.search(r"^bands +red, green, blue; optional: nir", told.out, re.M)
    card = json.loads(run_here("info", "siamese", "--json").out)
    assert card["sha256"] in told.out
    for failure in card["known_failures"]:
        assert failure in told.out


def test_info_of_the_default_detector_has_its_parts_scores_and_failures():
    told = run_here("info", "best")
    card = json.loads(run_here("info", "best", "--json").out)
    assert told.status == 0 and f"threshold      {card['threshold']}" in told.out
    assert card["parts"][0] == "siamese " + json.loads(run_here("info", "siamese", "--json").out)["version"]
    assert card["known_failures"] and card["scores"]
    for text in (*card["known_failures"], *card["scores"], card["licence"]):
        assert text in told.out


def test_the_summary_counts_the_kinds_of_change_where_they_are_known(done):
    record = json.loads((done / "run.json").read_text())
    kinds = {
        "water gain": {"regions": 1, "pixels": 600, "area_m2": 60_000.0},
        "burnt": {"regions": 2, "pixels": 19, "area_m2": 1900.0},
        "unknown": {"regions": 1, "pixels": 1, "area_m2": 0.2},
    }
    record["counts"]["kinds"] = kinds
    lines = list(summary_lines(record, done))
    assert lines[1] == "Kinds: water gain 1 (6 ha), burnt 2 (1,900 m²), unknown 1 (0.2 m²)"
    assert len(lines) == 5
    record["counts"]["kinds"] = {"unknown": kinds["unknown"]}
    assert len(list(summary_lines(record, done))) == 4


def test_a_path_is_cut_in_the_middle_where_its_line_would_wrap(done):
    record = json.loads((done / "run.json").read_text())
    whole, cut = (next(summary_lines(record, done, columns)) for columns in (None, 90))
    assert len(cut) <= 90 < len(whole)
    assert cut.endswith("changes.gpkg") and "…" in cut


@pytest.mark.parametrize(
    "option",
    [
        *("--detector", "--backend", "--resampling", "--normalise", "--device", "--bands"),
        "--detector-options",
    ],
)
def test_names_are_taken_in_any_case(tmp_path, option):
    scenes = changed_pair(tmp_path, 64, 64)
    name = {
        "--bands": "Red,GREEN",
        "--detector-options": "LEVEL=Kittler,Sign=Both",
        "--detector": "CVA",
        "--backend": "Torch",
        "--resampling": "Bilinear",
        "--normalise": "Robust",
        "--device": "CPU",
    }[option]
    detector = "difference" if option == "--detector-options" else "cva"
    options = {"--detector": detector, option: name, "--out": tmp_path / "out"}
    told = run_here(
        "detect", scenes.before, scenes.after, *(word for each in options.items() for word in each)
    )
    assert told.status == 0, told.err


def test_names_of_other_commands_are_taken_in_any_case(tmp_path):
    simulated = ("simulate", "--kind", "S2", "--size", 64, "--workers", 1, "--out", tmp_path)
    assert run_here(*simulated).status == 0
    assert (
        run_here("evaluate", tmp_path, "--layout", "Onera", "--out", tmp_path / "e").err.count("layout") == 0
    )
    periods = ("--before-period", "2020", "--after-period", "2021", "--pick", "Composite", "--list")
    told = run_here("detect", "--scenes", tmp_path / "none" / "*.tif", *periods)
    assert told.status == 2 and "--pick" not in told.err


def test_another_threshold_for_a_finished_run_is_left_to_vectorize(tmp_path):
    scenes = changed_pair(tmp_path, 64, 64)
    command = ("detect", scenes.before, scenes.after, "--detector", "cva", "--out", tmp_path / "out")
    assert run_here(*command).status == 0
    again = run_here(*command, "--threshold", "0.9")
    assert again.status == 2
    assert f"rsdetect vectorize {tmp_path / 'out'}" in again.err
    replaced = run_here(*command, "--threshold", "0.9", "--overwrite")
    assert replaced.status == 0
    assert f"rsdetect vectorize {tmp_path / 'out'} draws them without scoring" in replaced.err


TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "


def test_the_log_file_has_stages_warnings_results_and_errors_with_time_stamps(tmp_path):
    pair = [write_plain(tmp_path / f"{i}.png", random_scene(i)) for i in range(2)]
    log = tmp_path / "a.log"
    command = ("detect", *pair, "--detector", "cva", "--out", tmp_path / "out", "--log-file", log)
    told = run_here(*command, "--quiet")
    assert told.status == 0 and told.err.count("\n") == 1, "the file does not change what is printed"
    assert run_here(*command).status == 2
    lines = log.read_text().splitlines()
    assert all(re.match(TIME, line) for line in lines)
    texts = [re.sub(TIME, "", line) for line in lines]
    assert [text[:3] for text in texts if text[1:3] == "/5"] == [
        "1/5",
        "1/5",
        "2/5",
        "3/5",
        "4/5",
        "5/5",
        "5/5",
        "1/5",
    ]
    assert any(text.startswith("Warning: ") for text in texts)
    assert any("changed, " in text for text in texts)
    assert texts[-1].startswith("Error: ") and "--overwrite" in texts[-1]


def test_a_scene_is_not_taken_for_a_log(tmp_path):
    scenes = changed_pair(tmp_path, 64, 64)
    content = (tmp_path / "after.tif").read_bytes()
    told = run_here("check", scenes.before, scenes.after, "--log-file", scenes.after)
    assert told.status == 2 and "is no log; choose another file" in told.err
    assert (tmp_path / "after.tif").read_bytes() == content
    told = run_here("check", scenes.before, scenes.after, "--log-file", tmp_path / "none" / "a.log")
    assert told.status == 2 and "cannot be written" in told.err
    (tmp_path / "heights.xyz").write_text("2024-01 1 1\n")
    told = run_here("check", scenes.before, scenes.after, "--log-file", tmp_path / "heights.xyz")
    assert told.status == 2 and (tmp_path / "heights.xyz").read_text() == "2024-01 1 1\n"


def test_a_result_that_replaces_the_log_is_no_log(tmp_path):
    scenes = changed_pair(tmp_path, 64, 64)
    (tmp_path / "out").mkdir()
    command = ("detect", scenes.before, scenes.after, "--detector", "cva", "--out", tmp_path / "out")
    told = run_here(*command, "--overwrite", "--log-file", tmp_path / "out" / "run.json")
    assert told.status == 0
    assert json.loads((tmp_path / "out" / "run.json").read_text())["rsdetect"]


def test_a_long_job_logs_its_progress_where_there_is_no_terminal(tmp_path, monkeypatch):
    monkeypatch.setattr("rsdetect.progress._SECONDS_BETWEEN_LINES", 0.0)
    scenes = changed_pair(tmp_path, 120, 140)
    command = ("detect", scenes.before, scenes.after, "--detector", "cva", "--tile-size", 64, "--out")
    told = run_here(*command, tmp_path / "out")
    lines = [line for line in told.err.splitlines() if "scoring" in line]
    assert lines and all(re.fullmatch(TIME + r"3/5 scoring: \d+%, about .* left", line) for line in lines)
    assert "scoring" not in run_here(*command, tmp_path / "quiet", "--quiet").err


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize("colours", [True, False])
def test_on_a_terminal_stages_are_shown_and_no_color_is_obeyed(tmp_path, colours):
    import pty

    scenes = changed_pair(tmp_path, 64, 64)
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "100"} | ({} if colours else {"NO_COLOR": "1"})
    command = (
        *COMMAND,
        "detect",
        scenes.before,
        scenes.after,
        "--detector",
        "cva",
        "--out",
        tmp_path / "out",
    )
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # the end, on Linux
            pass
    os.close(ours)
    assert process.returncode == 0
    text = shown.decode()
    for stage in ("1/5 checking the pair", "2/5 fitting the detector", "3/5 scoring", "5/5 tracing polygons"):
        assert stage in text
    assert bool(re.search(r"\x1b\[[\d;]*3\dm", text)) == colours
    found = next(line for line in text.splitlines() if "changed, " in line)
    assert len(found.split("\r")[-1]) <= 100 + 20 and "…" in found, "the path is cut, which would wrap"
