"""Projects as values: what changes, what is refused, what has to be tracked again."""

import json

import pytest

from hqtrack.app.project import (
    Click,
    Given,
    History,
    Item,
    Project,
    Stroke,
    from_json,
    stale_from,
    to_json,
)
from hqtrack.errors import InputError

ONE = Project().add("cat").add()


def given(frame, mask="m"):
    return Given(frame, mask, "b")


def test_objects_are_added_renamed_hidden_and_deleted():
    assert ONE.items == (Item(1, "cat"), Item(2, "2"))
    changed = ONE.rename(2, " dog ").hide(1, True)
    assert changed.items == (Item(1, "cat", hidden=True), Item(2, "dog"))
    assert changed.delete(1).items == (Item(2, "dog"),)
    assert changed.delete(1).add().items[1].number == 3


@pytest.mark.parametrize("name", ["", "a@b", "a=b", "a\nb", "7", "cat", "x" * 61])
def test_names_that_cannot_be(name):
    with pytest.raises(InputError, match=r"no name|a number|another object"):
        ONE.rename(2, name)


def test_an_object_that_is_not_there():
    with pytest.raises(InputError, match="there is no object 3"):
        ONE.give(3, given(1))


def test_masks_are_kept_by_frame():
    project = ONE.give(1, given(5)).give(1, given(2)).give(1, given(5, "new"))
    assert [each.frame for each in project.item(1).given] == [2, 5]
    assert project.item(1).on(5).mask == "new"
    assert project.item(1).on(3) is None
    assert project.take_back(1, 2).item(1).given == (given(5, "new"),)


TRACKED = ONE.give(1, given(2)).give(2, given(4))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param(TRACKED, None, id="nothing"),
        pytest.param(TRACKED.rename(1, "dog").hide(2, True), None, id="only what is shown"),
        pytest.param(TRACKED.give(1, given(9)), 9, id="a correction"),
        pytest.param(TRACKED.give(2, given(4, "n")), 4, id="another mask"),
        pytest.param(TRACKED.give(2, Given(4, "m", "other")), None, id="the same mask otherwise"),
        pytest.param(TRACKED.delete(1), 2, id="an object less"),
        pytest.param(TRACKED.take_back(2, 4).give(1, given(3)), 3, id="the first of two"),
    ],
)
def test_stale_from(after, expected):
    assert stale_from(TRACKED, after) == expected
    assert stale_from(after, TRACKED) == expected


def test_undo_and_redo():
    history = History().push(ONE).push(TRACKED)
    assert history.undo().present == ONE
    assert history.undo().undo().undo().present == Project()
    assert history.undo().redo().redo().present == TRACKED
    changed = history.undo().push(ONE.delete(1))
    assert changed.redo().present == ONE.delete(1)
    assert history.push(TRACKED) is history


def test_history_is_bounded():
    history = History()
    for number in range(200):
        history = history.push(Project((Item(number, "a"),)))
    assert len(history.states) == 50
    assert history.present.items[0].number == 199


def test_a_history_is_stored_and_read():
    how = Given(3, "m", "b", (1, 2, 3, 4), (Click(1, 2, True),), (Stroke(((1, 2),), 3, False),))
    history = History().push(ONE.give(1, how)).push(ONE).undo()
    assert from_json(json.loads(json.dumps(to_json(history)))) == history


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("states"),
        lambda content: content.update(at=9),
        lambda content: content["states"][0]["items"][0].update(name="a@b"),
        lambda content: content["states"][0]["items"][0].update(number="x"),
        lambda content: content["states"][0]["items"][0]["given"][0].update(box=[1]),
    ],
)
def test_a_damaged_history_is_refused(change):
    content = json.loads(json.dumps(to_json(History((TRACKED,)))))
    change(content)
    with pytest.raises(InputError):
        from_json(content)
