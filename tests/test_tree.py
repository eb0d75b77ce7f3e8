"""Tests mirror the tree: each test module has the module that it tests, at the same place."""

from pathlib import Path

from tests.helpers.imports import ROOT, SOURCE_ROOTS

TESTS = ROOT / "tests"

OF_MORE_THAN_A_MODULE = {
    "test_architecture.py": "the arrows between all modules",
    "test_fuzz.py": "the tracker process, by random sessions",
    "test_interrupt.py": "runs and evaluations, by signals at random moments",
    "test_story.py": "the application, by a person's way through it",
    "test_tree.py": "this one",
    "test_wheel.py": "what is installed",
    "parity": "networks, memory and selection against recorded arrays",
    "properties": "readers and writers on generated input",
    "hqtrack/evaluation/test_faults.py": "the toolkit, and a tracker process that fails",
    "hqtrack/evaluation/test_toolkit.py": "the toolkit's own commands",
    "hqtrack/test_examples.py": "the programs in examples and documents",
    "benchmarks/test_benchmarks.py": "the benchmarks but for quality",
}
"""Tests and folders of tests without a module of their name, and what they test instead."""


def mirrored(test: Path) -> list[Path]:
    """The modules that a test may mirror: of its own name or of the beginning of its name."""
    package, *folders = test.relative_to(TESTS).parent.parts
    home = ROOT.joinpath(SOURCE_ROOTS.get(package, ""), package, *folders)
    words = test.stem.removeprefix("test_").split("_")
    beginnings = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
    return [path for name in beginnings if (path := home / f"{name}.py").is_file()]


def excepted(test: Path) -> list[str]:
    """The entries of the exceptions that name this test or a folder that it lies in."""
    place = test.relative_to(TESTS)
    return [name for name in OF_MORE_THAN_A_MODULE if Path(name) in (place, *place.parents)]


def test_every_test_mirrors_a_module() -> None:
    tests = sorted(TESTS.rglob("test_*.py"))
    assert len(tests) > 80
    astray = [str(test) for test in tests if not excepted(test) and not mirrored(test)]
    assert not astray, "no module has the name of these tests:\n" + "\n".join(astray)


def test_every_exception_is_one() -> None:
    tests = sorted(TESTS.rglob("test_*.py"))
    used = {name for test in tests for name in excepted(test)}
    assert used == set(OF_MORE_THAN_A_MODULE)


def test_no_folder_mixes_tests_with_other_modules() -> None:
    """Helpers and programs that take longer than a test have folders to themselves."""
    folders = {path.parent for path in TESTS.rglob("test_*.py")}
    others = [
        path
        for folder in folders
        for path in folder.glob("*.py")
        if not path.name.startswith("test_") and path.name != "conftest.py"
    ]
    assert others == []
    assert not {TESTS / "helpers", TESTS / "fuzz", TESTS / "interrupt", TESTS / "story"} & folders
