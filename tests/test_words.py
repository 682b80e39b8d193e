"""The prose of the repository: dialect words that were replaced by the terms of the field, and stay out."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# pattern -> what to write instead
_EACH = "band|pixel|place|tile|date|scene|day|second|step|year|month|region|pair|command|core|machine|event"
_COUNTED = "file|folder|raster|polygon|number|value|metres|bytes|row|task|thread|tile|pixels|seconds|column"
DIALECT = {
    r"put(s|ting)? down": "write, store, save",
    r"told": "given, notified, reported",
    r"tells?(?!( \w+){1,4} apart| apart)": "give, report, show, describe",
    r"anew": "again",
    r"whoever": "the caller, users who",
    r"h[au]ngs? together": "connected, belongs together",
    r"look(s|ed|ing)? at": "read, inspect, examine, observe",
    r"(is|are|was|be|been) said": "is reported, is documented, raises",
    r"(rsdetect|program|product|command|job|it|message|card|record|that) sa(ys|id)": "reports, gives, states",
    r"sa(ys|id) (so|what|how|which|why|where|whether|who|when)": "describes, lists, reports",
    r"of which is kept": "keeps only",
    r"mend(s|ed|ing)?": "fix, repair",
    r"reckon(s|ed|ing)?": "compute, estimate",
    r"at hand": "available, in memory",
    r"things?": "the noun itself",
    r"nobody": "no one, or the passive",
    r"(it|they|GDAL|QGIS|torch|writers?|readers?|detectors?) wants?": "requires, expects",
    r"lets? (it |them )?go": "release",
    r"go(es)? by (the|its|their)": "is determined by, uses",
    r"(stands|stood)(?! for)": "is, is listed, is described",
    r"in 8 bits": "int8",
    r"polygonis\w+": "polygonize",
    r"(the|its|network's|their) reach": "receptive field, extent",
    r"way out": "remedy, what to do instead",
    r"carr(y|ies|ied) on": "resume, continue",
    r"in the place of": "instead of, replaces",
    r"hears? of": "is notified of",
    r"(is|are|was|were) of (one|another|a|the|this|that|which)": "belongs to, has",
    rf"({_COUNTED}) an? ({_EACH})": "per",
    r"for good": "permanently",
    r"in words": "as text",
    r"to the bit": "bit-identical",
    r"whole numbers?": "integer",
    r"(is|are|were) whole": "is complete",
    r"beforehand": "in advance",
    r"(is|are|be|was) at work": "is running",
    r"became of": "happened to",
    r"ma(de|kes?) ready": "prepare, calibrate",
    r"seldom|till|whilst|whereof|thereof|naught": "rarely, until, while, of it, nothing",
}

_SUFFIXES = {".py", ".md", ".html", ".yaml", ".yml", ".sh"}
_NAMES = {".gitmessage", "Makefile", "Dockerfile", "Dockerfile.gpu", "run"}
_FOUND = re.compile("|".join(rf"(?<![\w-])({pattern})(?![\w-])" for pattern in DIALECT), re.IGNORECASE)


def tracked() -> list[str]:
    """Files with prose, relative to the root; notes keep the words of those who wrote them."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [
        name
        for name in listed.stdout.splitlines()
        if (Path(name).suffix in _SUFFIXES or Path(name).name in _NAMES)
        and not name.startswith("docs/notes/")
        and name != "tests/test_words.py"
    ]


def python_prose(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of comments, docstrings, messages, and names of functions and classes."""
    comments = [
        (token.start[0], token.string.lstrip("#! "))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    for i, (line, text) in enumerate(comments):
        follows = i + 1 < len(comments) and comments[i + 1][0] == line + 1
        yield line, f"{text} {comments[i + 1][1]}" if follows else text
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name.replace("_", " ")


def prose(name: str) -> Iterator[tuple[int, str]]:
    text = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith(".py"):
        yield from python_prose(text)
        return
    if name.endswith(".md"):
        text = re.sub(r"^```.*?^```", lambda code: "\n" * code[0].count("\n"), text, flags=re.M | re.S)
    lines = text.splitlines()
    yield from enumerate((" ".join(lines[i : i + 2]) for i in range(len(lines))), 1)


def dialect(text: str) -> list[str]:
    """The dialect in a text; what stands in backticks is code."""
    return [found[0] for found in _FOUND.finditer(" ".join(re.sub(r"`[^`]*`", "`", text).split()))]


def test_words_are_found_across_lines_and_not_inside_others():
    assert dialect("The tile is put\n    down, told `whoever` and anew.") == ["put down", "told", "anew"]
    assert (
        dialect("Recommended amendments; `part` tells several draws apart; a standard stands for it.") == []
    )


@pytest.mark.parametrize("name", tracked())
def test_prose_is_free_of_dialect(name):
    found = {f"line {line}: {word!r}" for line, text in prose(name) for word in dialect(text)}
    assert not found, f"{name}: {sorted(found)}; DIALECT in {Path(__file__).name} has what to write instead"
