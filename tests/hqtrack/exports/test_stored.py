"""A stored run: what is read of it, and what is refused."""

import shutil

import cv2
import numpy as np
import pytest

from hqtrack.errors import InputError, MissingFileError
from hqtrack.exports.stored import open_run


def test_a_run_is_read_as_it_was_stored(folder, clip):
    run = open_run(folder)
    assert (run.name, run.frames, run.size) == ("a run", 4, (12, 20))
    assert [tuple(each) for each in run.objects] == [(3, "the cat"), (500, "500"), (7, "never")]
    assert [record.number for record in run.records()] == [1, 3, 5, 7]
    frames = list(run.frames_of(run.open_video()))
    assert [frame.image[0, 0, 0] for _, frame in frames] == [10, 30, 50, 70]
    assert [record.number for record, _ in frames] == [1, 3, 5, 7]


def test_frames_that_come_later_do_not_count(folder):
    run = open_run(folder)
    lines = (folder / "frames.jsonl").read_text().splitlines(keepends=True)
    with (folder / "frames.jsonl").open("a") as journal:
        journal.write(lines[-1].replace("[7,", "[9,", 1))
    assert [record.number for record in run.records()] == [1, 3, 5, 7]
    assert open_run(folder).frames == 5


@pytest.mark.parametrize("tail", ["garbage\n", '[5, "5.png"', '[2, "2.png", [12, 20], 0, []]\n'])
def test_a_damaged_end_is_left_out(folder, tail):
    with (folder / "frames.jsonl").open("a") as journal:
        journal.write(tail)
    assert open_run(folder).frames == 4


def test_what_is_no_run_is_refused(folder, tmp_path):
    with pytest.raises(MissingFileError, match=r"there is no run in .*clip"):
        open_run(tmp_path / "clip")
    with pytest.raises(MissingFileError, match=r"there is no run in .*nothing"):
        open_run(tmp_path / "nothing")
    journal = folder / "frames.jsonl"
    first = journal.read_text().splitlines(keepends=True)[0]
    journal.write_text(first)
    with pytest.raises(InputError, match="no finished frame yet"):
        open_run(folder)
    for text in ("{}\n", "[]\n", '{"run": {"objects": ["?"]}}\n', "no json\n"):
        journal.write_text(text)
        with pytest.raises(InputError, match="not the journal of a run"):
            open_run(folder)


def test_another_video_is_refused(folder, clip):
    run = open_run(folder)
    (clip / "5.png").unlink()
    with pytest.raises(InputError, match=r"has no frame 5.png .* with --video"):
        list(run.frames_of(run.open_video()))
    for path in clip.iterdir():
        cv2.imwrite(str(path), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(InputError, match=r"is 9x9 and the run in .* is 20x12"):
        list(run.frames_of(run.open_video()))
    shutil.rmtree(clip)
    with pytest.raises(MissingFileError, match="check the path"):
        run.open_video()


def test_a_video_of_several_files_has_to_be_given(folder):
    journal = folder / "frames.jsonl"
    text = journal.read_text().replace('/clip", ', '/clip/1.png and 6 more", ')
    journal.write_text(text)
    with pytest.raises(InputError, match="give them with --video"):
        open_run(folder).open_video()
