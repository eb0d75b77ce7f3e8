"""The command ``hqtrack doctor``: what works on this machine, and what to do about the rest."""

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator

from hqtrack.commands import doctor_checks as examination
from hqtrack.commands.doctor_checks import CheckResult, Verdict, one_line

CHECKS: tuple[Callable[[], Iterator[CheckResult]], ...] = (
    examination.check_python,
    examination.check_torch,
    examination.check_toolkit,
    examination.check_trax,
    examination.check_weights,
    examination.check_video,
    examination.check_disk,
    examination.check_shared_memory,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack doctor``."""
    parser.add_argument("--json", action="store_true", help="print one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Print what is found; 1 where something is broken, else 0."""
    findings = []
    for finding in examine():
        findings.append(finding)
        if not args.json:
            print(finding, flush=True)
    sound = all(finding.verdict is not Verdict.BROKEN for finding in findings)
    if args.json:
        checks = [dataclasses.asdict(finding) for finding in findings]
        print(json.dumps({"ok": sound, "checks": checks}))
    return 0 if sound else 1


def examine() -> Iterator[CheckResult]:
    """All findings, one after the other."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:  # a diagnosis is needed most where nothing works
            name = check.__name__.removeprefix("check_").replace("_", " ")
            yield CheckResult(
                name, Verdict.BROKEN, one_line(error), "report this as an issue, with all lines"
            )
