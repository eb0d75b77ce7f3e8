"""The command ``hqtrack check``: whether the results of a workspace are all there, and whole."""

import argparse
from pathlib import Path

from hqtrack.evaluation.findings import examine, print_findings
from hqtrack.evaluation.workspace import find_tasks, find_trackers, open_workspace


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
