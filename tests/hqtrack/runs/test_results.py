"""The folder of a run: the journal, label maps, the COCO file, the summary."""

import dataclasses
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from rich.console import Console

from hqtrack.errors import InputError
from hqtrack.runs.coco import coco_parts
from hqtrack.runs.follower import Followed
from hqtrack.runs.results import Results, RunDescription
from hqtrack.runs.summary import summarize
from hqtrack.runs.targets import Points, Target
from hqtrack.video import read_labels
from hqtrack.video.streams import Frame

RUN = RunDescription("/clip.mp4", 1, 2, "light", "given", ("a", "b"))
SIZE = (12, 20)
TARGETS = (
    Target("cat", 3, None, Points(((1, 1),))),
    Target("500", 500, 5, Points(((1, 1),))),
    Target("never", 7, 99, Points(((1, 1),))),
)


def followed(number):
    """Frames 1, 3, 5, ...: the cat is a strip as long as the number; gone on 5, where 500 starts"""
    masks = np.zeros((1 if number < 5 else 2, *SIZE), np.bool_)
    if number != 5:
        masks[0, 2, :number] = True
    masks[1:, 6:8, 4:7] = True
    confidence = np.array([number / 10, 1.0], np.float32)[: len(masks)]
    frame = Frame(number, f"{number}.jpg", np.zeros((*SIZE, 3), np.uint8))
    return Followed(frame, TARGETS[: len(masks)], masks, confidence)


@pytest.fixture
def folder(tmp_path):
    """Four frames."""
    with Results(tmp_path / "out", RUN) as results:
        for number in (1, 3, 5, 7):
            results.write(followed(number), 0.25)
    return tmp_path / "out"


def test_label_maps_have_the_numbers_of_the_objects(folder):
    names = sorted(path.name for path in (folder / "masks").iterdir())
    assert names == ["1.png", "3.png", "5.png", "7.png"]
    labels = read_labels(folder / "masks" / "7.png")
    assert np.count_nonzero(labels == 3) == 7
    assert np.count_nonzero(labels == 500) == 6
    assert np.unique(labels).tolist() == [0, 3, 500]


def test_records_come_back(folder):
    with Results(folder, RUN) as results:
        assert (results.last, results.count) == (7, 4)
        records = list(results.records())
        np.testing.assert_array_equal(results.stored_masks("7", [3, 500]), followed(7).masks)
    assert [record.number for record in records] == [1, 3, 5, 7]
    assert (records[0].name, records[0].size, records[0].seconds) == ("1.jpg", SIZE, 0.25)
    cat, block = records[2].objects
    assert (cat.number, cat.area, cat.confidence, cat.counts) == (3, 0, 0.5, None)
    assert (block.number, block.area, block.confidence) == (500, 6, 1.0)


def test_a_run_goes_on(folder):
    with Results(folder, RUN) as results:
        results.write(followed(9), 0.25)
        assert (results.last, results.count) == (9, 5)
    with Results(folder, RUN) as results:
        assert [record.number for record in results.records()] == [1, 3, 5, 7, 9]


@pytest.mark.parametrize("cut", [1, 30])
def test_a_line_that_was_not_finished_counts_as_not_done(folder, cut):
    journal = folder / "frames.jsonl"
    journal.write_bytes(journal.read_bytes()[:-cut])
    with Results(folder, RUN) as results:
        assert (results.last, results.count) == (5, 3)
        results.write(followed(7), 0.25)
        assert [record.number for record in results.records()] == [1, 3, 5, 7]


def test_a_header_that_was_not_finished_is_no_run(tmp_path):
    with Results(tmp_path, RUN):
        pass
    journal = tmp_path / "frames.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-1])
    with Results(tmp_path, RUN) as results:
        assert results.count == 0
    assert journal.read_bytes() == whole


def test_another_run_is_not_mixed_in(folder):
    before = (folder / "frames.jsonl").read_bytes()
    with pytest.raises(InputError, match=r"contains another run \(other every, tracker\): give"):
        Results(folder, dataclasses.replace(RUN, every=1, tracker="full"))
    assert (folder / "frames.jsonl").read_bytes() == before


def test_a_run_of_which_nothing_is_done_gives_way(tmp_path):
    with Results(tmp_path, RUN):
        pass
    other = dataclasses.replace(RUN, every=1)
    with Results(tmp_path, other) as results:
        results.write(followed(1), 0.25)
    with Results(tmp_path, other) as results:
        assert results.count == 1
    with pytest.raises(InputError, match="contains another run"):
        Results(tmp_path, RUN)


@pytest.mark.parametrize("line", ["{}", "no json", '{"run": {}}', "[1]"])
def test_a_foreign_journal_is_refused(tmp_path, line):
    (tmp_path / "frames.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match="is not the journal of a run: give another --output"):
        Results(tmp_path, RUN)


def test_masks_of_others_are_never_written_over(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "00000001.png").write_bytes(b"by hand")
    with pytest.raises(
        InputError, match="masks contains files that are not from a run: give another --output"
    ):
        Results(tmp_path, RUN)


def test_an_output_that_cannot_be_written(tmp_path):
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(InputError, match=r"cannot write to .*out.*: give another --output"):
        Results(tmp_path / "out", RUN)


def test_a_file_is_replaced_only_by_a_whole_one(folder):
    def failing():
        yield "half"
        raise OSError(28, "No space left on device")

    with Results(folder, RUN) as results:
        results.write_json("masks.json", ["whole"])
        with pytest.raises(OSError, match="No space"):
            results.write_json("masks.json", failing())
    assert (folder / "masks.json").read_text() == "whole"


# pycocotools is older than numpy 2
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_coco_file_is_read_by_cocos_own_tools(folder):
    with Results(folder, RUN) as results:
        results.write_json("masks.json", coco_parts(TARGETS, results.records))
    coco = COCO(folder / "masks.json")
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["cat", "500", "never"]
    image = coco.loadImgs(7)[0]
    assert (image["file_name"], image["width"], image["height"]) == ("7.jpg", 20, 12)
    one, two = coco.loadAnns(coco.getAnnIds(imgIds=7))
    np.testing.assert_array_equal(coco.annToMask(one), followed(7).masks[0])
    np.testing.assert_array_equal(coco.annToMask(two), followed(7).masks[1])
    assert (two["bbox"], two["area"], two["category_id"]) == ([4, 6, 3, 2], 6, 500)
    assert two["score"] == pytest.approx(1.0)
    assert len(coco.loadAnns(coco.getAnnIds(imgIds=5))) == 1
    assert len(set(coco.getAnnIds())) == 5


def test_a_coco_file_of_nothing_is_json(tmp_path):
    parts = "".join(coco_parts(TARGETS, list))
    assert json.loads(parts)["annotations"] == []


def test_the_summary_counts_frames_on_which_an_object_is_seen(folder):
    with Results(folder, RUN) as results:
        summary = summarize(TARGETS, results.records())
    assert (summary.frames, summary.fps) == (4, 4.0)
    cat, block = summary.numbers()["objects"]
    assert cat == {
        "number": 3,
        "name": "cat",
        "first_frame": 1,
        "frames": 4,
        "frames_seen": 3,
        "mean_area": 3.7,
        "mean_confidence": 0.3667,
    }
    assert (block["first_frame"], block["frames"], block["frames_seen"]) == (5, 2, 2)


def test_the_table_fits_40_columns(folder):
    with Results(folder, RUN) as results:
        summary = summarize(TARGETS, results.records())
    printed = io.StringIO()
    Console(file=printed, width=40).print(summary.table())
    lines = printed.getvalue().splitlines()
    assert max(map(len, lines)) <= 40
    assert any(all(word in line for word in ("cat", "3/4", " 4 ", "0.37")) for line in lines), (
        printed.getvalue()
    )


def test_a_summary_of_nothing(tmp_path):
    with Results(tmp_path, RUN) as results:
        summary = summarize(TARGETS, results.records())
    assert (summary.fps, summary.objects) == (0.0, [])
