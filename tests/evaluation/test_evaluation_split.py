"""Parts of a set that are kept for reporting: divided by place, evaluated with a logged reason only."""

import hashlib
import json
import re
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
from affine import Affine

import rsdetect
from rsdetect.errors import InputError
from rsdetect.evaluation import evaluate, look_log
from rsdetect.evaluation.split import read_split
from support.jobs import run_here
from support.labelled_sets import W, write_set
from support.scenes import TEN_METRES

SHARED = Path(__file__).parents[2] / "benchmarks" / "splits" / "shared.toml"


# --- the project's own split ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared():
    return read_split(SHARED)


def scenes_of(split, source):
    """Scene -> (place, part)."""
    return {
        scene: (place.name, place.part) for place in split.places for scene in place.scenes.get(source, ())
    }


def test_no_original_town_or_strip_is_divided(shared):
    for source, original in (
        ("levir-cd-crops", r"(.+?)_\d{4}_\d{4}"),
        ("airchange", r"([a-z]+)_"),
        ("sar-pairs", r"(yellow|.+)"),
        ("egy-bcd", r"()"),
    ):
        part_of = {}
        for scene, (_, part) in scenes_of(shared, source).items():
            place = re.match(original, scene)[1]
            assert part_of.setdefault(place, part) == part


def test_tiles_of_levir_with_near_numbers_share_a_place(shared):
    places = {int(scene[5:]): place for scene, (place, _) in scenes_of(shared, "levir-cd").items()}
    assert len(places) == 13
    for one, other in combinations(sorted(places), 2):
        if other - one <= 2:
            assert places[one] == places[other]


def test_scenes_of_the_dsifn_strip_nearer_than_a_scene_share_a_place(shared):
    # Image n lies right of image n - 1; its quarters 1 and 3 are the left ones. In units of a scene:
    at = {
        2 * int(scene[0]) + (int(scene[2]) % 2 == 0): place
        for scene, (place, _) in scenes_of(shared, "dsifn").items()
    }
    assert len(at) == 6
    for one, other in combinations(sorted(at), 2):
        if other - one - 1 <= 1:
            assert at[one] == at[other]


def test_parts_follow_from_names_alone(shared):
    for source in ("levir-cd", "levir-cd-crops", "airchange", "dsifn", "sar-pairs", "neon-sjer-pairs"):
        other = "train" if source == "neon-sjer-pairs" else "choose"
        places = [place for place in shared.places if source in place.scenes]
        count = {"report": 0, other: 0}
        for place in sorted(places, key=lambda place: hashlib.sha256(place.name.encode()).hexdigest()):
            expected = other if count["report"] > count[other] else "report"
            assert place.part == expected, place.name
            count[expected] += len(place.scenes[source])


def test_what_cannot_be_split_is_for_choosing(shared):
    for source in ("egy-bcd", "beijing-vhr", "landsat-labelled", "heterogeneous"):
        assert {part for _, part in scenes_of(shared, source).values()} == {"choose"}
    # The lake of both sets is one event.
    assert scenes_of(shared, "heterogeneous")["italy"] == scenes_of(shared, "landsat-nir")["sardania"]
    assert shared.reporting == ("report",)


def test_the_split_fits_the_sets(shared, real_data):
    sources = {source for place in shared.places for source in place.scenes}
    for folder in sorted(real_data.iterdir()):
        if folder.name in sources:
            assert {path.stem for path in (folder / "label").iterdir()} == set(scenes_of(shared, folder.name))


# --- evaluate --split ---------------------------------------------------------------------------------------

SPLIT = """
rule = "by hand"
reporting = ["report"]
looks = "notes/looks.jsonl"
[[places]]
name = "the north"
part = "report"
scenes.valley = ["north_1", "north_2"]
[[places]]
name = "the south"
part = "choose"
scenes.valley = ["south_1"]
[[places]]
name = "nothing happens here"
part = "report"
scenes.valley = ["quiet_1"]
"""


@pytest.fixture(scope="module")
def valley(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("sets") / "valley")


@pytest.fixture
def split(tmp_path):
    (tmp_path / "notes").mkdir()
    path = tmp_path / "split.toml"
    path.write_text(SPLIT)
    return path


def run(valley, split, out, *arguments):
    common = ("--detector", "cva", "--shifts", "none", "--out", out)
    return run_here("evaluate", valley, "--split", split, *common, *arguments)


def test_a_part_for_choosing_needs_no_reason_and_leaves_no_row(valley, split, tmp_path):
    done = run(valley, split, tmp_path / "out", "--part", "choose", "--json")
    assert done.status == 0
    found = json.loads(done.out)
    assert [scene["name"] for scene in found["sources"][0]["scenes"]] == ["south_1"]
    assert (found["split"], found["part"]) == ("split.toml", "choose")
    assert not (tmp_path / "notes" / "looks.jsonl").exists()


def test_a_part_for_reporting_is_refused_without_a_reason(valley, split, tmp_path):
    done = run(valley, split, tmp_path / "out", "--part", "report")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "give a reason as --log-look" in done.err
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="`log_look`"):
        evaluate([valley], detector="cva", split=split, part="report")


def test_each_look_is_a_row_with_code_weights_reason_and_figures(valley, split, tmp_path):
    for reason in ("baseline", "after the fix"):
        done = run(
            valley, split, tmp_path / "out", "--part", "report", "--log-look", reason, "--json", "--overwrite"
        )
        assert done.status == 0
    found = json.loads(done.out)
    rows = [json.loads(line) for line in (tmp_path / "notes" / "looks.jsonl").read_text().splitlines()]
    assert [row["reason"] for row in rows] == ["baseline", "after the fix"]
    row = rows[1]
    assert row["code"] == look_log.code_version()
    assert row["detector"]["name"] == "cva"
    assert (row["split"], row["part"]) == ("split.toml", "report")
    assert (row["sources"]["valley"]["scenes"], row["sources"]["valley"]["places"]) == (3, 2)
    for name in ("f1", "f1_best", "average_precision"):
        figure = found["sources"][0]["figures"][name]
        expected = [round(figure[end], 4) for end in ("value", "low", "high")]
        assert row["sources"]["valley"][name] == row["macro"][name] == row["macro_several"][name] == expected
    assert {scene["place"] for scene in found["sources"][0]["scenes"]} == {
        "the north",
        "nothing happens here",
    }


def test_no_figure_is_shown_where_the_row_cannot_be_written(valley, split, tmp_path):
    (tmp_path / "notes").rmdir()
    done = run(valley, split, tmp_path / "out", "--part", "report", "--log-look", "a try", "--json")
    assert (done.status, done.out) == (2, "")
    assert "of the log of looks looks.jsonl" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('part = "choose"', 'part = "choose"\ncolour = 1'), "places.1.colour"),
        (('"south_1"', '"north_1"'), "valley/north_1 twice"),
        (('"the south"', '"the north"'), "the north twice"),
        (('reporting = ["report"]', 'reporting = ["all"]'), "reports on 'all'"),
        (('"south_1"', '"south_1", "south_2"'), "lists valley/south_2"),
        (('"quiet_1"', ""), "valley/quiet_1 is in no part"),
        (("[[places]]", "[places"), "cannot be read"),
        (("scenes.valley = [", "scenes.hill = ["), "is in no part"),
    ],
)
def test_a_split_that_does_not_fit_is_refused(valley, split, tmp_path, change, message):
    split.write_text(SPLIT.replace(*change))
    done = run(valley, split, tmp_path / "out", "--part", "choose")
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_options_that_need_each_other(valley, split, tmp_path):
    for arguments, message in (
        (("--split", split), "require each other"),
        (("--part", "report"), "require each other"),
        (("--log-look", "why"), "of --split"),
        (("--split", split, "--part", "choose", "--log-look", " "), "of --split"),
        (("--split", split, "--part", "both"), "not one of the parts"),
        (("--split", split, "--part", "choose", "--group-by", "1km"), "give one of them"),
    ):
        done = run_here("evaluate", valley, "--detector", "cva", "--out", tmp_path / "out", *arguments)
        assert (done.status, message in done.err) == (2, True), done.err


def test_adjoining_parts_are_reported(split, tmp_path):
    """Tiles of 1.4 km in a row: the south touches the north, the quiet one lies 3 km off."""
    folder = tmp_path / "valley"
    for name, tiles in (("north_1", 0), ("north_2", 0), ("south_1", 1), ("quiet_1", 4)):
        moved = TEN_METRES @ Affine.translation(tiles * W, 0)
        write_set(folder, (name,), transform=moved)
    done = run(folder, split, tmp_path / "out", "--part", "choose")
    assert done.status == 0
    assert "south_1 is less than 500 m from north_1" in done.err
    split.write_text(
        SPLIT.replace('"south_1"', '"x"').replace('"quiet_1"', '"south_1"').replace('"x"', '"quiet_1"')
    )
    done = run(folder, split, tmp_path / "out", "--part", "choose", "--overwrite")
    assert "is less than" not in done.err


def test_the_code_is_named_by_its_commit_in_a_checkout_and_by_its_version_elsewhere(tmp_path, monkeypatch):
    package = tmp_path / "rsdetect"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(look_log.rsdetect, "__file__", str(package / "__init__.py"))
    assert look_log.code_version() == look_log.version("rsdetect")

    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.example")
        command = ("git", "-C", tmp_path, *identity, *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init")
    assert look_log.code_version() == look_log.version("rsdetect"), (
        "a repository that does not hold the package"
    )
    git("add", ".")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert look_log.code_version() == commit
    (package / "__init__.py").write_text("changed = True")
    assert look_log.code_version() == commit + "+"
    assert rsdetect is look_log.rsdetect
