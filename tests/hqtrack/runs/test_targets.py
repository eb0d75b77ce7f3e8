"""Objects as they are written on the command line."""

import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.errors import InputError, MissingFileError
from hqtrack.runs.targets import (
    Box,
    Correction,
    Gone,
    MaskFile,
    Points,
    Target,
    describe,
    parse_targets,
    read_label_file,
)
from hqtrack.video import read_labels, write_labels


def marked(path, label):
    return MaskFile(read_label_file(path), label)


def mask_file(path, *labels):
    label_map = np.zeros((4, 6), np.int32)
    label_map[1, : len(labels)] = labels
    write_labels(path, label_map)
    return path


def test_the_objects_of_a_mask_keep_their_labels(tmp_path):
    path = mask_file(tmp_path / "m.png", 300, 3)
    assert parse_targets([path], [], [], []) == [
        Target("3", 3, None, marked(path, 3)),
        Target("300", 300, None, marked(path, 300)),
    ]


def test_a_black_and_white_mask_is_object_1(tmp_path):
    PillowImage.fromarray(np.array([[0, 255]], np.uint8)).save(tmp_path / "m.png")
    path = tmp_path / "m.png"
    assert parse_targets([path], [], [], []) == [Target("1", 1, None, marked(path, 1))]


def test_boxes_and_points_are_numbered_after_the_mask(tmp_path):
    path = mask_file(tmp_path / "m.png", 4)
    targets = parse_targets([path], ["10,20,30,40", "1.5,-2,1,1"], ["7,8", "1,2,3,4"], [])
    assert targets[1:] == [
        Target("5", 5, None, Box(10, 20, 39, 59)),
        Target("6", 6, None, Box(1.5, -2, 1.5, -2)),
        Target("7", 7, None, Points(((7, 8),))),
        Target("8", 8, None, Points(((1, 2), (3, 4)))),
    ]


def test_objects_that_start_later(tmp_path):
    one, two = mask_file(tmp_path / "a=b.png", 9), mask_file(tmp_path / "two.png", 2, 8)
    given = [f"red car@40={one}", f"8@5={two}", "dog@7=box:1,2,3,4", "3@1=point:5,6"]
    assert parse_targets([], [], [], given) == [
        Target("red car", 1, 40, marked(one, 9)),
        Target("8", 8, 5, marked(two, 8)),
        Target("dog", 9, 7, Box(1, 2, 3, 5)),
        Target("3", 3, 1, Points(((5, 6),))),
    ]


def test_the_same_name_on_another_frame_corrects(tmp_path):
    """Also an object of a mask; the earliest frame is the start, whatever the order."""
    mask = mask_file(tmp_path / "m.png", 3)
    given = ["dog@9=point:5,6", "3@7=gone", "dog@4=box:1,2,3,4", "dog@6=gone"]
    box, points = Box(1, 2, 3, 5), Points(((5, 6),))
    assert parse_targets([mask], [], [], given) == [
        Target("3", 3, None, marked(mask, 3), (Correction(7, Gone()),)),
        Target("dog", 4, 4, box, (Correction(6, Gone()), Correction(9, points))),
    ]
    _, dog = parse_targets([mask], [], [], given)
    assert [(each.frame, each.prompt) for each in dog.given] == [(4, box), (6, Gone()), (9, points)]
    assert {(each.name, each.number, each.corrections) for each in dog.given} == {("dog", 4, ())}


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (Box(1, 2, 3.5, 5), "box:1,2,3.5,4"),
        (Points(((5, 6), (7, 8))), "point:5,6,7,8"),
        (Points(((0, 6), (7, 8)), frozenset({0})), "point:-0,6,7,8"),
    ],
)
def test_descriptions_can_be_typed(prompt, text):
    assert describe(prompt) == text
    assert parse_targets([], [], [], [f"a@1={text}"])[0].prompt == prompt


@pytest.mark.parametrize(
    "text", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,0,4", "1,2,3,-4", "1,2,nan,4"]
)
def test_what_is_no_box(text):
    with pytest.raises(InputError, match=r"is not a box: give X,Y,W,H.*like 120,40,64,80"):
        parse_targets([], [text], [], [])


@pytest.mark.parametrize("text", ["1", "1,2,3", "", "inf,1", "1;2"])
def test_what_is_no_point(text):
    with pytest.raises(InputError, match="is not a point: give X,Y in pixels"):
        parse_targets([], [], [text], [])


@pytest.mark.parametrize("text", ["dog", "dog@5", "@5=box:1,2,3,4", "dog@x=box:1,2,3,4", "dog@5="])
def test_what_is_no_object(text):
    with pytest.raises(InputError, match="is not an object: give NAME@FRAME="):
        parse_targets([], [], [], [text])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a@2=point:1,2", "a@2=point:3,4"], "object a is given twice on frame 2"),
        (["a@2=point:1,2", "a@5=gone", "a@5=gone"], "object a is given twice on frame 5"),
        (["a@1=point:1,2", "1@2=point:1,2"], "two objects 1, because a has this number"),
        (["a@1=gone", "a@2=point:1,2"], "a is gone on frame 1, and starts there"),
        (["a@1=gone"], "a is gone on frame 1"),
        (["70000@1=point:1,2"], "from 1 to 65534, not 70000"),
        (["a@0=point:1,2"], "counted from 1, there is no frame 0"),
    ],
)
def test_objects_that_cannot_be(given, message):
    with pytest.raises(InputError, match=message):
        parse_targets([], [], [], given)


def test_masks_that_cannot_be(tmp_path):
    with pytest.raises(InputError, match=r"empty\.png marks no object"):
        parse_targets([mask_file(tmp_path / "empty.png")], [], [], [])
    with pytest.raises(MissingFileError, match=r"there is no file .*nothing\.png"):
        parse_targets([tmp_path / "nothing.png"], [], [], [])
    two = mask_file(tmp_path / "two.png", 2, 8)
    with pytest.raises(InputError, match=r"marks objects 2, 8: which one is dog.*2@FRAME="):
        parse_targets([], [], [], [f"dog@5={two}"])


def test_nothing_to_follow():
    with pytest.raises(InputError, match="give --mask PNG, --box X,Y,W,H or --point X,Y"):
        parse_targets([], [], [], [])


def test_a_mask_file_of_several_objects_is_read_once(tmp_path, monkeypatch):
    path = mask_file(tmp_path / "m.png", 3, 7)
    read = []
    monkeypatch.setattr(
        "hqtrack.runs.targets.read_bytes", lambda path: read.append(path) or path.read_bytes()
    )
    one, two = parse_targets([], [], [], [f"3@2={path}", f"7@5={path}"])
    assert (one.prompt.label, two.prompt.label) == (3, 7)
    assert read == [path]


def test_a_mask_file_with_another_content_is_another_one(tmp_path):
    path = mask_file(tmp_path / "m.png", 3, 7)
    before = read_label_file(path)
    assert before == read_label_file(path)
    np.testing.assert_array_equal(before.labels, read_labels(path))
    mask_file(path, 3, 7, 7)
    assert before != read_label_file(path)


def test_several_masks_are_several_objects(tmp_path):
    one, two, three = (mask_file(tmp_path / f"{n}.png", *n) for n in ((1,), (1, 7), (1, 2)))
    targets = parse_targets([one, two, three], ["1,1,2,2"], [], [])
    assert [(t.number, t.name) for t in targets] == [(n, str(n)) for n in (1, 8, 7, 9, 2, 10)]
    assert targets[1].prompt == marked(two, 1)


def test_objects_of_colours_are_counted(tmp_path):
    colours = np.zeros((6, 24, 3), np.uint8)
    colours[:, 8:16], colours[:, 16:] = (255, 0, 0), (0, 9, 255)
    PillowImage.fromarray(colours).save(tmp_path / "m.png")
    targets = parse_targets([tmp_path / "m.png"], [], [], [])
    assert [target.number for target in targets] == [1, 2]
    np.testing.assert_array_equal(targets[0].prompt.file.labels == 1, colours[..., 0] == 255)
    assert "#ff0000" in targets[0].prompt.file.notes[0].text
