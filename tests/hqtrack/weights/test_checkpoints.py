import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from hqsam import build_hqsam
from hqtrack.errors import InputError, MissingFileError
from hqtrack.files import shipped
from hqtrack.light import LIGHT_VMOS
from hqtrack.signals import Ended, ended_by_signals
from hqtrack.weights import checkpoints as weights
from hqtrack.weights.download import DownloadError
from tests.helpers.hqsam_file import FILE, NAME, flip_in_the_middle
from vmos import VMOS, VMOSConfig

pytestmark = pytest.mark.usefixtures("weights_folder")


def test_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert weights.folder() == tmp_path / "weights"
    monkeypatch.delenv("HQTRACK_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.folder() == tmp_path / "hqtrack"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights.folder() == tmp_path / ".cache" / "hqtrack"


def test_find(weights_folder: Path) -> None:
    (weights_folder / FILE).touch()
    assert weights.find(NAME) == weights_folder / FILE
    assert weights.find(NAME, weights_folder) == weights_folder / FILE
    assert weights.find(NAME, str(weights_folder)) == weights_folder / FILE


def test_find_says_what_is_missing_and_how_to_get_it(weights_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError) as error:
        weights.find("vmos")
    message = str(error.value)
    assert f"save_step_42000.pth are not in {weights_folder}" in message
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
    with pytest.raises(InputError, match=r"is damaged: b has values that are not finite"):
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


def test_new_weights_note_their_checksum_where_they_are_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "shipped", lambda name: tmp_path / name)
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  x.safetensors\n{'1' * 64}  y.safetensors\n")
    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="is damaged"):
        weights.load(tmp_path / "x.safetensors")
    weights.note_checksum(tmp_path / "x.safetensors")
    assert list(weights.load(tmp_path / "x.safetensors")) == ["a"]
    (tmp_path / "other").mkdir()
    save_file({"a": torch.ones(2)}, tmp_path / "other" / "y.safetensors")
    weights.note_checksum(tmp_path / "other" / "y.safetensors")
    assert f"{'1' * 64}  y.safetensors" in (tmp_path / "SHA256SUMS").read_text()


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
    width = 2 if name == "light" else 4
    taken = sum(value.numel() * width for value in network.state_dict().values())
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


def test_verify_accepts(weights_folder: Path, tiny_file: bytes) -> None:
    (weights_folder / FILE).write_bytes(tiny_file)
    assert weights.verify(NAME) == weights_folder / FILE


def test_verify_refuses_another_network(
    weights_folder: Path, tiny_weights: dict[str, Tensor]
) -> None:
    torch.save(
        {key: value for key, value in tiny_weights.items() if "neck" not in key},
        weights_folder / FILE,
    )
    with pytest.raises(InputError, match=r"lack image_encoder\.neck\.0\.weight.*Delete it and get"):
        weights.verify(NAME)
    torch.save(tiny_weights, weights_folder / "sam_hq_vit_b.pth")
    with pytest.raises(InputError, match="HQ-SAM vit_tiny, not vit_b"):
        weights.verify("hqsam_vit_b")


def test_verify_refuses_vmos_of_others(
    weights_folder: Path, tiny_weights: dict[str, Tensor]
) -> None:
    torch.save(tiny_weights, weights_folder / "save_step_42000.pth")
    with pytest.raises(InputError, match="does not hold the weights of vmos"):
        weights.verify("vmos")


def test_verify_notices_one_wrong_byte(weights_folder: Path, tiny_file: bytes) -> None:
    (weights_folder / FILE).write_bytes(flip_in_the_middle(tiny_file))
    with pytest.raises(InputError, match="is damaged in"):
        weights.verify(NAME)


@pytest.mark.parametrize("behaviour", ["page", "flip", "cut short", "truncate"])
def test_download_refuses_lies_and_recovers(
    server: Any, weights_folder: Path, behaviour: str
) -> None:
    server.behaviours = [behaviour]
    with pytest.raises(DownloadError, match=f"{FILE} by hand from https://example.org/weights"):
        weights.fetch(NAME)
    assert not (weights_folder / FILE).exists()
    assert weights.fetch(NAME) == weights_folder / FILE
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
        "hqsam_light": "hqsam_light.safetensors",
    }


def test_too_little_memory_is_no_damage(weights_folder: Path, monkeypatch: pytest.MonkeyPatch):
    def failing(*given: object, **options: object) -> None:
        raise RuntimeError("unable to mmap 99 bytes from file <x>: Cannot allocate memory (12)")

    (weights_folder / FILE).write_bytes(b"weights")
    monkeypatch.setattr(torch, "load", failing)
    with pytest.raises(MemoryError, match="no memory to read"):
        weights.load(weights_folder / FILE)


def test_a_signal_while_weights_are_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader of safetensors reports an exception of a signal handler as its own error."""

    def load_file(path: Path) -> dict[str, Tensor]:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0)  # here Python runs the handler
        except BaseException as error:
            raise ValueError("invalid header") from error
        return {}

    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"")
    monkeypatch.setattr("safetensors.torch.load_file", load_file)
    with ended_by_signals(), pytest.raises(Ended, match="SIGTERM"):
        weights.load(path)
