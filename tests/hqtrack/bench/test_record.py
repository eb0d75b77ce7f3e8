"""The record keeps a prediction before there is a result, and shows both."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from hqtrack.bench.record import Expectation, begin, history, read_record
from hqtrack.errors import InputError

MACHINE = {"processor": "abacus"}


def expected(folder: Path) -> Expectation:
    return Expectation(folder, change="less work", prediction="half of it")


def shown(folder: Path) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(history(read_record(folder)))
    return captured.get()


def test_the_prediction_is_kept_before_the_result(tmp_path: Path) -> None:
    finish = begin(expected(tmp_path), "frame", {"objects": 5}, MACHINE)
    (entry,) = read_record(tmp_path)
    assert (entry.number, entry.prediction, entry.headline) == (1, "half of it", None)
    assert "no result" in shown(tmp_path)
    finish({"ms": 12.0}, {"frame_ms": 12.0})
    (entry,) = read_record(tmp_path)
    assert entry.headline == {"ms": 12.0}
    assert entry.result == {"frame_ms": 12.0}


def test_a_run_is_compared_with_its_like(tmp_path: Path) -> None:
    for objects, milliseconds in ((5, 20.0), (9, 99.0), (5, 10.0)):
        finish = begin(expected(tmp_path), "frame", {"objects": objects}, MACHINE)
        finish({"ms": milliseconds}, {})
    text = shown(tmp_path)
    assert "ms 10 (was 20)" in text
    assert "ms 99 (was" not in text


def test_nothing_is_kept_without_a_folder() -> None:
    begin(None, "frame", {}, MACHINE)({}, {})


def test_a_stranger_in_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"b": 1}))
    with pytest.raises(InputError, match=r"a\.json is not a run"):
        read_record(tmp_path)
