"""The page of a record, without a browser; see test_page_in_browser.py for one."""

import json
import re

import pytest

from hqtrack.errors import InputError, MissingFileError
from hqtrack.records.page import find_record, write_page
from hqtrack.records.record import picture_path
from hqtrack.video.overlay import object_colours
from tests.helpers.recorded import make_record


@pytest.fixture
def record(tmp_path):
    return make_record(tmp_path / "record")


def page_of(record, tmp_path):
    write_page(record, tmp_path / "page.html")
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def data(page, name):
    found = re.search(f'<script type="application/json" id="{name}">(.*?)</script>', page)
    return json.loads(found[1])


def test_the_page_needs_nothing_else(record, tmp_path):
    page = page_of(record, tmp_path)
    assert re.findall(r"https?:|(?:src|href)=\"", page) == []
    assert "default-src 'none'" in page
    assert "{{" not in page


def test_the_numbers_of_all_frames(record, tmp_path):
    overview = data(page_of(record, tmp_path), "record")
    assert overview["layers"] == ["coarse", "refined", "chosen", "truth"]
    assert overview["frames"][7] == [8, "00000008.jpg"]
    assert overview["memory"][7] == [[[0], 6]]
    dog, other = overview["objects"]
    assert dog["colour"] == object_colours([3])[0].tolist()
    assert dog["area"] == [400, 400, 400, 400, 0, 400, 400, 400]
    assert dog["iou"] == [None, *[0.8182] * 3, None, *[0.8182] * 3]
    assert other["name"] == "</script><b>"
    assert other["confidence"] == [None, *[0.25] * 7]
    origins = [overview["origins"][origin] for origin in dog["origin"]]
    assert origins[:5] == ["given", "HQ-SAM", "VMOS", "HQ-SAM", "not seen"]


def test_a_frame_has_each_mask_once(record, tmp_path):
    frame = data(page_of(record, tmp_path), "frame-3")
    assert frame["picture"].startswith("data:image/jpeg;base64,/9j/")
    assert len(set(frame["masks"])) == len(frame["masks"])
    dog = [frame[layer][0] for layer in ("coarse", "refined", "chosen", "truth")]
    assert dog[0] == dog[3] != dog[1] == dog[2]


def test_memory_counts_from_the_first_frame_with_an_object(tmp_path):
    record = make_record(tmp_path / "record", first=5)
    journal = record / "record.jsonl"
    heading, *frames = journal.read_text().splitlines(keepends=True)
    empty = [json.dumps([number, "", [60, 80], [], []]) + "\n" for number in (3, 4)]
    journal.write_text("".join([heading, *empty, *frames]))
    for number in (3, 4):
        picture_path(record, number).write_bytes(picture_path(record, 5).read_bytes())
    overview = data(page_of(record, tmp_path), "record")
    assert [frame[0] for frame in overview["frames"]] == list(range(3, 13))
    assert overview["memory"][:3] == [[], [], []]
    assert overview["memory"][5] == [[[2], 4]]


def test_what_is_no_end_of_a_script_stays_one(tmp_path):
    page = page_of(make_record(tmp_path / "record", title="<!--</title><script>"), tmp_path)
    assert "<title>&lt;!--&lt;/title&gt;&lt;script&gt;</title>" in page
    # the record, the program and eight frames
    assert page.count("<script") == page.count("</script>") == 10


def test_a_run_has_its_record_inside(record, tmp_path):
    assert find_record(tmp_path) == find_record(record) == record


def test_which_one_of_several(tmp_path):
    for name in ("dog", "cat"):
        make_record(tmp_path / name, frames=1)
    with pytest.raises(MissingFileError, match=r"several records, give one: .*/cat, .*/dog$"):
        find_record(tmp_path)


def test_a_picture_that_is_gone(record, tmp_path):
    picture_path(record, 4).unlink()
    with pytest.raises(MissingFileError, match=r"lacks .*00000004\.jpg: record again"):
        write_page(record, tmp_path / "page.html")


def test_a_page_that_cannot_be_written(record, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*give another --output"):
        write_page(record, tmp_path / "file" / "page.html")
    with pytest.raises(InputError, match=r"cannot write .*give another --output"):
        write_page(record, tmp_path / "none" / "page.html")
