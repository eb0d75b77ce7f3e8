"""Common parts of the benchmarks: options, a table of times and ratios, JSON, the record."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from hqtrack.bench.measure import Seconds, Spread, describe, machine, spread
from hqtrack.bench.pipeline import Networks, Setup
from hqtrack.bench.record import begin
from hqtrack.commands.options import (
    add_record_arguments,
    add_setup_arguments,
    expectation_of,
    print_facts,
)
from hqtrack.compute.threads import limit_threads
from hqtrack.errors import InputError


def add_arguments(parser: argparse.ArgumentParser, *names: str, **defaults: object) -> None:
    """Add these options of `hqtrack bench`, the number of rounds, and those of the record."""
    add_setup_arguments(parser, names, **defaults)
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    add_record_arguments(parser)


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The checked options; also sets torch's threads for one process."""
    args = parser.parse_args()
    expectation_of(args)  # what is wrong with it is better known now
    if args.rounds < 1:
        raise InputError(f"--rounds {args.rounds}: give at least 1")
    limit_threads()
    return args


def run(main: Callable[[], None]) -> None:
    """Run a benchmark; prints an error in its options as one line."""
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")


def ratios(of: Sequence[Seconds], to: Sequence[Seconds], clock: str) -> Spread:
    """The ratio of two times, round by round; clock: wall or cpu."""
    pairs = zip(of, to, strict=True)
    return spread([getattr(one, clock) / getattr(other, clock) for one, other in pairs])


class Report:
    """One measurement: its prediction is kept when this is made, its result when it is shown."""

    def __init__(
        self, args: argparse.Namespace, measure: str, setup: Setup, networks: Networks
    ) -> None:
        self._measure = measure
        self._json: bool = args.json
        self._setup = describe(setup, networks)
        self._machine = machine(networks.device)
        self._finish = begin(expectation_of(args), measure, self._setup, self._machine)

    def show(
        self, times: Mapping[str, Sequence[Seconds]], found: Mapping[str, Spread], *notes: str
    ) -> None:
        """Print the seconds of each run and what was found from them."""
        seconds = {
            name: {clock: spread([getattr(t, clock) for t in taken]) for clock in Seconds._fields}
            for name, taken in times.items()
        }
        numbers = {name: value.median for name, value in found.items()}
        result: dict[str, Any] = {
            "seconds": {
                name: {clock: value._asdict() for clock, value in clocks.items()}
                for name, clocks in seconds.items()
            },
            **{name: value._asdict() for name, value in found.items()},
        }
        self._finish(numbers, result)
        if self._json:
            print(json.dumps({"setup": self._setup, "machine": self._machine, **result}))
            return
        table = Table("", "median", "lowest", "highest", title=self._measure)
        for name, clocks in seconds.items():
            table.add_row(f"{name}, s", *_cells(clocks["wall"]))
            table.add_row(f"{name}, CPU seconds", *_cells(clocks["cpu"]))
        table.add_section()
        for name, value in found.items():
            table.add_row(name, *_cells(value))
        console = Console()
        console.print(table)
        print_facts(console, self._setup, self._machine)
        for note in notes:
            console.print(note)


def _cells(value: Spread) -> tuple[str, ...]:
    return tuple(f"{number:.0f}" if number >= 100 else f"{number:.3g}" for number in value)
