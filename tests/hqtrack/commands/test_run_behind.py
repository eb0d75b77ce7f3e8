"""``hqtrack run`` writes in a thread: what it leaves is what one thread alone would leave."""

import itertools
import threading

import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.cli import main
from hqtrack.runs import results
from hqtrack.segmenter import VideoObjectSegmenter
from hqtrack.tracker import HQTracker
from hqtrack.video.overlay_video import OverlayVideo
from tests.helpers.moving import Moving
from tests.helpers.run_command import NAMES, same_files, summary, written
from tests.helpers.tiny_segmenter import CONFIG
from tests.helpers.tiny_vmos import tiny_vmos
from tests.helpers.video_files import read_video


class AtOnce:
    """In the place of the writer's thread: the caller does the work itself."""

    def put(self, job):
        job()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class Stopping(HQTracker):
    """Stops before the frame that is given."""

    def __init__(self, stop):
        super().__init__(VideoObjectSegmenter(tiny_vmos(), CONFIG))
        self.left = stop

    def track(self, image):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return super().track(image)


@pytest.fixture
def command(tmp_path):
    """Nine frames of noise, two objects, one of them late, and all that can be written."""
    folder, rng = tmp_path / "noise", np.random.default_rng(0)
    folder.mkdir()
    for number in range(1, 10):
        noise = rng.integers(0, 256, (41, 57, 3), np.uint8)
        PillowImage.fromarray(noise).save(folder / f"{number}.png")
    late = ["--object", "late@4=box:30,20,15,15"]
    return ["run", str(folder), "--box", "3,3,20,15", *late, "--overlay", "--record", "--output"]


@pytest.fixture
def track(built, command, tmp_path, monkeypatch):
    """Run into a folder of this name, in a thread or not, and stop after so many frames."""

    def track(name, thread, stop=0):
        built.make = lambda: Stopping(stop)
        with monkeypatch.context() as patch:
            if not thread:
                patch.setattr("hqtrack.runs.run.WriterThread", AtOnce)
            assert main([*command, str(tmp_path / name)]) == (130 if stop else 0)
        return tmp_path / name

    return track


def same_output(one, other):
    """Equal label maps, journal, data set, summary, record and overlay, but for times."""
    same_files(one, other)
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    for name in names:
        if name.parts[0] in ("masks", "record"):
            assert (one / name).read_bytes() == (other / name).read_bytes()
    pictures = [np.array(read_video(folder / "overlay.mp4")[0]) for folder in (one, other)]
    np.testing.assert_array_equal(*pictures)


def test_the_thread_changes_nothing(track):
    plain = track("plain", thread=False)
    assert summary(plain)["frames"] == 9
    same_output(track("threaded", thread=True), plain)


@pytest.mark.parametrize(
    ("first", "then"), [pair for pair in itertools.product([True, False], repeat=2) if any(pair)]
)
@pytest.mark.parametrize("stop", [2, 6])
def test_a_run_that_is_stopped_and_goes_on_is_the_same(track, first, then, stop):
    plain = track("plain", thread=False, stop=stop)
    same_output(track("threaded", thread=first, stop=stop), plain)
    assert summary(plain)["frames"] == stop
    plain = track("plain", thread=False)
    same_output(track("threaded", thread=then), plain)
    assert summary(plain)["frames"] == 9


def test_frames_that_wait_are_written_after_an_interruption(arguments, built, output, monkeypatch):
    """The second frame is still being written when the fourth one is interrupted."""
    stopped, count, honest = threading.Event(), itertools.count(1), results.write_labels

    def slow(*given):
        if next(count) == 2:
            assert stopped.wait(60)
        honest(*given)

    class Stopped(Moving):
        def track(self, image):
            if len(self.seen) == 3:
                stopped.set()
            return super().track(image)

    monkeypatch.setattr(results, "write_labels", slow)
    built.make = lambda: Stopped(KeyboardInterrupt())
    assert main(arguments) == 130
    assert written(output) == NAMES[:3]
    assert summary(output)["frames"] == 3


@pytest.mark.parametrize("thread", [True, False])
def test_an_encoder_that_dies_ends_the_run(arguments, built, output, monkeypatch, thread):
    count, honest = itertools.count(1), OverlayVideo.write

    def dying(*given):
        if next(count) == 3:
            raise RuntimeError("the encoder died")
        honest(*given)

    if not thread:
        monkeypatch.setattr("hqtrack.runs.run.WriterThread", AtOnce)
    monkeypatch.setattr(OverlayVideo, "write", dying)
    with pytest.raises(RuntimeError, match="the encoder died"):
        main([*arguments, "--overlay"])
    assert written(output) == NAMES[:3]
    assert not (output / "overlay.mp4").exists()
    assert main(arguments) == 0
    assert written(output) == NAMES
