"""The command ``hqtrack check``: whether the results of a workspace are all there, and whole."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hqtrack.challenge import (
    Finding,
    State,
    examine,
    find_tasks,
    find_trackers,
    open_workspace,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack check``."""
    parser.add_argument(
        "--workspace", type=Path, default=Path(), metavar="DIR", help="(default: this folder)"
    )
    parser.add_argument("trackers", nargs="+", metavar="TRACKER", help="names in trackers.ini")


def run(args: argparse.Namespace) -> int:
    """Print what is wrong; 0 when all results are there and usable, else 1."""
    workspace = open_workspace(args.workspace)
    tasks = find_tasks(workspace, find_trackers(workspace, args.trackers))
    findings = list(examine(tasks, args.workspace / "logs"))
    print_findings(findings)
    return 0 if all(finding.state.usable for finding in findings) else 1


def print_findings(findings: Sequence[Finding]) -> None:
    """A table of the results that need another run, and how many there are of each kind."""
    console = Console()
    trouble = [finding for finding in findings if not finding.state.usable]
    if trouble:
        table = Table("tracker", "experiment", "sequence", "results")
        for task, state, detail in trouble:
            text = f"{state}: {detail}" if detail else str(state)
            names = (task.tracker.reference, task.experiment.identifier, task.sequence.name)
            table.add_row(*names, text)
        console.print(table)
    counts = Counter(finding.state for finding in findings)
    console.print("; ".join(f"{counts[state]} {state}" for state in State if counts[state]))
