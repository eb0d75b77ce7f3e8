"""The record of measurements as a table: `python -m benchmarks.history`."""

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks.report import run
from hqtrack.bench.record import history, read_record
from hqtrack.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "record")
    folder = parser.parse_args().folder
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: give the folder of --record")
    Console().print(history(read_record(folder)))


if __name__ == "__main__":
    run(main)
