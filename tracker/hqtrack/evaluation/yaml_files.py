"""Reads untrusted YAML files safely.

The VOT toolkit reads a stack with PyYAML's unsafe loader, which runs any program that the file
names, and imports any class that its experiments name. So hqtrack reads these files itself.
"""

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from hqtrack.errors import InputError, MissingFileError

_MOST_BYTES = 1_000_000
_MOST_VALUES = 20_000
"""Most values in total, with values repeated by aliases; stacks have hundreds."""

_DEEPEST = 50


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that is a mapping of text to plain values.

    Raises MissingFileError if there is no file. Raises InputError, with file and line, if it is not
    YAML, requests a Python object, names a class outside of the toolkit as a ``type``, or has
    aliases that expand to too many values.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"there is no file {path}; check the path") from None
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}): allow it") from error
    if len(text) > _MOST_BYTES:
        raise InputError(f"{path} has {len(text)} bytes: that is not a configuration; give another")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            _examine(path, node)
        content = yaml.safe_load(text)
    except InputError:
        raise
    except yaml.MarkedYAMLError as error:
        raise _refusal(path, error.problem_mark or error.context_mark, _problem(error)) from error
    except RecursionError:
        raise InputError(f"{path} is nested too deeply: that is not a configuration") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path} is not a configuration: {error}; correct it") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(
            f"{path} is not a configuration: it has to be a mapping of names to values"
        )
    return content


def _problem(error: Any) -> str:
    """The problem that PyYAML found, and the remedy."""
    text = " ".join(str(error.problem or error.context).split())
    if "tag:yaml.org,2002:python" in text:
        return (
            "it asks for a Python object, and the VOT toolkit would run what it names: remove the "
            f"line, and trust the rest of the folder no more than this file ({text})"
        )
    return f"{text}; correct it"


def _refusal(path: Path, mark: Any, problem: str) -> InputError:
    where = f"{path}, line {mark.line + 1}" if mark is not None else str(path)
    return InputError(f"{where}: {problem}")


def _examine(path: Path, root: Any) -> None:
    """Raise InputError for too large aliases and for classes from outside of the toolkit."""
    sizes: dict[int, int] = {}
    above: set[int] = set()

    def measure(node: Any) -> int:
        key = id(node)
        if key in above:
            raise _refusal(path, node.start_mark, "it contains itself; write plain values")
        if len(above) > _DEEPEST:
            raise _refusal(path, node.start_mark, "it is nested too deeply; correct it")
        if key not in sizes:
            above.add(key)
            sizes[key] = 1 + sum(measure(child) for child in _children(path, node))
            above.remove(key)
        if sizes[key] > _MOST_VALUES:
            raise _refusal(
                path,
                node.start_mark,
                f"its aliases stand for more than {_MOST_VALUES} values; write them out",
            )
        return sizes[key]

    measure(root)


def _children(path: Path, node: Any) -> list[Any]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if not isinstance(node, yaml.MappingNode):
        return []
    for key, value in node.value:
        named = key.value == "type" and isinstance(value, yaml.ScalarNode)
        if named and "." in value.value and not value.value.startswith("vot."):
            raise _refusal(
                path,
                value.start_mark,
                f"the type {value.value} would be imported, which can run any program: use a type "
                "of the VOT toolkit",
            )
    return [one for pair in node.value for one in pair]
