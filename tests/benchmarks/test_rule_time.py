"""The time of rules: who is measured when, and what is printed."""

from types import SimpleNamespace

from benchmarks import rule_time
from benchmarks.rule_time import main, seconds_in_turn, table


class Clock:
    """Processor's time that passes only where it is spent."""

    def __init__(self):
        self.now = 0.0

    def process_time(self):
        return self.now


class Spender:
    """A tracker that spends so many seconds on each frame, and ten on the first."""

    def __init__(self, name, seconds, clock, log):
        self.name, self.seconds, self.clock, self.log = name, seconds, clock, log

    def initialize(self, image, masks):
        self.clock.now += 10

    def track(self, image):
        self.log.append((image, self.name))
        self.clock.now += self.seconds


def test_frames_are_tracked_in_turn_and_the_first_does_not_count(monkeypatch):
    clock, log = Clock(), []
    monkeypatch.setattr(rule_time, "time", clock)
    trackers = {name: Spender(name, seconds, clock, log) for name, seconds in (("a", 1), ("b", 3))}
    frames = [SimpleNamespace(image=number, masks=None) for number in range(4)]
    spent = seconds_in_turn(trackers, SimpleNamespace(read=lambda: iter(frames)))
    assert spent == {"a": 1.0, "b": 3.0}
    assert log == [(1, "a"), (1, "b"), (2, "b"), (2, "a"), (3, "a"), (3, "b")]


def test_the_table_has_ratios_to_the_first_rules():
    found = {
        "plain/x": {"published": 0.2, "plus": 0.21},
        "twin/x": {"published": 0.4, "plus": 0.5},
    }
    lines = table(found).splitlines()
    assert lines[0] == "|  | published, ms | plus to published |"
    assert lines[2:] == [
        "| plain/x | 200 | 1.050 |",
        "| twin/x | 400 | 1.250 |",
        "| mean | 300 | 1.150 |",
    ]


def test_from_end_to_end(sequences, capsys):
    assert main(["--data", str(sequences), "--kinds", "plain"]) == 0
    out = capsys.readouterr().out
    assert "| plain/one |" in out
    assert "| mean |" in out


def test_a_folder_without_sequences(tmp_path, capsys):
    assert main(["--data", str(tmp_path)]) == 2
    assert "rule_time: " in capsys.readouterr().err
