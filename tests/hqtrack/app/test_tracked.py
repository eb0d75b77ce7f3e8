"""The journal of a project, read while it grows."""

import json

from hqtrack.app.tracked import Tracked
from tests.helpers.followed import SIZE


def line(number, *objects):
    return json.dumps([number, f"{number}.png", SIZE, 0.1, objects, "digest"]) + "\n"


def test_frames_are_read_as_they_come(tmp_path):
    journal = tmp_path / "frames.jsonl"
    assert Tracked(tmp_path).last == 0
    journal.write_text('{"run": {}}\n' + line(1, [7, 5, 0.9, "x"]))
    tracked = Tracked(tmp_path)
    assert tracked.last == 1
    with journal.open("a") as file:
        file.write(line(2, [7, 0, 0.0, None], [8, 4, 1.0, "y"]) + line(3)[:-5])
    tracked.refresh()
    assert tracked.last == 2
    assert tracked.record(2).objects[1].counts == "y"
    assert (tracked.record(3), tracked.record(0)) == (None, None)
    with journal.open("a") as file:
        file.write(line(3)[-5:])
    tracked.refresh()
    assert tracked.last == 3
    assert tracked.seen(2) == {7: (0.0, 0), 8: (1.0, 4)}
    assert tracked.curves({})["objects"]["8"] == {
        "confidence": [None, 1.0, None],
        "area": [None, 4, None],
    }
    journal.write_text('{"run": {}}\n' + line(1))
    tracked.reload()
    assert tracked.last == 1


def test_frames_with_gaps_are_not_those_of_a_project(tmp_path):
    (tmp_path / "frames.jsonl").write_text('{"run": {}}\n' + line(1) + line(3) + line(4))
    assert Tracked(tmp_path).last == 1
