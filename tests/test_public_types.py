"""Public names have types that a user's type checker can use: no `Any` in what the doors take and return."""

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

DOORS = (
    "rsdetect.api",
    "rsdetect.errors",
    "rsdetect.batches.run",
    "rsdetect.catalogue.candidates",
    "rsdetect.catalogue.detect",
    "rsdetect.catalogue.options",
    "rsdetect.detectors.base",
    "rsdetect.evaluation.detector_comparison",
    "rsdetect.evaluation.detector_options",
    "rsdetect.evaluation.detector_results",
    "rsdetect.evaluation.options",
    "rsdetect.evaluation.run",
    "rsdetect.jobs.change_map",
    "rsdetect.jobs.check",
    "rsdetect.jobs.detect",
    "rsdetect.jobs.options",
    "rsdetect.monitoring.run",
    "rsdetect.scenes.pair",
    "rsdetect.scenes.source",
    "rsdetect.simulation.spec",
    "rsdetect.training.options",
)


def untyped(body: list[ast.stmt], prefix: str = "") -> list[str]:
    """Public functions, methods and fields in `body` whose annotations name `Any`."""
    found = []
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += untyped(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            annotations = [
                node.returns,
                *(argument.annotation for argument in ast.walk(node.args) if isinstance(argument, ast.arg)),
            ]
            found += [prefix + node.name for annotation in annotations if names_any(annotation)]
        elif isinstance(node, ast.AnnAssign) and names_any(node.annotation):
            name = ast.unparse(node.target)
            found += [prefix + name] if not name.startswith("_") else []
    return found


def names_any(annotation: ast.expr | None) -> bool:
    """Whether an annotation names `Any`."""
    nodes = ast.walk(annotation) if annotation is not None else ()
    return any(isinstance(node, ast.Name) and node.id == "Any" for node in nodes)


@pytest.mark.parametrize("module", DOORS)
def test_doors_name_no_any(module):
    path = find_spec(module).origin
    assert untyped(ast.parse(Path(path).read_text(encoding="utf-8")).body) == []


def test_the_check_of_types_finds_any():
    source = "def f(a, *b: Any) -> int: ...\nclass C:\n    x: dict[str, Any]\n    def g(self) -> Any: ..."
    assert untyped(ast.parse(source).body) == ["f", "C.x", "C.g"]
