"""Tables of a run."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.exports.stored import open_run
from hqtrack.exports.tables import box_table, mots
from hqtrack.runs.objects import Numbered, Place
from hqtrack.video.run_lengths import decode_mask
from tests.helpers.followed import followed


def test_the_table_has_a_line_per_frame_and_object(folder):
    rows = list(csv.DictReader(box_table(open_run(folder))))
    assert [(row["frame"], row["object"]) for row in rows] == [
        ("1", "3"),
        ("3", "3"),
        ("5", "3"),
        ("5", "500"),
        ("7", "3"),
        ("7", "500"),
    ]
    assert rows[1] == {
        "frame": "3",
        "file": "3.png",
        "object": "3",
        "name": "the cat",
        "x": "0",
        "y": "2",
        "width": "3",
        "height": "1",
        "area": "3",
        "confidence": "0.3",
    }
    assert [rows[2][key] for key in ("x", "width", "area", "confidence")] == ["", "", "0", "0.5"]


def test_names_with_commas_and_quotes_stay_one_cell(folder):
    run = replace(open_run(folder), places=(Place(Numbered(3, 'a, "b"\nc'), None),))
    assert next(csv.DictReader(box_table(run)))["name"] == 'a, "b"\nc'


def test_mots_has_disjoint_masks_with_identities(folder):
    lines = [line.split() for line in mots(open_run(folder))]
    assert [line[:5] for line in lines] == [
        ["1", "2001", "2", "12", "20"],
        ["2", "2001", "2", "12", "20"],
        ["3", "2002", "2", "12", "20"],
        ["4", "2001", "2", "12", "20"],
        ["4", "2002", "2", "12", "20"],
    ]
    np.testing.assert_array_equal(decode_mask(lines[4][5], 12, 20), followed(7).masks[1])


def test_mots_has_room_for_so_many_objects(folder):
    run = replace(
        open_run(folder), places=tuple(Place(Numbered(n, ""), None) for n in range(1, 1001))
    )
    with pytest.raises(InputError, match="999 objects, not 1000"):
        list(mots(run))
