"""The summary of a run."""

import io

from rich.console import Console

from hqtrack.runs.results import Results
from hqtrack.runs.summary import summarize
from tests.helpers.followed import RUN, TARGETS


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
