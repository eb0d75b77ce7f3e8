"""Files that are replaced only by complete ones, folders that appear complete, journals."""

import fcntl
import json
import os
import signal

import pytest

from hqtrack.files import (
    Journal,
    append_line,
    append_lines,
    first_line,
    journal_lines,
    locked,
    new_folder,
    replacing,
)
from hqtrack.signals import Ended, ended_by_signals


def test_a_file_is_replaced_when_the_block_ends(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_after_an_error_the_old_file_is_there(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write():
        with replacing(path) as part:
            part.write_text("half of the n")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_written_over(tmp_path):
    path = tmp_path / "file.txt"
    with replacing(path) as part:
        name = part.name
        part.write_text("x")
    (tmp_path / name).write_text("left by a killed process")
    with replacing(path) as part:
        part.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_when_the_block_ends(tmp_path):
    folder = tmp_path / "deep" / "folder"
    left = tmp_path / "deep" / "folder.partial"
    left.mkdir(parents=True)
    (left / "left by a killed process").touch()
    with new_folder(folder) as part:
        (part / "a").write_text("1")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["a"]
    assert [path.name for path in folder.parent.iterdir()] == ["folder"]


def test_after_an_error_there_is_no_folder(tmp_path):
    def fill():
        with new_folder(tmp_path / "folder") as part:
            (part / "a").write_text("1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").touch()
    with pytest.raises(OSError, match="not empty"), new_folder(tmp_path / "folder"):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "mine"]


@pytest.fixture
def journal(tmp_path):
    """Three lines: 1, "ä", {"a": [2]}."""
    path = tmp_path / "journal.jsonl"
    with Journal(path) as writer:
        for value in (1, "ä", {"a": [2]}):
            writer.append(value)
    return path


def test_a_journal_comes_back(journal):
    lines = list(journal_lines(journal))
    assert [line.value for line in lines] == [1, "ä", {"a": [2]}]
    assert lines[-1].end == journal.stat().st_size
    assert [line.value for line in journal_lines(journal, lines[0].end)] == ["ä", {"a": [2]}]


def test_a_line_can_be_read_before_the_journal_is_closed(tmp_path):
    with Journal(tmp_path / "j") as writer:
        writer.append(5)
        assert [line.value for line in journal_lines(tmp_path / "j")] == [5]


def test_a_journal_that_is_not_there_is_empty(tmp_path):
    assert list(journal_lines(tmp_path / "no")) == []
    assert first_line(tmp_path / "no") is None


@pytest.mark.parametrize(
    ("damage", "good", "skipped"),
    [
        (b"", 3, 0),
        (b"[4", 3, 0),
        (b"[4\n5\n", 3, 1),
        (b"\n5\n", 3, 1),
        (bytes(20), 3, 0),
        (bytes(20) + b"\n5\n", 3, 1),
        (b"\xff\n5\n", 3, 1),
    ],
)
def test_lines_after_a_damaged_one(journal, damage, good, skipped):
    journal.write_bytes(journal.read_bytes() + damage)
    assert len(list(journal_lines(journal))) == good
    assert len(list(journal_lines(journal, skip=True))) == good + skipped


def test_a_journal_goes_on_after_its_last_good_line(journal):
    whole = journal.read_bytes()
    journal.write_bytes(whole + b"[4")
    *_, last = journal_lines(journal)
    with Journal(journal, last.end) as writer:
        writer.append(4)
    assert journal.read_bytes() == whole + b"4\n"


def test_a_journal_begins_anew(journal):
    with Journal(journal) as writer:
        writer.append(7)
    assert journal.read_bytes() == b"7\n"


def test_the_first_line(journal, tmp_path):
    assert first_line(journal) == b"1\n"
    (tmp_path / "cut").write_bytes(b"[1")
    assert first_line(tmp_path / "cut") is None


def test_several_writers_append_in_turn(tmp_path):
    path = tmp_path / "log.jsonl"
    append_line(path, {"a": 1})
    append_lines(path, b"2\n3\n")
    path.write_bytes(path.read_bytes() + b'{"cut')
    append_line(path, 4)
    assert [line.value for line in journal_lines(path, skip=True)] == [{"a": 1}, 2, 3, 4]
    assert json.loads(path.read_bytes().splitlines()[-1]) == 4


def test_a_signal_leaves_no_lock_behind(tmp_path, monkeypatch):
    """Whenever it comes: here while the lock is taken."""
    flock = fcntl.flock

    def interrupted(descriptor, operation):
        flock(descriptor, operation)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("fcntl.flock", interrupted)
    with ended_by_signals(), pytest.raises(Ended), locked(tmp_path / ".lock"):
        pytest.fail("the signal was lost")
    assert list(tmp_path.iterdir()) == []
