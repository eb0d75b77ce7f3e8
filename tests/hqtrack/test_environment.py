"""The environment variables: what each says, where they are read, and that users are told."""

import ast
import math
import re
from pathlib import Path

import pytest

from hqtrack import environment
from hqtrack.environment import Settings, Variable

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for folder in ("tracker", "models", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)
NOTHING = Settings(None, None, None, None, None, False, True, None, None, None)


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("HQTRACK_PRESET", "light", "preset", "light"),
        ("HQTRACK_DEVICE", "cuda:1", "device", "cuda:1"),
        ("HQTRACK_REFINER", "vit_b", "refiner", "vit_b"),
        ("HQTRACK_RULES", "plus", "rules", "plus"),
        ("HQTRACK_WEIGHTS", "/some/folder", "weights", Path("/some/folder")),
        ("HQTRACK_WEIGHTS", "~/folder", "weights", Path.home() / "folder"),
        ("HQTRACK_EXACT", "1", "exact", True),
        ("HQTRACK_EXACT", "0", "exact", False),
        ("HQTRACK_GRAPHS", "1", "graphs", True),
        ("HQTRACK_GRAPHS", "0", "graphs", False),
        ("HQTRACK_RESIDENT", "0", "resident", 0.0),
        ("HQTRACK_RESIDENT", "7.5", "resident", 7.5),
        ("HQTRACK_RESIDENT", "inf", "resident", math.inf),
        ("HQTRACK_RESIDENT", "1e999", "resident", math.inf),
        ("HQTRACK_WORKSPACE", "/some/workspace", "workspace", Path("/some/workspace")),
        ("HQTRACK_TRACE", "trace.jsonl", "trace", Path("trace.jsonl")),
    ],
)
def test_what_a_variable_says(name: str, value: str, field: str, expected: object) -> None:
    settings = environment.read({name: value, "HOME": "/x", "DEVICE": "none of ours"})
    assert getattr(settings, field) == expected
    assert environment.read({}) == NOTHING


@pytest.mark.parametrize("value", ["x", "nan", "-1", "-inf", "1 s", "1,5"])
def test_a_wait_that_is_none_is_no_number(value: str) -> None:
    seconds = environment.read({"HQTRACK_RESIDENT": value}).resident
    assert seconds is not None
    assert math.isnan(seconds)


def test_an_empty_value_counts_as_not_set() -> None:
    assert environment.read(dict.fromkeys(Variable, "")) == NOTHING


def test_the_environment_of_this_process_is_read_as_it_is_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HQTRACK_DEVICE", "cuda:7")
    assert environment.read().device == "cuda:7"
    monkeypatch.delenv("HQTRACK_DEVICE")
    assert environment.read().device is None


def test_the_table_in_the_documents_lists_exactly_these_variables() -> None:
    text = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert listed == list(Variable)
    assert "(docs/environment.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_no_other_module_names_a_variable_to_read_or_set_it() -> None:
    """A name in a message or a docstring is fine; a string that is a name is not."""
    named = {
        path.relative_to(ROOT)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"HQTRACK_[A-Z]+", node.value)
    }
    assert named == {Path("tracker/hqtrack/environment.py")}


def test_every_variable_that_is_mentioned_exists() -> None:
    documents = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "trackers.ini"]
    mentioned = {
        name
        for path in (*SOURCES, *documents)
        for name in re.findall(r"HQTRACK_[A-Z]+", path.read_text(encoding="utf-8"))
    }
    assert mentioned == set(Variable)
