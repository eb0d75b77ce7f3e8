"""YAML from elsewhere is read without running it."""

from pathlib import Path

import pytest

from hqtrack.errors import InputError, MissingFileError
from hqtrack.evaluation.yaml_files import read_yaml
from hqtrack.files import shipped

BILLION = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


def refused(tmp_path: Path, text: str | bytes, *said: str) -> None:
    path = tmp_path / "stack.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as error:
        read_yaml(path)
    for words in said:
        assert words in str(error.value)
    assert str(error.value).count(str(path)) == 1


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['touch {mark}']",
        "!!python/object/apply:subprocess.check_call [[touch, '{mark}']]",
        "!!python/object/new:os.system ['touch {mark}']",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/tuple [1]",
        "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch {mark}']",
        "!own thing",
    ],
)
def test_a_python_object_is_refused_with_its_line_and_not_made(tmp_path: Path, value: str) -> None:
    mark = tmp_path / "mark"
    refused(tmp_path, f"title: fine\nother: {value.format(mark=mark)}\n", "line 2")
    assert not mark.exists()


@pytest.mark.parametrize("name", ["os.system", "evil.Experiment", "votes.x", "antigravity.x"])
def test_a_class_from_elsewhere_is_refused_with_its_line(tmp_path: Path, name: str) -> None:
    refused(
        tmp_path, f"experiments:\n  baseline:\n    type: {name}\n", "line 3", name, "VOT toolkit"
    )


def test_aliases_that_explode_are_refused_and_not_expanded(tmp_path: Path) -> None:
    refused(tmp_path, BILLION, "line", "aliases")
    merged = BILLION.replace("[x, x, x, x, x, x, x, x, x, x]", "{x: y}")
    refused(tmp_path, merged + "last: {<<: *a9}\n", "line")


def test_an_alias_of_what_contains_it_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "a: &a\n  b: *a\n", "line", "contains itself")


@pytest.mark.parametrize(
    "text",
    [
        "a: [1, 2\nb: 3\n",
        "- a\n- b\n",
        "1: a\n",
        "",
        "just words\n",
        "a: *nobody\n",
        "a: {[b]: c}\n",
        "a: 2001-99-99\n",
        "{" * 3000,
        "a: " + "[" * 200 + "]" * 200,
        b"a: \xff\xfe\n",
        b"a: \0\n",
        b"x: 1\n" * 300_000,
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str | bytes) -> None:
    refused(tmp_path, text)


def test_anchors_and_aliases_in_moderation_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "stack.yaml"
    path.write_text("a: &a {type: accuracy, n: 1}\nb: [*a, *a]\nc: {<<: *a, n: 2}\n")
    one = {"type": "accuracy", "n": 1}
    assert read_yaml(path) == {"a": one, "b": [one, one], "c": {"type": "accuracy", "n": 2}}


def test_our_stack_and_those_of_the_toolkit_are_fine() -> None:
    import vot.stack

    stacks = [shipped("stack.yaml"), *Path(vot.stack.__file__).parent.rglob("*.yaml")]
    read = [read_yaml(path) for path in stacks if path.stat().st_size]
    assert all("experiments" in stack for stack in read)
    assert len(read) > 20


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot read"):
        read_yaml(tmp_path)
