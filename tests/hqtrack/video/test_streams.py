"""Video files, streams and cameras."""

import http.server
import struct
import threading
import wave
from fractions import Fraction
from functools import partial

import cv2
import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.video.streams import Camera, Frame, newest, open_video
from tests.helpers.camera import FakeCamera
from tests.helpers.video_files import (
    pictures,
    write_at,
    write_burst,
    write_damaged,
    write_song,
    write_video,
)


@pytest.fixture
def frames():
    return pictures(6)


@pytest.fixture
def path(tmp_path, frames):
    return write_video(tmp_path / "clip.mp4", frames)


def stripe(image):
    """The index of the frame that this is; see ``pictures``."""
    return int(image[:, 20:].mean(axis=(1, 2)).argmax()) // 4


def test_a_video_file_says_what_it_holds(path):
    video = open_video(str(path), "clip")
    assert (video.name, video.expected, video.rate, video.live) == ("clip", 6, Fraction(10), False)


def test_frames_are_numbered_from_1_and_named_in_eight_digits(path, frames):
    read = list(open_video(str(path), "clip").read())
    assert [(frame.number, frame.name, frame.stem) for frame in read] == [
        (number, f"{number:08d}", f"{number:08d}") for number in range(1, 7)
    ]
    for frame, original in zip(read, frames, strict=True):
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
        assert np.abs(frame.image.astype(int) - original).mean() < 8


@pytest.mark.parametrize(
    ("start", "every", "numbers"),
    [(3, 1, [3, 4, 5, 6]), (2, 2, [2, 4, 6]), (6, 9, [6])],
)
def test_start_and_every_leave_frames_out(path, start, every, numbers):
    read = list(open_video(str(path), "clip").read(start, every))
    assert [frame.number for frame in read] == numbers
    assert [stripe(frame.image) for frame in read] == [number - 1 for number in numbers]


def test_a_start_behind_the_end_says_how_many_frames_there_are(path):
    with pytest.raises(InputError, match=r"clip\.mp4 has no frame 7: its last frame is 6"):
        next(open_video(str(path), "clip").read(7))


def test_the_number_of_frames_is_an_estimate(tmp_path):
    """Twelve frames within a second, of a container that says it has two in a second."""
    path = write_burst(tmp_path / "burst.mkv", 12)
    video = open_video(str(path), "burst")
    assert (video.total, video.expected) == (None, 1)
    assert [frame.number for frame in video.read(5)] == list(range(5, 13))


@pytest.mark.parametrize(("turn", "times"), [((0, 1, -1, 0), 3), ((-1, 0, 0, -1), 2)])
def test_frames_are_upright_as_players_show_them(tmp_path, path, frames, turn, times):
    """Telephones store their pictures lying and say in the file how to turn them."""
    upright, turned = (
        struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
        for a, b, c, d in ((1, 0, 0, 1), turn)
    )
    data = path.read_bytes()
    at = data.index(upright, data.index(b"tkhd"))
    path.write_bytes(data[:at] + turned + data[at + len(turned) :])
    first = next(open_video(str(path), "clip").read()).image
    assert first.shape == np.rot90(frames[0], times).shape
    assert np.abs(first.astype(int) - np.rot90(frames[0], times)).mean() < 8


def test_a_mirrored_video_is_shown_as_players_do(tmp_path, path, frames):
    upright, mirrored = (
        struct.pack(">9i", a << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30) for a in (1, -1)
    )
    data = path.read_bytes()
    at = data.index(upright, data.index(b"tkhd"))
    path.write_bytes(data[:at] + mirrored + data[at + len(upright) :])
    first = next(open_video(str(path), "clip").read()).image
    assert np.abs(first.astype(int) - frames[0][:, ::-1]).mean() < 8


def test_frames_have_their_times(tmp_path, frames):
    times = [0, 4, 8, 150, 153, 300]
    path = write_at(tmp_path / "clip.mp4", frames, times)
    read = open_video(str(path), "clip").read()
    assert [frame.time for frame in read] == [Fraction(time, 100) for time in times]


def test_a_damaged_frame_shows_the_one_before_and_is_marked(tmp_path):
    path = write_damaged(tmp_path / "clip.avi", pictures(8), [3, 4, 8])
    read = list(open_video(str(path), "clip").read())
    assert [frame.number for frame in read] == [*range(1, 9)]
    assert [frame.number for frame in read if frame.damaged] == [3, 4, 8]
    assert [stripe(frame.image) for frame in read] == [0, 1, 1, 1, 4, 5, 6, 6]
    every = list(open_video(str(path), "clip").read(4, 2))
    assert [(frame.number, frame.damaged) for frame in every] == [(4, True), (6, False), (8, True)]
    assert [stripe(frame.image) for frame in every] == [1, 5, 6]


def test_a_video_whose_first_frame_is_damaged_begins_with_the_second(tmp_path):
    path = write_damaged(tmp_path / "clip.avi", pictures(4), [1])
    read = open_video(str(path), "clip").read()
    assert [(frame.number, stripe(frame.image)) for frame in read] == [(2, 1), (3, 2), (4, 3)]


def test_a_video_of_damaged_frames_alone_is_refused(tmp_path):
    path = write_damaged(tmp_path / "clip.avi", pictures(4), [1, 2, 3, 4])
    with pytest.raises(InputError, match="none of its 4 frames can be decoded"):
        list(open_video(str(path), "clip").read())


def test_a_video_with_a_hole_goes_on_after_it(tmp_path):
    """Here each frame needs those before it, and several threads decode."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 96, 128, 3), np.uint8)
    path = write_video(tmp_path / "clip.mp4", list(noise))
    whole = list(open_video(str(path), "clip").read())
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[:half] + bytes(len(data) // 10) + data[half + len(data) // 10 :])
    read = list(open_video(str(path), "clip").read())
    assert [frame.number for frame in read] == [*range(1, 41)]
    damaged = [frame.number for frame in read if frame.damaged]
    assert damaged
    for frame, original in zip(read[: damaged[0] - 1], whole, strict=False):
        np.testing.assert_array_equal(frame.image, original.image)


def test_a_video_that_lacks_frames_at_its_end_says_so(tmp_path, capsys):
    path = write_damaged(tmp_path / "clip.avi", pictures(20), [])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    count = len(list(open_video(str(path), "clip").read()))
    assert 5 < count < 20
    assert f"says that it has 20 frames, and {count} can be read" in capsys.readouterr().err


def test_another_size_says_what_can_be_done(tmp_path):
    parts = [
        write_video(tmp_path / f"{n}.h264", pictures(3, 32, w)) for n, w in enumerate((48, 64))
    ]
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    read = open_video(str(path), "both").read()
    assert [next(read).number for _ in range(3)] == [1, 2, 3]
    with pytest.raises(InputError, match=r"frame 4 is 64x32 .*-vf scale=48:32.*--start 4"):
        next(read)
    assert [frame.number for frame in open_video(str(path), "both").read(4)] == [4, 5, 6]


def test_the_cover_of_a_song_is_refused(tmp_path):
    path = write_song(tmp_path / "song.mp3", pictures(1)[0])
    with pytest.raises(InputError, match=r"song\.mp3 is sound with a cover picture"):
        open_video(str(path), "song")


def test_a_text_file_called_mp4(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("no video at all\n" * 40)
    with pytest.raises(
        InputError, match=r"notes\.mp4 is not a video.*give a video file or a folder"
    ):
        open_video(str(path), "notes")


def test_a_truncated_video(path):
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"clip\.mp4 is not a video, or it is damaged"):
        open_video(str(path), "clip")


def test_a_codec_that_is_missing(path):
    path.write_bytes(path.read_bytes().replace(b"avc1", b"xyz9"))
    with pytest.raises(InputError, match=r"clip\.mp4 is coded in a way .* ffmpeg -i VIDEO"):
        open_video(str(path), "clip")


def test_sound_alone(tmp_path):
    with wave.open(str(tmp_path / "song.wav"), "wb") as song:
        song.setparams((1, 2, 8000, 0, "NONE", ""))
        song.writeframes(bytes(1600))
    with pytest.raises(InputError, match=r"song\.wav has no pictures"):
        open_video(str(tmp_path / "song.wav"), "song")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def test_a_stream_over_http(tmp_path, path):
    handler = partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert len(list(open_video(f"{address}/clip.mp4", "clip").read())) == 6
        with pytest.raises(InputError, match=r"cannot open http.*nothing\.mp4: .*check the URL"):
            open_video(f"{address}/nothing.mp4", "nothing")
        server.shutdown()


def test_a_camera_gives_rgb_and_its_end_is_an_error(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    camera = Camera(0)
    assert (camera.name, camera.live, camera.total) == ("camera0", True, None)
    frames = camera.read()
    first = next(frames)
    assert first.image[0, 0].tolist() == [30, 20, 10]
    with pytest.raises(InputError, match="camera 0 stopped after 3 frames"):
        list(frames)


def test_a_camera_that_is_not_there(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    with pytest.raises(InputError, match="there is no camera 7"):
        next(Camera(7).read())


def live(count, given, taken):
    """Frames; after the first, all but the last come while nobody asks."""
    image = np.zeros((2, 2, 3), np.uint8)
    for number in range(1, count + 1):
        if number == 2:
            taken.wait(10)
        yield Frame(number, "", image)
    given.set()


def test_of_live_frames_the_newest_is_taken():
    given, taken = threading.Event(), threading.Event()
    frames = newest(live(5, given, taken))
    assert next(frames).number == 1
    taken.set()
    assert given.wait(10)
    assert [frame.number for frame in frames] == [5]


def test_what_fails_a_live_source_is_told_to_the_reader():
    def failing():
        yield Frame(1, "", np.zeros((2, 2, 3), np.uint8))
        raise InputError("the cable is out")

    with pytest.raises(InputError, match="the cable is out"):
        list(newest(failing()))
