"""The table of results: how it is made, and that it is the one in the README."""

import json

import pytest

from benchmarks import quality
from benchmarks.quality import BEGIN, END, README, RECORD, Row, insert, main, read_record, render
from hqtrack.baseline import FirstMask
from hqtrack.errors import InputError

MEASURES = dict.fromkeys([*quality.COLUMNS, "fps"], 0.25)


def row(suite, tracker, sequences=7, **measures):
    return Row(suite, tracker, sequences, 300, {**MEASURES, **measures}, {"device": "cpu"}, 2)


def test_the_readme_shows_the_record():
    rows = read_record(RECORD)
    assert rows
    text = README.read_text()
    assert insert(text, render(rows)) == text


def test_the_table_is_in_order_and_leaves_out_what_there_is_not():
    rows = [
        row("4x3", "FirstMask", fps=5000.0),
        row("sequences", "FirstMask", sequences=3, ADQ=None, J=1.0),
        row("sequences", "HQTrackLight", fps=3.14159),
    ]
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in render(rows).splitlines()]
    assert table[0] == ["sequences", "number", "tracker", *quality.COLUMNS, "fps (cpu, threads: 2)"]
    assert table[2] == ["as they are", "7", "`HQTrackLight`", *["0.250"] * 8, "3.1"]
    assert table[3] == ["as they are", "3", "`FirstMask`", "1.000", *["0.250"] * 6, "", ""]
    assert table[4] == ["mosaics, 4x3", "7", "`FirstMask`", *["0.250"] * 8, ""]
    assert len(table) == 5


def test_the_table_is_put_between_its_marks():
    assert insert(f"a\n{BEGIN}\nold\n{END}\nb\n", "new") == f"a\n{BEGIN}\nnew\n{END}\nb\n"


@pytest.mark.parametrize("text", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_without_a_place_for_the_table_nothing_is_measured(tmp_path, capsys, text):
    (tmp_path / "README.md").write_text(text)
    options = ["--data", str(tmp_path), "--record", str(tmp_path / "record.json")]
    assert main([*options, "--readme", str(tmp_path / "README.md")]) == 2
    assert "no place for the table" in capsys.readouterr().err
    assert not (tmp_path / "record.json").exists()


def test_without_a_readme_nothing_is_measured(tmp_path, capsys):
    options = ["--data", str(tmp_path), "--record", str(tmp_path / "record.json")]
    assert main([*options, "--readme", str(tmp_path / "README.md")]) == 2
    assert "README.md" in capsys.readouterr().err
    assert not (tmp_path / "record.json").exists()


def test_a_record_that_is_none_is_refused(tmp_path):
    (tmp_path / "record.json").write_text('[{"suite": "2x2"}]')
    with pytest.raises(InputError, match="is not a record"):
        read_record(tmp_path / "record.json")


@pytest.fixture
def scored(monkeypatch):
    """The names of the sequences that were scored."""
    names = []

    def score_sequences(tracker, sequences):
        names.extend(sequence.name for sequence in sequences)
        return real(tracker, sequences)

    real = quality.score_sequences
    monkeypatch.setattr(quality, "score_sequences", score_sequences)
    return names


def test_rows_replace_each_other_and_resume_keeps_those_of_the_same_weights(tmp_path, scored):
    record = tmp_path / "new" / "record.json"
    (suite,) = (suite for suite in quality.SUITES if suite.name == "generated_3")
    trackers = {"FirstMask": FirstMask()}

    def measured(resume):
        scored.clear()
        rows = quality.measure([suite], trackers, [], limit=1, record=record, resume=resume)
        assert rows == read_record(record)
        return len(rows), len(scored)

    assert measured(resume=False) == (1, 1)
    assert measured(resume=False) == (1, 1)
    assert measured(resume=True) == (1, 0)
    fields = json.loads(record.read_text())
    fields[0]["made_by"]["weights"] = {"other": "weights"}
    fields.append({**fields[0], "suite": "2x2"})
    record.write_text(json.dumps(fields))
    assert measured(resume=True) == (2, 1)
