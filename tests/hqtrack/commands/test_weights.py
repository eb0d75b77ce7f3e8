"""``hqtrack weights``."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hqtrack.commands import weights as weights_command
from hqtrack.errors import InputError, MissingFileError
from hqtrack.weights import checkpoints as weights
from tests.helpers.hqsam_file import FILE, NAME, flip_in_the_middle

pytestmark = pytest.mark.usefixtures("weights_folder")


def command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    weights_command.add_arguments(parser)
    return weights_command.run(parser.parse_args(words))


def test_download_prints_the_path_and_shows_the_licence(
    server: Any,
    weights_folder: Path,
    tiny_weights: dict[str, Tensor],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command("download", NAME) == 0
    output = capsys.readouterr()
    assert output.out == f"{weights_folder / FILE}\n"
    assert "licence Apache-2.0" in output.err
    loaded = weights.load(weights_folder / FILE)
    assert all(torch.equal(loaded[key], value) for key, value in tiny_weights.items())
    assert command("download", NAME) == 0
    assert len(server.ranges) == 1


def test_list(weights_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (weights_folder / FILE).touch()
    assert command("list") == 0
    output = capsys.readouterr()
    lines = {line.split()[0]: line for line in output.out.splitlines()}
    assert list(lines) == list(weights.KNOWN)
    assert "present" in lines[NAME]
    assert "missing" in lines["vmos"]
    assert "Apache-2.0" in lines[NAME]
    assert str(weights_folder) in output.err


def test_path(weights_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("path") == 0
    (weights_folder / FILE).touch()
    assert command("path", NAME) == 0
    assert capsys.readouterr().out.splitlines() == [str(weights_folder), str(weights_folder / FILE)]
    with pytest.raises(MissingFileError):
        command("path", "vmos")


def test_verify_command_checks_what_is_here(
    weights_folder: Path,
    tiny_file: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(weights, "KNOWN", {NAME: weights.KNOWN[NAME]})
    assert command("verify") == 0
    assert capsys.readouterr().out == ""
    (weights_folder / FILE).write_bytes(tiny_file)
    assert command("verify") == 0
    assert capsys.readouterr().out == f"{NAME}: {weights_folder / FILE} is intact\n"
    (weights_folder / FILE).write_bytes(flip_in_the_middle(tiny_file))
    with pytest.raises(InputError, match="damaged"):
        command("verify")
