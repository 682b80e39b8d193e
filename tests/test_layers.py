"""The rooms of the package: who may import what, read from every module's source."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rsdetect

PACKAGE = Path(rsdetect.__file__).parent
MODULES = {
    ".".join(("rsdetect", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

# From the ground up: a module imports from its own room and from the floors below it.
FLOORS = (
    {
        "errors",
        "doubts",
        "arraytypes",
        "jsontypes",
        "extras",
        "grid",
        "paths",
        "files",
        "folders",
        "percent",
        "progress",
    }
    | {"deprecation", "extras", "schema", "validation", "interruption", "reading", "secrets"}
    | {"amounts", "geodata", "installed", "limited_memory", "statuses", "stderr"},
    {"tiles", "stats", "metrics", "devices", "memory", "nets", "regions", "kinds"},
    {"scenes", "geopackage", "backends", "pages", "simulation"},
    {"checks", "labelled"},
    {"detectors", "feeds", "ingestion"},
    {"scoring"},
    {"jobs", "training"},
    {"batches", "evaluation", "monitoring", "catalogue"},
    {"commands", "api"},
    {"cli"},
)
# `rsdetect` itself is the index: it points at the upper floors without importing them.
PURE = (
    "arraytypes",
    "jsontypes",
    "errors",
    "files",
    "folders",
    "grid",
    "tiles",
    "stats",
    "metrics",
    "percent",
    "validation",
    "nets",
)
FILES = {"rasterio", "geopandas", "pyogrio", "shapely"}
RUNNING = {"torch", "dask", "distributed"}
TORCH_ROOMS = ("nets", "backends", "training", "detectors.learned", "detectors.strip", "devices")


def imports_of(name, *, anywhere=True):
    """(module, whether it is imported when the module itself is) of everything that `name` imports."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    found = []

    def walk(node, at_import):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            found.extend((alias.name, at_import) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            found.extend((each if each in MODULES else node.module, at_import) for each in submodules)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            walk(child, at_import and not inside)

    walk(tree, True)
    return {module for module, at_import in found if anywhere or at_import}


def packages_of(name, **options):
    return {module.partition(".")[0] for module in imports_of(name, **options)}


def within(name, *rooms):
    return any(name == f"rsdetect.{room}" or name.startswith(f"rsdetect.{room}.") for room in rooms)


def floor(module):
    room = module.split(".")[1] if "." in module else "cli"
    (number,) = [i for i, rooms in enumerate(FLOORS) if room in rooms]
    return number


def test_every_module_has_its_floor():
    rooms = {name.split(".")[1] for name in MODULES if "." in name} - {"__main__"}
    assert rooms <= set().union(*FLOORS), "a new module: add it to FLOORS"


@pytest.mark.parametrize("name", [name for name in MODULES if name.count(".")])
def test_imports_go_downwards_only(name):
    if name == "rsdetect.__main__":
        return
    for module in imports_of(name):
        if module.startswith("rsdetect."):
            assert floor(module) <= floor(name), f"{name} imports {module}, which is above it"


@pytest.mark.parametrize("name", [name for name in MODULES if within(name, *PURE)])
def test_the_pure_rooms_open_no_files_and_run_nothing(name):
    forbidden = FILES | RUNNING - ({"torch"} if within(name, "nets") else set())
    assert not packages_of(name) & forbidden


def test_only_the_engine_and_the_lazy_arrays_import_dask():
    users = {name for name in MODULES if packages_of(name) & {"dask", "distributed"}}
    assert users == {"rsdetect.scoring.engine", "rsdetect.scoring.lazy"}


def test_one_environment_renders_all_pages():
    assert {name for name in MODULES if "jinja2" in packages_of(name)} == {"rsdetect.pages.templates"}
    templates = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.html")}
    assert {path.parts[0] for path in templates} == {"pages"}
    heads = [path.name for path in templates if "<head>" in (PACKAGE / path).read_text(encoding="utf-8")]
    assert heads == ["base.html"]


def test_torch_stays_in_its_rooms():
    users = {name for name in MODULES if "torch" in packages_of(name)}
    assert all(within(name, *TORCH_ROOMS) for name in users), users
    assert "torch" not in packages_of("rsdetect.devices", anywhere=False)


def imported_by(code):
    """Which of the slow packages a fresh interpreter holds after running `code`."""
    slow = "{'torch', 'dask', 'distributed', 'xarray', 'skimage', 'lightning', 'matplotlib'}"
    script = f"{code}\nimport sys\nprint('HELD', sorted({slow} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.rpartition("HELD ")[2].strip()


def test_importing_rsdetect_imports_neither_torch_nor_dask():
    assert imported_by("import rsdetect") == "[]"


def test_help_imports_neither_torch_nor_dask():
    code = (
        "import sys; sys.argv = ['rsdetect', '--help']\n"
        "from rsdetect.cli import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert done.code == 0"
    )
    assert imported_by(code) == "[]"


def test_opening_a_pair_imports_neither_torch_nor_dask():
    assert imported_by("import rsdetect; rsdetect.open_pair") == "[]"
