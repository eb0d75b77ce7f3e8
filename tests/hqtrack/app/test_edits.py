"""Actions of the page, as a table."""

import numpy as np
import pytest

from hqtrack.app.edits import Canvas, apply, give_mask
from hqtrack.app.project import Project
from hqtrack.errors import InputError
from hqtrack.video.run_lengths import decode_mask
from tests.helpers.filling import Filling

SIZE = (24, 40)
TRACKED = np.zeros(SIZE, bool)
TRACKED[10:15, 20:26] = True


@pytest.fixture
def canvas():
    """On frame 3 object 1 was tracked."""
    image = np.zeros((*SIZE, 3), np.uint8)
    nothing = np.zeros(SIZE, bool)
    return Canvas(lambda: image, lambda n: TRACKED if n == 1 else nothing, Filling(), SIZE, 6)


def do(project, canvas, kind, **arguments):
    return apply(project, {"kind": kind, "number": 1, "frame": 3, **arguments}, canvas)


def mask_of(project):
    return decode_mask(project.item(1).on(3).mask, *SIZE)


ONE = Project().add("cat")
BOX = {"left": 4, "top": 2, "right": 9, "bottom": 6}


def test_objects(canvas):
    project = apply(Project(), {"kind": "add", "name": " cat "}, canvas)
    assert project == ONE
    renamed = apply(project, {"kind": "rename", "number": 1, "name": "dog"}, canvas)
    assert renamed.items[0].name == "dog"
    assert apply(project, {"kind": "hide", "number": 1, "hidden": True}, canvas).items[0].hidden
    assert apply(project, {"kind": "delete", "number": 1}, canvas) == Project()


def test_a_box_then_clicks_refine(canvas):
    project = do(ONE, canvas, "box", **BOX)
    assert mask_of(project).sum() == 30
    assert mask_of(project)[2:7, 4:10].all()
    project = do(project, canvas, "click", x=20, y=10)
    project = do(project, canvas, "click", x=5, y=3, inside=False)
    assert canvas.prompter.asked[-1] == ((4, 2, 9, 6), [(20, 10, True), (5, 3, False)])
    assert mask_of(project)[10, 20]
    assert not mask_of(project)[3, 5]


def test_a_click_on_a_tracked_object_starts_from_its_box(canvas):
    do(ONE, canvas, "click", x=22, y=12, inside=False)
    assert canvas.prompter.asked == [((20, 10, 25, 14), [(22, 12, False)])]


@pytest.mark.parametrize(
    ("x", "y", "box"),
    [
        (22, 12, (20, 10, 25, 14)),
        (28, 16, (20, 10, 28, 16)),
        (18, 12, (18, 10, 25, 14)),
        (29, 12, None),
        (2, 2, None),
    ],
)
def test_a_click_near_a_tracked_object_widens_its_box_and_one_far_away_leaves_it(canvas, x, y, box):
    do(ONE, canvas, "click", x=x, y=y)
    assert canvas.prompter.asked == [(box, [(x, y, True)])]


def test_a_click_on_a_painted_mask_starts_from_its_box(canvas):
    project = give_mask(ONE, 1, 3, TRACKED.copy(), canvas)
    do(project, canvas, "click", x=22, y=12, inside=False)
    assert canvas.prompter.asked == [((20, 10, 25, 14), [(22, 12, False)])]
    do(do(ONE, canvas, "gone"), canvas, "click", x=22, y=12)
    assert canvas.prompter.asked[-1] == (None, [(22, 12, True)])


def test_a_click_on_a_new_object_is_alone(canvas):
    apply(ONE.add(), {"kind": "click", "number": 2, "frame": 3, "x": 3, "y": 4}, canvas)
    assert canvas.prompter.asked == [(None, [(3, 4, True)])]


def test_strokes_go_on_from_the_tracked_mask(canvas):
    project = do(ONE, canvas, "stroke", points=[[2, 2]], radius=1)
    project = do(project, canvas, "stroke", points=[[22, 12]], radius=1, erase=True)
    assert mask_of(project).sum() == TRACKED.sum()
    assert mask_of(project)[2, 2]
    assert not mask_of(project)[12, 22]
    assert canvas.prompter.asked == []


def test_strokes_stay_on_what_later_clicks_make(canvas):
    project = do(ONE, canvas, "box", **BOX)
    project = do(project, canvas, "stroke", points=[[30, 20]], radius=1)
    project = do(project, canvas, "click", x=20, y=10)
    assert mask_of(project)[20, 30]
    assert mask_of(project)[10, 20]


def test_not_here(canvas):
    project = do(ONE, canvas, "gone")
    assert not mask_of(project).any()
    assert do(project, canvas, "take_back") == ONE


def test_a_mask_file(canvas):
    project = give_mask(ONE, 1, 3, TRACKED, canvas)
    assert (mask_of(project) == TRACKED).all()
    with pytest.raises(InputError, match="is 24x40 and the video is 40x24"):
        give_mask(ONE, 1, 3, TRACKED.T, canvas)
    with pytest.raises(InputError, match="marks no object"):
        give_mask(ONE, 1, 3, np.zeros(SIZE, bool), canvas)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({"kind": "dance"}, "no action 'dance'"),
        ({}, "no action None"),
        ({"kind": "box", "number": 1, "frame": 7, **BOX}, "no frame 7: the video has 6"),
        ({"kind": "box", "number": 1, "frame": True, **BOX}, "frame is a whole number"),
        ({"kind": "box", "number": 9, "frame": 3, **BOX}, "no object 9"),
        ({"kind": "box", "number": 1, "frame": 3, **BOX, "left": "x"}, "left is a number"),
        ({"kind": "box", "number": 1, "frame": 3, **BOX, "left": float("nan")}, "left is a number"),
        ({"kind": "box", "number": 1, "frame": 3, **BOX, "left": 50, "right": 60}, "outside"),
        ({"kind": "click", "number": 1, "frame": 3, "x": -1, "y": 2}, "outside the frame"),
        ({"kind": "stroke", "number": 1, "frame": 3, "radius": 1, "points": []}, "1 to 20000"),
        ({"kind": "stroke", "number": 1, "frame": 3, "radius": 1, "points": [[1]]}, "pair"),
        ({"kind": "stroke", "number": 1, "frame": 3, "radius": 1, "points": [[1, 1e9]]}, "far"),
        ({"kind": "stroke", "number": 1, "frame": 3, "radius": 99, "points": [[1, 1]]}, "larger"),
        ({"kind": "rename", "number": 1, "name": 7}, "name is a text"),
        ({"kind": "hide", "number": "1"}, "number is a whole number"),
        (
            {"kind": "click", "number": 1, "frame": 1, "x": 20, "y": 2, "inside": False},
            "on the object first",
        ),
        ({"kind": "box", "number": 1, "frame": 3, **BOX, "top": 6, "bottom": 2}, "outside"),
    ],
)
def test_what_cannot_be_used(canvas, action, message):
    nowhere = Canvas(canvas.image, lambda n: np.zeros(SIZE, bool), canvas.prompter, SIZE, 6)
    with pytest.raises(InputError, match=message):
        apply(ONE, action, nowhere)
