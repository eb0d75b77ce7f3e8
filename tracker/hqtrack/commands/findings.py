"""Prints the state of results; not a command itself."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hqtrack.errors import InputError
from hqtrack.evaluation.findings import Finding, State


def refuse_broken(findings: Sequence[Finding]) -> None:
    """Print the findings and raise InputError if a sequence is not intact.

    Then nothing runs, because results of a part of a sequence would have to be tracked again.
    """
    broken = {f.task.sequence.name: f.detail for f in findings if f.state is State.BROKEN}
    if broken:
        print_findings(findings)
        (name, trouble), *others = broken.items()
        more = f"; {len(others)} more are not intact: {', '.join(n for n, _ in others)}"
        raise InputError(
            f"nothing ran, because sequence {name} is not intact: {trouble}{more if others else ''}"
        )


def print_findings(findings: Sequence[Finding]) -> None:
    """Print the results that need another run, and the number of results in each state."""
    console = Console()
    trouble = [finding for finding in findings if not finding.state.usable]
    if trouble:
        table = Table()
        for heading in ("tracker", "experiment", "sequence", "results"):
            table.add_column(heading, overflow="fold")
        for task, state, detail in trouble:
            text = f"{state}: {detail}" if detail else str(state)
            names = (task.tracker.reference, task.experiment.identifier, task.sequence.name)
            table.add_row(*map(escape, (*names, text)))
        console.print(table)
    counts = Counter(finding.state for finding in findings)
    console.print("; ".join(f"{counts[state]} {state}" for state in State if counts[state]))
