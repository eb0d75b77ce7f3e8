"""Who imports whom in a tree of sources, read from the code without running it."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = {"hqtrack": "tracker", **dict.fromkeys(("backbones", "vmos", "hqsam"), "models")}
"""Packages that lie in a source root; all others lie in the repository itself."""


class Import(NamedTuple):
    """An import, wherever it stands in a module: in a function or under TYPE_CHECKING, too."""

    file: Path
    line: int
    module: str
    target: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.module} -> {self.target}"


def module_files(packages: Iterable[str]) -> dict[str, Path]:
    """The file of every module of these packages; a package is its ``__init__``."""
    found = {}
    for package in packages:
        base = ROOT / SOURCE_ROOTS.get(package, "")
        for path in sorted((base / package).rglob("*.py")):
            name = ".".join(path.relative_to(base).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def read_imports(packages: Iterable[str]) -> list[Import]:
    """The imports among the modules of these packages, in the order of the sources."""
    files = module_files(packages)
    return [
        each
        for module, path in files.items()
        for each in imports_in(path.read_text(encoding="utf-8"), module, path, files)
    ]


def imports_in(text: str, module: str, path: Path, modules: Iterable[str]) -> list[Import]:
    """Which of these modules a module with this text imports, once for each line."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = []
    for line, name in _imported(ast.parse(text), package):
        target = _longest(name, modules)
        if target is not None and target != module:
            found.append(Import(path.relative_to(ROOT), line, module, target))
    return list(dict.fromkeys(found))


def _imported(tree: ast.Module, package: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _calls_import_module(node):
            yield from ((node.lineno, text) for text in _texts(node.args[:1]))


def _calls_import_module(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in ("import_module", "__import__")


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    """The names that are written out; of an f-string what stands before the first variable."""
    for node in nodes:
        first = node.values[0] if isinstance(node, ast.JoinedStr) and node.values else node
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value.rstrip(".")


def _longest(name: str, modules: Iterable[str]) -> str | None:
    """The module that an imported name is or lies in, None for those of others."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None
