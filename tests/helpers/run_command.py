"""``hqtrack run`` on five small images, in this process; the fixtures are in a conftest."""

import json
from pathlib import Path

from hqtrack.cli import main
from hqtrack.records.record import recorded_frames

HEIGHT, WIDTH = 12, 20
NAMES = ["1.png", "5.png", "9.png", "10.png", "100.png"]


def output_of(arguments):
    return Path(arguments[arguments.index("--output") + 1])


def written(output):
    """The names of the label maps, in the order of the frames."""
    return sorted((path.name for path in (output / "masks").iterdir()), key=NAMES.index)


def summary(output):
    return json.loads((output / "summary.json").read_text())


def error_of(arguments, capsys):
    """The message of a command that fails."""
    assert main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    return next(line for line in lines if line.startswith("hqtrack: error: "))


def same_files(one, other):
    """Whether two runs left the same, but for times."""
    assert lines_of(one) == lines_of(other)
    for path in sorted((one / "masks").iterdir()):
        assert path.read_bytes() == (other / "masks" / path.name).read_bytes()
    assert (one / "masks.json").read_text() == (other / "masks.json").read_text()
    first, second = summary(one), summary(other)
    for found in (first, second):
        found["fps"] = found["run"]["input"]["times"] = found["run"]["video"] = None
    assert first == second


def lines_of(output):
    """The frames of the journal, without the seconds that tracking took."""
    lines = (output / "frames.jsonl").read_text().splitlines()[1:]
    return [[*fields[:3], *fields[4:]] for fields in map(json.loads, lines)]


def recorded(output):
    return [frame.name for frame in recorded_frames(output / "record")]
