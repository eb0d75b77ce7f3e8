"""Measures the quality of trackers, for the README's table: `python -m benchmarks.quality`.

It scores trackers on annotated sequences, mosaics of them, and generated sequences. It adds each
row to the record as soon as it is measured, and makes the README's table from the record.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hqtrack.errors import InputError, exit_status
from hqtrack.files import replacing
from hqtrack.presets import FIRST_MASK, LIGHT, TRACKERS
from hqtrack.scoring.annotated import Annotated, reserved_sequences
from hqtrack.scoring.mosaic import Grid, make_mosaics
from hqtrack.scoring.score import Score, mean_score, numbers, scorable, score_sequences
from hqtrack.tracker import Tracker
from hqtrack.video import find_sequences
from hqtrack.vot.provenance import provenance

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "benchmarks" / "results" / "quality.json"
README = ROOT / "README.md"

BEGIN, END = "<!-- results: `make results` writes this table -->", "<!-- end of results -->"
COLUMNS = ("J", "F", "Quality", "accuracy", "robustness", "NRE", "DRE", "ADQ")
SEEDS = 20


class Suite(NamedTuple):
    """Sequences that are scored together: name, description in the table, and how to get them."""

    name: str
    title: str
    sequences: Callable[[list[Annotated]], list[Annotated]]


SUITES = (
    Suite("sequences", "as they are", lambda found: found),
    Suite("2x2", "mosaics, 2x2", partial(make_mosaics, grid=Grid(2, 2))),
    Suite(
        "2x2_blank",
        "mosaics, 2x2, tiles go blank and come back",
        partial(make_mosaics, grid=Grid(2, 2), blank_seed=0),
    ),
    Suite("4x3", "mosaics, 4x3", partial(make_mosaics, grid=Grid(4, 3))),
    Suite("generated_3", "generated, 3 objects", lambda _: reserved_sequences(SEEDS, 3)),
    Suite("generated_6", "generated, 6 objects", lambda _: reserved_sequences(SEEDS, 6)),
)


class Row(NamedTuple):
    """A tracker on a suite: the number of sequences, the scores, and the tracker's provenance."""

    suite: str
    tracker: str
    sequences: int
    frames: int
    measures: dict[str, float | None]
    made_by: dict[str, Any]
    threads: int


def read_record(path: Path) -> list[Row]:
    """The rows of a record; none if there is no file. Raises InputError if it is not a record."""
    if not path.exists():
        return []
    try:
        return [Row(**fields) for fields in json.loads(path.read_text())]
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} is not a record: remove it and measure again ({error})"
        ) from error


def write_record(path: Path, rows: Iterable[Row]) -> None:
    """Write the rows in the order of the table; replaces the file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = [row._asdict() for row in in_order(rows)]
    with replacing(path) as part:
        part.write_text(json.dumps(fields, indent=1) + "\n")


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Rows by suite and tracker."""
    suites, trackers = [suite.name for suite in SUITES], list(TRACKERS)
    return sorted(rows, key=lambda row: (suites.index(row.suite), trackers.index(row.tracker)))


def render(rows: Iterable[Row]) -> str:
    """The table in Markdown, without the speed of the tracker that computes nothing."""
    titles = {suite.name: suite.title for suite in SUITES}
    rows = in_order(rows)
    timed = [row for row in rows if row.tracker != FIRST_MASK.tracker]
    where = {f" ({row.made_by['device']}, threads: {row.threads})" for row in timed}
    speed = f"fps{where.pop() if len(where) == 1 else ''}"
    heading = ("sequences", "number", "tracker", *COLUMNS, speed)
    lines = [_line(heading), _line(["---", "--:", "---", *["--:"] * (len(COLUMNS) + 1)])]
    for row in rows:
        cells = [_number(row.measures[column], 3) for column in COLUMNS]
        speed = _number(row.measures["fps"], 1) if row in timed else ""
        first = (titles[row.suite], str(row.sequences), f"`{row.tracker}`")
        lines.append(_line([*first, *cells, speed]))
    return "\n".join(lines)


def insert(text: str, table: str) -> str:
    """The text with the table between BEGIN and END; raises InputError if they are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise InputError(f"there is no place for the table: add the lines {BEGIN} and {END}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def measure(
    suites: Sequence[Suite],
    trackers: dict[str, Tracker],
    found: list[Annotated],
    *,
    limit: int | None,
    record: Path,
    resume: bool,
) -> list[Row]:
    """Score the trackers on the suites, at most ``limit`` sequences of each.

    As soon as a row is measured, it replaces that of the same suite and tracker in the record. With
    ``resume``, rows of the same tracker, weights and number of sequences stay.
    """
    rows = {(row.suite, row.tracker): row for row in read_record(record)}
    for suite in suites:
        sequences = suite.sequences(found)[:limit]
        for name, tracker in trackers.items():
            made_by = provenance(name, tracker)._asdict()
            old = rows.get((suite.name, name))
            if resume and old and (old.made_by, old.sequences) == (made_by, len(sequences)):
                print(f"{suite.name}, {name}: measured before", flush=True)
                continue
            start = time.monotonic()
            scores = list(score_sequences(tracker, sequences).values())
            row = _row(suite.name, name, scores, made_by)
            rows[suite.name, name] = row
            write_record(record, rows.values())
            seconds = time.monotonic() - start
            shown = _number(row.measures["J"], 3)
            print(f"{suite.name}, {name}: J {shown}, {seconds:.0f} s", flush=True)
    return in_order(rows.values())


def _row(suite: str, tracker: str, scores: list[Score], made_by: dict[str, Any]) -> Row:
    import torch

    mean = mean_score(scores)
    return Row(
        suite,
        tracker,
        len(scores),
        mean.frames,
        numbers(mean),
        made_by,
        torch.get_num_threads(),
    )


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [suite.name for suite in SUITES]
    parser.add_argument("--data", type=Path, required=True, help="folder of annotated sequences")
    parser.add_argument("--suites", nargs="+", choices=names, default=names)
    parser.add_argument(
        "--trackers", nargs="+", choices=TRACKERS, default=[LIGHT.tracker, FIRST_MASK.tracker]
    )
    parser.add_argument(
        "--limit", type=int, help="largest number of sequences of each suite, for a quick test"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep rows that were measured with the same weights"
    )
    parser.add_argument("--record", type=Path, default=RECORD)
    parser.add_argument("--readme", type=Path, default=README)
    parser.add_argument("--device")
    args = parser.parse_args(argv)
    return exit_status("benchmarks.quality", lambda: print(remake(args)))


def remake(options: argparse.Namespace) -> str:
    """Measure, write the README's table and return it. Raises InputError and OSError."""
    from hqtrack.build import build_named

    # fail now rather than at the end if the README cannot be written
    insert(options.readme.read_text(), "")
    found = scorable(find_sequences(options.data))
    trackers = {name: build_named(name, options.device) for name in options.trackers}
    suites = [suite for suite in SUITES if suite.name in options.suites]
    rows = measure(
        suites,
        trackers,
        found,
        limit=options.limit,
        record=options.record,
        resume=options.resume,
    )
    table = render(rows)
    options.readme.write_text(insert(options.readme.read_text(), table))
    return table


if __name__ == "__main__":
    sys.exit(main())
