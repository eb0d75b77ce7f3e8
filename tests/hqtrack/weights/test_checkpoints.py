import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from hqsam import build_hqsam
from hqtrack.commands import weights as weights_command
from hqtrack.errors import InputError, MissingFileError
from hqtrack.files import shipped
from hqtrack.light import LIGHT_VMOS
from hqtrack.weights import checkpoints as weights
from hqtrack.weights.download import DownloadError
from tests.helpers.server import serve
from vmos import VMOS, VMOSConfig

NAME = "hqsam_vit_tiny"
FILE = "sam_hq_vit_tiny.pth"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the weights."""
    monkeypatch.setenv("HQTRACK_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture(scope="module")
def tiny() -> dict[str, Tensor]:
    return build_hqsam("vit_tiny").state_dict()


@pytest.fixture(scope="module")
def tiny_file(tiny: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / FILE
    torch.save(tiny, path)
    return path.read_bytes()


def command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    weights_command.add_arguments(parser)
    return weights_command.run(parser.parse_args(words))


def test_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert weights.folder() == tmp_path / "weights"
    monkeypatch.delenv("HQTRACK_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.folder() == tmp_path / "hqtrack"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights.folder() == tmp_path / ".cache" / "hqtrack"


def test_find(folder: Path) -> None:
    (folder / FILE).touch()
    assert weights.find(NAME) == folder / FILE
    assert weights.find(NAME, folder) == folder / FILE
    assert weights.find(NAME, str(folder)) == folder / FILE


def test_find_says_what_is_missing_and_how_to_get_it(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError) as error:
        weights.find("vmos")
    message = str(error.value)
    assert f"save_step_42000.pth are not in {folder}" in message
    assert "`hqtrack weights download vmos`" in message
    assert "drive.google.com/drive/folders/" in message
    with pytest.raises(MissingFileError, match=f"HQTRACK_WEIGHTS={tmp_path} hqtrack weights"):
        weights.find(NAME, tmp_path)
    with pytest.raises(
        MissingFileError, match=r"light\.safetensors.*without a folder, hqtrack uses"
    ):
        weights.find("light", tmp_path)


def test_unknown_name() -> None:
    for function in (weights.find, weights.fetch, weights.verify):
        with pytest.raises(InputError, match=r"no weights called 'vit'.*vmos, hqsam_vit_tiny"):
            function("vit")


@pytest.mark.parametrize("nest", [None, "state_dict", "model"])
@pytest.mark.parametrize("zipped", [True, False])
def test_load_pickles(tmp_path: Path, nest: str | None, zipped: bool) -> None:
    tensors = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(1)}
    content: Any = {nest: tensors, "optimizer": {"step": 3}} if nest else tensors
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    loaded = weights.load(tmp_path / "x.pth")
    assert list(loaded) == ["a", "b"]
    assert all(torch.equal(loaded[key], value) for key, value in tensors.items())


def test_load_safetensors(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    assert torch.equal(weights.load(tmp_path / "x.safetensors")["a"], torch.ones(2))


def test_load_nothing(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="there are no weights at"):
        weights.load(tmp_path / "x.pth")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_load_truncated(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"x.{suffix}"
    tensors = {"a": torch.arange(1000.0)}
    torch.save(tensors, path) if suffix == "pth" else save_file(tensors, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match="truncated or something else"):
        weights.load(path)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_load_values_that_are_no_numbers(
    tmp_path: Path, suffix: str, value: float, dtype: torch.dtype
) -> None:
    path = tmp_path / f"x.{suffix}"
    bad = torch.zeros(3, 5, dtype=dtype)
    bad[1, 2] = value
    tensors = {"a": torch.ones(2), "none": torch.ones(0), "count": torch.tensor(3), "b": bad}
    torch.save(tensors, path) if suffix == "pth" else save_file(tensors, path)
    with pytest.raises(InputError, match=r"is damaged: b has values that are no numbers"):
        weights.load(path)
    bad[1, 2] = 7
    torch.save(tensors, path) if suffix == "pth" else save_file(tensors, path)
    assert list(weights.load(path)) != []


@pytest.mark.parametrize("place", [0, 0.5, 0.999999])
def test_a_flipped_bit_of_what_is_shipped_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: float
) -> None:
    for name in ("light.safetensors", "SHA256SUMS"):
        (tmp_path / name).write_bytes(shipped(name).read_bytes())
    monkeypatch.setattr(weights, "shipped", lambda name: tmp_path / name)
    path = weights.verify("light")
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged: its SHA-256 is .* install hqtrack"):
        weights.load(path)
    with pytest.raises(InputError, match="install"):
        weights.verify("light")


@pytest.mark.parametrize("name", ["vmos", "hqsam_vit_tiny", "hqsam_vit_b", "light"])
def test_the_sizes_are_those_of_the_networks(name: str) -> None:
    with torch.device("meta"):
        match name:
            case "vmos":
                network: torch.nn.Module = VMOS(VMOSConfig())
            case "light":
                network = VMOS(LIGHT_VMOS)
            case _:
                network = build_hqsam(name.removeprefix("hqsam_"))
    taken = sum(value.numel() * 4 for value in network.state_dict().values())
    assert weights.KNOWN[name].megabytes == round(taken / 1e6)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_load_web_page(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_text("<html>Google Drive - Quota exceeded</html>")
    with pytest.raises(InputError, match="truncated or something else"):
        weights.load(path)


class Trap:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.path,)


def test_load_runs_no_code(tmp_path: Path) -> None:
    torch.save({"a": Trap(tmp_path / "ran")}, tmp_path / "x.pth")
    with pytest.raises(InputError, match="truncated or something else"):
        weights.load(tmp_path / "x.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.ones(3), "no named tensors"),
        ({}, "no named tensors"),
        ({"state_dict": {}}, "no named tensors"),
        ({"epoch": 3, "a": torch.ones(1)}, r"other things than tensors \(epoch\)"),
    ],
)
def test_load_foreign(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(InputError, match=message):
        weights.load(tmp_path / "x.pth")


def test_verify_accepts(folder: Path, tiny_file: bytes) -> None:
    (folder / FILE).write_bytes(tiny_file)
    assert weights.verify(NAME) == folder / FILE


def test_verify_refuses_another_network(folder: Path, tiny: dict[str, Tensor]) -> None:
    torch.save({key: value for key, value in tiny.items() if "neck" not in key}, folder / FILE)
    with pytest.raises(InputError, match=r"lack image_encoder\.neck\.0\.weight.*Delete it and get"):
        weights.verify(NAME)
    torch.save(tiny, folder / "sam_hq_vit_b.pth")
    with pytest.raises(InputError, match="HQ-SAM vit_tiny, not vit_b"):
        weights.verify("hqsam_vit_b")


def test_verify_refuses_vmos_of_others(folder: Path, tiny: dict[str, Tensor]) -> None:
    torch.save(tiny, folder / "save_step_42000.pth")
    with pytest.raises(InputError, match="does not hold the weights of vmos"):
        weights.verify("vmos")


def flip_in_the_middle(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def test_verify_notices_one_wrong_byte(folder: Path, tiny_file: bytes) -> None:
    (folder / FILE).write_bytes(flip_in_the_middle(tiny_file))
    with pytest.raises(InputError, match="is damaged in"):
        weights.verify(NAME)


class Url:
    """A source on the local server."""

    page = "https://example.org/weights"

    def __init__(self, address: str) -> None:
        self.address = address

    def fetch(self, target: Path) -> None:
        import gdown

        gdown.download(url=self.address, output=str(target), quiet=True, resume=True, timeout=5)


@pytest.fixture
def server(tiny_file: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Weights of HQ-SAM vit_tiny, from a local server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(tiny_file) as files:
        source = Url(f"{files.address}/{FILE}")
        known = {NAME: dataclasses.replace(weights.KNOWN[NAME], source=source)}
        monkeypatch.setattr(weights, "KNOWN", weights.KNOWN | known)
        yield files


def test_download_prints_the_path_and_shows_the_licence(
    server: Any, folder: Path, tiny: dict[str, Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("download", NAME) == 0
    output = capsys.readouterr()
    assert output.out == f"{folder / FILE}\n"
    assert "licence Apache-2.0" in output.err
    loaded = weights.load(folder / FILE)
    assert all(torch.equal(loaded[key], value) for key, value in tiny.items())
    assert command("download", NAME) == 0
    assert len(server.ranges) == 1


@pytest.mark.parametrize("behaviour", ["page", "flip", "cut short", "truncate"])
def test_download_refuses_lies_and_recovers(server: Any, folder: Path, behaviour: str) -> None:
    server.behaviours = [behaviour]
    with pytest.raises(DownloadError, match=f"{FILE} by hand from https://example.org/weights"):
        weights.fetch(NAME)
    assert not (folder / FILE).exists()
    assert weights.fetch(NAME) == folder / FILE
    assert weights.verify(NAME)


def test_known_sources() -> None:
    files = {name: checkpoint.file for name, checkpoint in weights.KNOWN.items()}
    assert files == {
        "vmos": "save_step_42000.pth",
        "hqsam_vit_tiny": "sam_hq_vit_tiny.pth",
        "hqsam_vit_b": "sam_hq_vit_b.pth",
        "hqsam_vit_l": "sam_hq_vit_l.pth",
        "hqsam_vit_h": "sam_hq_vit_h.pth",
        "light": "light.safetensors",
    }


def test_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / FILE).touch()
    assert command("list") == 0
    output = capsys.readouterr()
    lines = {line.split()[0]: line for line in output.out.splitlines()}
    assert list(lines) == list(weights.KNOWN)
    assert "present" in lines[NAME]
    assert "missing" in lines["vmos"]
    assert "Apache-2.0" in lines[NAME]
    assert str(folder) in output.err


def test_path(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("path") == 0
    (folder / FILE).touch()
    assert command("path", NAME) == 0
    assert capsys.readouterr().out.splitlines() == [str(folder), str(folder / FILE)]
    with pytest.raises(MissingFileError):
        command("path", "vmos")


def test_verify_command_checks_what_is_here(
    folder: Path,
    tiny_file: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(weights, "KNOWN", {NAME: weights.KNOWN[NAME]})
    assert command("verify") == 0
    assert capsys.readouterr().out == ""
    (folder / FILE).write_bytes(tiny_file)
    assert command("verify") == 0
    assert capsys.readouterr().out == f"{NAME}: {folder / FILE} is intact\n"
    (folder / FILE).write_bytes(flip_in_the_middle(tiny_file))
    with pytest.raises(InputError, match="damaged"):
        command("verify")
