"""The command ``hqtrack check``: verifies that results are complete and intact."""

import argparse
from pathlib import Path

from hqtrack.commands.findings import print_findings
from hqtrack.evaluation.findings import examine
from hqtrack.evaluation.workspace import find_tasks, find_trackers, open_workspace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack check``."""
    parser.add_argument(
        "--workspace", type=Path, default=Path(), metavar="DIR", help="(default: this folder)"
    )
    parser.add_argument("trackers", nargs="+", metavar="TRACKER", help="names in trackers.ini")


def run(args: argparse.Namespace) -> int:
    """Print results that cannot be used; 0 if there are none, else 1."""
    workspace = open_workspace(args.workspace)
    tasks = find_tasks(workspace, find_trackers(workspace, args.trackers))
    findings = list(examine(tasks, args.workspace / "logs"))
    print_findings(findings)
    return 0 if all(finding.state.usable for finding in findings) else 1
