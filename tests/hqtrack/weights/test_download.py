import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gdown
import huggingface_hub
import pytest
from filelock import FileLock

from hqtrack.errors import InputError
from hqtrack.weights import download as module
from hqtrack.weights.download import DownloadError, DriveFile, HubFile, Remote, download
from tests.helpers.server import FileServer, serve

CONTENT = bytes(range(256)) * 16000
DRIVE = DriveFile("folder-id", "file.bin")
HUB = HubFile("owner/name", "file.bin")
both = pytest.mark.parametrize("source", [DRIVE, HUB], ids=["drive", "hub"])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A file server in the place of Google Drive and the Hugging Face Hub."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "_SILENCE", 1.0)
    monkeypatch.setattr(module, "_RETRIES", 0)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 1)
    with serve(CONTENT) as files:

        def listing(id: str, **options: Any) -> list[SimpleNamespace]:
            assert id == DRIVE.folder
            assert options["skip_download"]
            return [
                SimpleNamespace(path="ckpt/file.bin", id="file-id"),
                SimpleNamespace(path="ema_ckpt/file.bin", id="another-id"),
            ]

        gdown_download, hub_download = gdown.download, huggingface_hub.hf_hub_download

        def from_drive(id: str, **options: Any) -> Any:
            return gdown_download(url=f"{files.address}/{id}", use_cookies=False, **options)

        def from_hub(*names: str, **options: Any) -> Any:
            return hub_download(*names, endpoint=files.address, **options)

        monkeypatch.setattr(gdown, "download_folder", listing)
        monkeypatch.setattr(gdown, "download", from_drive)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", from_hub)
        yield files


def check(path: Path) -> None:
    if path.read_bytes() != CONTENT:
        raise InputError("the content is wrong")


@both
def test_the_whole_file_and_nothing_else_is_left(
    server: FileServer, tmp_path: Path, source: Remote
) -> None:
    path = tmp_path / "new" / "file.bin"
    download(source, path, check)
    assert path.read_bytes() == CONTENT
    assert {entry.name for entry in path.parent.iterdir()} <= {"file.bin", ".file.bin.lock"}


def test_a_file_that_is_there_is_not_fetched_again(server: FileServer, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"mine")
    download(DRIVE, path, check)
    assert path.read_bytes() == b"mine"
    assert server.ranges == []


@pytest.mark.parametrize("behaviour", ["truncate", "stall"])
def test_an_interrupted_transfer_is_resumed(
    server: FileServer, tmp_path: Path, behaviour: str
) -> None:
    path = tmp_path / "file.bin"
    server.behaviours = [behaviour]
    with pytest.raises(DownloadError, match="Run the same command again to resume") as error:
        download(DRIVE, path, check)
    assert "folders/folder-id and put it into " + str(tmp_path) in str(error.value)
    assert not path.exists()
    download(DRIVE, path, check)
    assert path.read_bytes() == CONTENT
    first, *_, resumed = server.ranges
    assert first is None
    assert resumed is not None
    assert 0 < int(resumed.removeprefix("bytes=").rstrip("-")) < len(CONTENT)


@pytest.mark.parametrize("behaviour", ["truncate", "stall"])
def test_the_hub_resumes_by_itself(server: FileServer, tmp_path: Path, behaviour: str) -> None:
    server.behaviours = [behaviour]
    download(HUB, tmp_path / "file.bin", check)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert len(server.ranges) == 2


@pytest.mark.parametrize("behaviour", ["page", "flip", "cut short"])
def test_a_lie_is_not_kept(server: FileServer, tmp_path: Path, behaviour: str) -> None:
    path = tmp_path / "file.bin"
    server.behaviours = [behaviour]
    with pytest.raises(
        DownloadError, match=r"a different file than file\.bin: the content is wrong"
    ):
        download(DRIVE, path, check)
    assert not path.exists()
    download(DRIVE, path, check)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, None]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(DRIVE, id="drive"),
        # huggingface_hub waits between its attempts
        pytest.param(HUB, id="hub", marks=pytest.mark.slow),
    ],
)
def test_offline(server: FileServer, tmp_path: Path, source: Remote) -> None:
    server.address = "http://127.0.0.1:9"
    with pytest.raises(DownloadError, match=r"get file\.bin by hand from https://") as error:
        download(source, tmp_path / "file.bin", check)
    assert f"put it into {tmp_path}" in str(error.value)
    assert not (tmp_path / "file.bin").exists()


def test_gone_from_the_server(server: FileServer, tmp_path: Path) -> None:
    server.behaviours = ["missing"]
    with pytest.raises(DownloadError, match="404"):
        download(DRIVE, tmp_path / "file.bin", check)


def test_the_drive_folder_lacks_the_file(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"should have one other\.bin, but has ckpt/file\.bin"):
        download(DriveFile("folder-id", "other.bin"), tmp_path / "other.bin", check)


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="set HQTRACK_WEIGHTS to a writable folder"):
        download(DRIVE, tmp_path / "file" / "file.bin", check)


SLOW_DOWNLOAD = """
    import sys, time
    from dataclasses import dataclass
    from pathlib import Path
    from hqtrack.weights.download import download

    class Slow:
        page = "https://example.org"

        def fetch(self, target):
            time.sleep(1)
            target.write_bytes(b"whole")
            with open(sys.argv[2], "a") as log:
                log.write("fetched\\n")

    download(Slow(), Path(sys.argv[1]), lambda path: None)
    print(Path(sys.argv[1]).read_bytes().decode())
"""


def test_two_processes_fetch_once(tmp_path: Path) -> None:
    path, log = tmp_path / "file.bin", tmp_path / "log"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SLOW_DOWNLOAD), str(path), str(log)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate() for process in processes]
    assert [out.strip() for out, _ in outputs] == ["whole", "whole"]
    assert log.read_text() == "fetched\n"


def test_waiting_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file.bin"
    held = FileLock(tmp_path / ".file.bin.lock")
    held.acquire()

    def announce(*words: object, **options: object) -> None:
        """The other process finishes just now."""
        path.write_bytes(CONTENT)
        held.release()
        original(*words, **options)

    original: Any = print
    monkeypatch.setattr("builtins.print", announce)
    download(DRIVE, path, check)
    assert "another process is downloading file.bin" in capsys.readouterr().err
