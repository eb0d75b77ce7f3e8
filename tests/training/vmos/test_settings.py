"""The command that compares settings on held-out videos."""

import json

import pytest
from safetensors.torch import save_file

from hqtrack.segmenter import SegmenterConfig
from tests.helpers import layouts
from tests.helpers.tiny_vmos import TINY, tiny_vmos
from training.vmos.settings import main, variants


def test_each_value_but_the_first_makes_a_row():
    base = SegmenterConfig(max_long_edge=100, long_term_gap=5)
    rows = list(
        variants(base, {"max_long_edge": [64, 96], "long_term_gap": [], "long_term_size": [3]})
    )
    assert [(row.max_long_edge, row.long_term_size) for row in rows] == [(64, 3), (96, 3)]
    assert {row.long_term_gap for row in rows} == {5}
    rows = list(variants(base, {"max_long_edge": [64, 96], "long_term_size": [3, 4]}))
    assert [(row.max_long_edge, row.long_term_size) for row in rows] == [(64, 3), (96, 3), (64, 4)]


@pytest.fixture
def options(tmp_path):
    layouts.sequences(tmp_path / "data", ("one", "two_a", "two_b"))
    (tmp_path / "tiny.json").write_text(json.dumps(TINY.to_dict()))
    save_file(tiny_vmos().state_dict(), tmp_path / "tiny.safetensors")
    files = [
        "--config",
        str(tmp_path / "tiny.json"),
        "--weights",
        str(tmp_path / "tiny.safetensors"),
    ]
    return ["--data", str(tmp_path / "data"), *files, "--threads", "1"]


def test_the_table_has_a_row_per_setting_and_a_column_per_video(options, capsys):
    assert main([*options, "--held-out", "two", "--max-long-edge", "48", "64"]) == 0
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert lines[0][-2:] == ["two_a", "two_b"]
    assert [line[1] for line in lines[2:]] == ["48", "64"]
    column = lines[0].index("J")
    for line in lines[2:]:
        mean, *single = (float(line[place]) for place in (column, -2, -1))
        assert mean == pytest.approx(sum(single) / 2, abs=0.001)
        assert 0 <= mean <= 1


def test_a_video_that_is_not_there(options, capsys):
    assert main([*options, "--held-out", "three"]) == 2
    assert "no dataset has a video of that name" in capsys.readouterr().err
