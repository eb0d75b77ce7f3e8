"""Imports run one way: between packages as in the table, and never in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import pytest

from tests.helpers.imports import ROOT, Import, imports_in, module_files, read_imports

NETWORKS = "backbones vmos hqsam"
PACKAGES = ("hqtrack", *NETWORKS.split(), "training", "benchmarks", "examples", "tests")

ROOMS = {
    "base": "environment errors files masks measures progress regions signals stages "
    "standard_streams types windows",
    "core": "baseline build decoding device_edges device_masks device_step edges joining light "
    "looking memory memory_writer noise places preprocess presets prompts references refiner rules "
    "segmenter selection tracker video_state",
    "face": "__init__",
    "top": "__main__ cli demo",
}
"""The modules that lie right in ``hqtrack``; every other room is a package."""

LEAVES = f"{NETWORKS} base compute synthetic video weights"
CORE = f"{LEAVES} core face"
DOMAIN = f"{CORE} app bench evaluation exports records runs scoring vot"

ARROWS = {
    "backbones": "",
    "vmos": "backbones",
    "hqsam": "backbones",
    "base": "",
    "compute": f"base {NETWORKS}",
    "synthetic": "base",
    "video": "base",
    "weights": f"base {NETWORKS}",
    "core": LEAVES,
    "face": f"{LEAVES} core",
    "records": CORE,
    "bench": CORE,
    "runs": f"{CORE} records",
    "exports": f"{CORE} records runs",
    "app": f"{CORE} records runs exports",
    "scoring": f"{CORE} records",
    "vot": CORE,
    "evaluation": f"{CORE} vot",
    "commands": DOMAIN,
    "top": f"{DOMAIN} commands",
    "training.engine": CORE,
    "training.data": CORE,
    "training.vmos": f"{CORE} training.engine training.data",
    "training.hqsam": f"{CORE} training.engine training.data",
    "training.export": f"{CORE} training.engine training.hqsam",
    "benchmarks": f"{DOMAIN} commands",
    "examples": CORE,
    "tests": f"{DOMAIN} commands top benchmarks examples training.engine training.data "
    "training.vmos training.hqsam training.export",
}
"""Which other rooms the modules of a room may import."""


def room_of(module: str) -> str:
    """The room of a module: a package, or a floor of the modules right in ``hqtrack``."""
    package, *inner = module.split(".")
    if package == "training":
        return ".".join([package, *inner[:1]])
    if package != "hqtrack":
        return package
    name = inner[0] if inner else "__init__"
    for room, modules in ROOMS.items():
        if name in modules.split():
            return room
    return name


def wrong_arrows(imports: list[Import]) -> list[str]:
    """The imports that the table does not allow, each with its file, line and arrow."""
    found = []
    for each in imports:
        room, target = room_of(each.module), room_of(each.target)
        if room != target and target not in ARROWS[room].split():
            found.append(f"{each} (from {room} to {target})")
    return found


def first_circle(imports: list[Import]) -> list[str]:
    """The imports of one circle of modules, each with its file and line; empty without one."""
    between = {(each.module, each.target): each for each in imports}
    graph = TopologicalSorter()
    for module, target in between:
        graph.add(module, target)
    try:
        graph.prepare()
    except CycleError as error:
        # each module is imported by the next one
        circle = error.args[1]
        return [str(between[user, used]) for used, user in pairwise(circle)]
    return []


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    return read_imports(PACKAGES)


def test_no_test_and_no_helper_imports_a_test(imports: list[Import]) -> None:
    wrong = [str(each) for each in imports if ".test_" in each.target]
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_a_private_name_of_another() -> None:
    files = module_files(set(PACKAGES) - {"tests"})
    private = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.module}.{alias.name}"
        for path in files.values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    ]
    assert len(files) > 100
    assert not private, "\n".join(private)


def test_every_module_has_a_room() -> None:
    rooms = {room_of(module) for module in module_files(PACKAGES)} - {"training"}
    assert rooms == set(ARROWS)


def test_the_table_itself_has_no_circle() -> None:
    TopologicalSorter({room: allowed.split() for room, allowed in ARROWS.items()}).prepare()


def test_imports_between_packages_go_the_way_of_the_table(imports: list[Import]) -> None:
    assert len(imports) > 500
    wrong = wrong_arrows(imports)
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_each_other_in_a_circle(imports: list[Import]) -> None:
    circle = first_circle(imports)
    assert not circle, "\n".join(circle)


@pytest.mark.parametrize(
    ("file", "line", "arrow"),
    [
        ("tracker/hqtrack/errors.py", "from hqtrack.tracker import HQTracker", "base to core"),
        ("tracker/hqtrack/video/streams.py", "import hqtrack.runs.results", "video to runs"),
        ("tracker/hqtrack/vot/trace.py", "from hqtrack.commands import run", "vot to commands"),
        ("tracker/hqtrack/runs/run.py", "from hqtrack import vot", "runs to vot"),
        ("tracker/hqtrack/build.py", "import training.vmos.train", "core to training.vmos"),
        ("models/vmos/vmos.py", "import hqsam", "vmos to hqsam"),
        ("models/hqsam/sam.py", "from hqtrack.errors import InputError", "hqsam to base"),
        ("training/vmos/task.py", "import training.hqsam.task", "training.vmos to training.hqsam"),
        (
            "tracker/hqtrack/masks.py",
            "def later():\n    from importlib import import_module\n"
            "    import_module(f'hqtrack.commands.{1}')",
            "base to commands",
        ),
    ],
)
def test_an_import_that_is_turned_round_is_named(file: str, line: str, arrow: str) -> None:
    changed, at = with_line(file, line)
    [wrong] = [each for each in wrong_arrows(changed) if f":{at}:" in each]
    assert wrong.startswith(f"{file}:{at}: ")
    assert wrong.endswith(f" (from {arrow})")


def test_a_circle_within_a_package_is_named(imports: list[Import]) -> None:
    changed, at = with_line("models/vmos/ops.py", "def later():\n    from . import attention")
    circle = first_circle([*imports, *changed])
    assert f"models/vmos/ops.py:{at}: vmos.ops -> vmos.attention" in circle
    assert any(line.endswith("vmos.attention -> vmos.ops") for line in circle)


def with_line(file: str, line: str) -> tuple[list[Import], int]:
    """The imports of a module with something more at its end, and the number of the last line."""
    files = module_files(PACKAGES)
    path = ROOT / file
    (module,) = (name for name, each in files.items() if each == path)
    text = f"{path.read_text(encoding='utf-8')}\n{line}\n"
    return imports_in(text, module, path, files), len(text.splitlines())
