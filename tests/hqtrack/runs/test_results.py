"""The folder of a run: the journal and the label maps."""

import dataclasses

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.runs.results import Results, revise
from hqtrack.video import read_labels
from tests.helpers.followed import RUN, SIZE, followed


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
    assert [record.number for record in records] == [1, 3, 5, 7]
    np.testing.assert_array_equal(records[3].masks(), followed(7).masks)
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
    with pytest.raises(InputError, match=r"another run \(every: 2 then, 1 now; tracker: light t"):
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
        InputError, match=r"masks contains files that are not from a run \(00000001.png\): give an"
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


GIVEN = dataclasses.replace(RUN, objects=("cat (3) from the first frame: box:1,1,2,2",))
CORRECTED = (*GIVEN.objects, "cat (3) corrected from frame 5: gone")


@pytest.fixture
def given(tmp_path):
    """Frames 1, 3, 5 and 7 of GIVEN."""
    with Results(tmp_path / "given", GIVEN) as results:
        for number in (1, 3, 5, 7):
            results.write(followed(number), 0.25)
        results.write_json("summary.json", ["{}\n"])
    return tmp_path / "given"


def test_frames_before_a_correction_stay_and_the_others_go(given, capsys):
    with Results(given, dataclasses.replace(GIVEN, objects=CORRECTED)) as results:
        assert (results.last, results.count) == (3, 2)
        results.write(followed(5), 0.25)
    assert "given from frame 5 on: 2 finished frames from there on" in capsys.readouterr().err
    assert sorted(path.name for path in (given / "masks").iterdir()) == ["1.png", "3.png", "5.png"]
    assert not (given / "summary.json").exists()
    with Results(given, dataclasses.replace(GIVEN, objects=CORRECTED)) as results:
        assert results.count == 3


def test_a_correction_behind_the_last_frame_only_changes_the_heading(given, capsys):
    objects = (*GIVEN.objects, "dog (4) from frame 9: point:1,1")
    added = dataclasses.replace(GIVEN, objects=objects, first_masks="HQ-SAM", weights={"x": "1"})
    with pytest.raises(InputError, match=r"another run .*weights"):
        Results(given, added)
    added = dataclasses.replace(added, weights=RUN.weights | {"x": "1"})
    with Results(given, added) as results:
        assert results.count == 4
    assert capsys.readouterr().err == ""
    with pytest.raises(InputError, match=r"another run .*objects: dog"):
        Results(given, GIVEN)


def test_a_revised_run_goes_on_with_other_objects(given, tmp_path):
    lines = ("dog (3) from the first frame: box:1,1,2,2",)
    revised = dataclasses.replace(GIVEN, objects=lines)
    revise(given, revised, 6)
    with Results(given, revised) as results:
        assert (results.last, results.count) == (5, 3)
        with pytest.raises(InputError, match=r"process .* writes to"):
            revise(given, GIVEN, 1)
    assert not (given / "summary.json").exists()
    revise(tmp_path / "nothing", GIVEN, 1)
    assert not (tmp_path / "nothing").exists()


def test_weights_that_only_made_first_masks_are_free_when_masks_are_given(tmp_path):
    boxes = dataclasses.replace(RUN, weights=RUN.weights | {"hqsam": "1"}, first_masks="HQ-SAM")
    with Results(tmp_path, boxes) as results:
        results.write(followed(1), 0.25)
    masks = dataclasses.replace(RUN, first_masks="given", objects=CORRECTED)
    revise(tmp_path, masks, 2)
    with Results(tmp_path, masks) as results:
        assert results.last == 1


@pytest.mark.parametrize("field", ["tracker", "computation", "weights"])
def test_a_run_that_was_tracked_otherwise_is_not_revised(given, field):
    content = (given / "frames.jsonl").read_bytes()
    other = {"light": "2"} if field == "weights" else "other"
    with pytest.raises(InputError, match=f"tracked otherwise .*{field}: .*the same options"):
        revise(given, dataclasses.replace(GIVEN, **{field: other}), 2)
    assert (given / "frames.jsonl").read_bytes() == content


def test_a_corrected_run_of_another_video_is_not_mixed_in(given):
    changed = dataclasses.replace(RUN.input, content="another")
    corrected = dataclasses.replace(GIVEN, objects=CORRECTED, input=changed)
    with Results(given, corrected) as results:
        assert results.input_change == "other content, or other names"
    with pytest.raises(InputError, match=r"another run .*every"):
        Results(given, dataclasses.replace(corrected, objects=GIVEN.objects, every=1))
