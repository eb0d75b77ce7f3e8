import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import trax
from trax.client import Client
from trax.image import FileImage

from hqtrack.baseline import FirstMask
from hqtrack.errors import InputError
from hqtrack.tracker import Tracked
from hqtrack.types import Image
from hqtrack.vot import session as session_module
from hqtrack.vot.session import serve
from hqtrack.vot.wire import ClientGone
from tests.helpers.fake_server import (
    EMPTY,
    IMAGE,
    ONE,
    SIZE,
    THREE,
    TWO,
    FakeServer,
    answered,
    given,
    request,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "00000001.jpg"
    cv2.imwrite(str(path), IMAGE)
    return path


class TestServe:
    def test_a_session_of_two_videos(self, image: Path) -> None:
        server = FakeServer(
            request("initialize", image, ONE, TWO),
            request("frame", image),
            request("initialize", image, THREE),
            request("frame", image),
            request("quit"),
        )
        serve(server, FirstMask())
        assert np.array_equal(given(server.answers[0]), [ONE, TWO])
        assert np.array_equal(given(server.answers[1]), [ONE, TWO])
        assert np.array_equal(given(server.answers[3]), [THREE])
        assert [answer.confidence for answer in server.answers[1]] == [1.0, 1.0]

    def test_masks_travel_cut_to_their_box(self, image: Path) -> None:
        server = FakeServer(request("initialize", image, ONE), request("quit"))
        serve(server, FirstMask())
        assert server.answers[0][0].region == "mask:2,3,6,6,0,36"

    @pytest.mark.parametrize(
        ("fault", "reason"),
        [("size", "29x20"), ("missing", "no file"), ("damaged", "read"), ("early", "initialized")],
    )
    def test_bad_input_ends_the_session_with_a_reason(
        self, image: Path, tmp_path: Path, fault: str, reason: str
    ) -> None:
        second = tmp_path / "00000002.jpg"
        if fault == "size":
            cv2.imwrite(str(second), IMAGE[:, :-1])
        elif fault == "damaged":
            second.write_bytes(b"no image")
        requests = [request("initialize", image, ONE), request("frame", second)]
        server = FakeServer(*(requests if fault != "early" else [request("frame", image)]))
        with pytest.raises(InputError, match=reason):
            serve(server, FirstMask())

    @pytest.mark.parametrize("fault", ["missing", "damaged", "size"])
    def test_a_frame_that_cannot_be_used_is_named(
        self, image: Path, tmp_path: Path, fault: str
    ) -> None:
        second = tmp_path / "00000002.jpg"
        if fault != "missing":
            cv2.imwrite(str(second), IMAGE[:-1])
        if fault == "damaged":
            second.write_bytes(second.read_bytes()[:300])
        server = FakeServer(request("initialize", image, ONE), request("frame", second))
        with pytest.raises(InputError, match=str(second)):
            serve(server, FirstMask())

    def test_dropped_specks_are_printed(self, image: Path, capsys: Any) -> None:
        noise = np.zeros((400, 400), np.bool_)
        noise[::2, ::2] = True
        noise[100:200, 100:200] = True
        cv2.imwrite(str(image), np.zeros((*noise.shape, 3), np.uint8))
        serve(FakeServer(request("initialize", image, ONE, noise), request("quit")), FirstMask())
        assert "object 1: dropped 5" in capsys.readouterr().err

    def test_hundreds_of_objects_and_thousands_of_specks_are_answered_fast(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "1.png"
        cv2.imwrite(str(path), np.zeros((300, 400, 3), np.uint8))
        masks = np.zeros((300, 300, 400), np.bool_)
        for index, mask in enumerate(masks):
            mask[index, index : index + 100] = True
        masks[0] = False
        masks[0, ::4, ::4] = True
        server = FakeServer(
            request("initialize", path, *masks), request("frame", path), request("quit")
        )
        start = time.process_time()
        serve(server, FirstMask())
        # 0.4 s; specks handled one by one would take far longer
        assert time.process_time() - start < 4
        rows = [answer.region for answer in server.answers[1][1:]]
        assert rows == [f"mask:{row},{row},100,1,0,100" for row in range(1, 300)]

    def test_too_many_objects_for_their_image_are_refused(
        self, image: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(session_module, "MAX_MASKS_BYTES", 3 * SIZE[0] * SIZE[1])
        server = FakeServer(
            request("initialize", image, ONE, TWO),
            request("frame", image, THREE),
            request("frame", image, THREE),
        )
        with pytest.raises(InputError, match="4 objects of 30x20"):
            serve(server, FirstMask())
        assert len(server.answers) == 2

    @pytest.mark.parametrize(
        ("masks", "confidence", "message"),
        [
            ([ONE], [np.nan], "confidence of object 0 is nan"),
            ([ONE], [-0.5], "confidence of object 0 is -0.5"),
            ([ONE], [np.inf], "confidence of object 0 is inf"),
            ([ONE, TWO], [1.0, 1.0], "for 1 objects"),
            ([ONE[:-1]], [1.0], "for 1 objects of 30x20"),
        ],
    )
    def test_an_answer_that_is_none_is_an_error(
        self, image: Path, masks: list[np.ndarray], confidence: list[float], message: str
    ) -> None:
        class Broken(FirstMask):
            def track(self, image: Image) -> Tracked:
                return Tracked(np.array(masks), np.array(confidence, np.float32))

        server = FakeServer(request("initialize", image, ONE), request("frame", image))
        with pytest.raises(ValueError, match=message):
            serve(server, Broken())

    def test_a_client_that_goes_away_is_not_answered(self, image: Path) -> None:
        server = FakeServer(request("initialize", image, ONE))
        with pytest.raises(ClientGone):
            serve(server, FirstMask())


CHILD = """
import os, sys
from hqtrack.baseline import FirstMask
from hqtrack.errors import MissingFileError
from hqtrack.vot.process import main

class Chatty(FirstMask):
    def track(self, image):
        print("a line", flush=True)
        os.write(1, b"native\\n")
        for percent in (10, 50, 100):
            print(f"\\r{percent}%", end="", flush=True)
        print("\\n@@TRAX:quit", flush=True)
        print("no end", end="", file=sys.stderr)
        return super().track(image)

class Crashing(FirstMask):
    def track(self, image):
        import ctypes
        ctypes.string_at(0)

def missing(name):
    raise MissingFileError(f"no weights of {name} in here.pth: get them with hqtrack weights")

build = {"chatty": lambda name: Chatty(), "missing": missing, "plain": lambda name: FirstMask(),
         "crashing": lambda name: Crashing()}
sys.exit(main(["--preset", "full"], build=build[sys.argv[1]]))
"""


ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("tracker", "models")),
}


@contextmanager
def session(kind: str) -> Iterator[tuple[Client, list[str]]]:
    """A client of the tracker process, started as the toolkit starts it, and the toolkit's log."""
    log: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**ENVIRONMENT, "TRAX": "1"},
        bufsize=0,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        client = Client(stream=(process.stdin.fileno(), process.stdout.fileno()), log=log.append)
        try:
            yield client, log
        finally:
            client.quit()
            assert process.wait() == 0


def transcript(kind: str, *requests: str) -> tuple[int, list[str]]:
    """Send these messages, hang up, and return the exit status and all that came back."""
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, kind],
        input="".join(f"@@TRAX:{request}\n" for request in requests),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**ENVIRONMENT, "TRAX": "1"},
    )
    return ended.returncode, [line for line in ended.stdout.splitlines() if line]


def sent(*masks: np.ndarray) -> list[tuple[Any, dict[str, str]]]:
    return [(trax.Mask.create(mask.astype(np.uint8)), {}) for mask in masks]


def first_frame(image: Path) -> list[str]:
    """The messages that start a video with one object, as the toolkit sends them."""
    return ['initialize "mask:2,3,6,6,0,36"', f'frame "file://{image}"']


class TestProcess:
    def test_a_session_over_pipes(self, image: Path) -> None:
        channels = {"color": FileImage.create(str(image))}
        with session("plain") as (client, _):
            assert client.tracker_name == "HQTrack"
            assert client.get("multiobject")
            first, _ = client.initialize(channels, sent(ONE, EMPTY), {})
            second, _ = client.frame(channels, {}, sent(THREE))
            third, _ = client.frame(channels, {}, [])
            again, _ = client.initialize(channels, sent(TWO), {})
        assert np.array_equal(answered(first), [ONE, EMPTY])
        assert np.array_equal(answered(second), [ONE, EMPTY, THREE])
        assert np.array_equal(answered(third), [ONE, EMPTY, THREE])
        assert np.array_equal(answered(again), [TWO])
        assert [float(properties["confidence"]) for _, properties in third] == [1.0, 0.0, 1.0]

    def test_whatever_is_printed_reaches_the_log_and_harms_nothing(self, image: Path) -> None:
        channels = {"color": FileImage.create(str(image))}
        with session("chatty") as (client, log):
            client.initialize(channels, sent(ONE), {})
            for _ in range(3):
                objects, _ = client.frame(channels, {}, [])
                assert np.array_equal(answered(objects), [ONE])
        lines = "".join(log).splitlines()
        printed = [line for line in lines if line and not line.startswith("@@TRAX:")]
        assert printed == ["a line", "native", "100%", "@@ TRAX:quit", "no end"] * 3

    def test_missing_weights_are_told_at_once(self) -> None:
        message = "no weights of HQTrack in here.pth: get them with hqtrack weights"
        status, lines = transcript("missing", *first_frame(Path("0.jpg")))
        assert status == 1
        assert lines[0] == f"hqtrack.vot: {message}"
        assert lines[1].startswith("@@TRAX:hello")
        assert lines[2] == f'@@TRAX:quit "trax.reason={message}" '

    def test_missing_weights_end_it_even_when_nobody_listens(self) -> None:
        status, lines = transcript("missing", "")
        assert status == 1
        assert "get them with hqtrack weights" in lines[0]

    def test_an_error_is_printed_and_told_to_the_client(self, image: Path, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "small.png"), IMAGE[:-1])
        status, lines = transcript(
            "plain", *first_frame(image), f'frame "file://{tmp_path}/small.png"'
        )
        assert status == 1
        assert "the image is 30x19" in lines[-2]
        assert re.match(r'@@TRAX:quit "trax.reason=\S+/small.png: the image is 30x19', lines[-1])

    def test_a_native_crash_leaves_its_stack(self, image: Path) -> None:
        status, lines = transcript("crashing", *first_frame(image), f'frame "file://{image}"')
        assert status < 0
        assert "Fatal Python error: Segmentation fault" in lines

    def test_it_ends_quietly_when_the_client_goes_away(self, image: Path) -> None:
        status, lines = transcript("plain", *first_frame(image))
        assert status == 0
        assert lines[-1] == "hqtrack.vot: the TraX client has disconnected"
        assert "Traceback" not in "".join(lines)

    @pytest.mark.parametrize("stdin", ["terminal", "closed", "null", "end"])
    def test_without_a_client_it_says_what_to_do(self, stdin: str) -> None:
        master, slave = os.openpty()
        redirect = {"closed": "<&-", "null": "</dev/null", "end": "< <(true)"}.get(stdin, "")
        ended = subprocess.run(
            ["bash", "-c", f'"{sys.executable}" -m hqtrack.vot --preset light {redirect}'],
            stdin=slave,
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
        )
        os.close(master)
        os.close(slave)
        assert ended.returncode == 2
        assert "vot evaluate --workspace" in ended.stderr
        assert ended.stdout == ""

    def test_an_unknown_preset_is_refused(self) -> None:
        ended = subprocess.run(
            [sys.executable, "-m", "hqtrack.vot"],
            capture_output=True,
            text=True,
            env={**ENVIRONMENT, "HQTRACK_PRESET": "huge"},
        )
        assert ended.returncode == 2
        assert "full, plus, light, first-mask" in ended.stderr

    def test_an_unknown_preset_is_told_to_the_toolkit(self) -> None:
        ended = subprocess.run(
            [sys.executable, "-m", "hqtrack.vot"],
            input="",
            capture_output=True,
            text=True,
            env={**ENVIRONMENT, "TRAX": "1", "HQTRACK_PRESET": "huge"},
        )
        assert ended.returncode == 1
        assert "@@TRAX:hello" in ended.stdout + ended.stderr
        assert "HQTRACK_PRESET is 'huge': give one of full, plus" in ended.stdout + ended.stderr
