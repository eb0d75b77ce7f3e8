"""The command ``hqtrack doctor``: checks each requirement and suggests fixes."""

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from hqtrack.commands import doctor_checks as checks
from hqtrack.commands import doctor_machine as machine
from hqtrack.commands.doctor_checks import CheckResult, Verdict
from hqtrack.errors import one_line

CHECKS: tuple[Callable[[], Iterator[CheckResult]], ...] = (
    checks.check_python,
    machine.check_opencv,
    checks.check_torch,
    checks.check_toolkit,
    checks.check_trax,
    checks.check_weights,
    checks.check_video,
    checks.check_disk,
    checks.check_shared_memory,
    machine.check_memory,
    machine.check_encodings,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack doctor``."""
    parser.add_argument(
        "--workspace",
        type=Path,
        metavar="DIR",
        help="also check the images and annotations of this workspace (default: of the current "
        "folder if it is one)",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Print the result of each check; 1 if something is broken, else 0."""
    results = []
    for result in examine(args.workspace):
        results.append(result)
        if not args.json:
            print(result, flush=True)
    sound = all(result.verdict is not Verdict.BROKEN for result in results)
    if args.json:
        found = [dataclasses.asdict(result) for result in results]
        print(json.dumps({"ok": sound, "checks": found}))
    return 0 if sound else 1


def examine(workspace: Path | None = None) -> Iterator[CheckResult]:
    """The results of all checks, one after the other; see ``check_workspace`` for the last."""

    def check_workspace() -> Iterator[CheckResult]:
        return machine.check_workspace(workspace)

    for check in (*CHECKS, check_workspace):
        try:
            yield from check()
        except Exception as error:  # the other checks must run even if this one is broken
            name = check.__name__.removeprefix("check_").replace("_", " ")
            yield CheckResult(
                name, Verdict.BROKEN, one_line(error), "report this as an issue with all lines"
            )
