"""The command `python -m benchmarks.gpu_check`."""

import argparse
import sys
import traceback
from pathlib import Path

import torch

from benchmarks.gpu_check.found import CheckFailed, Found, NotRun, Options, write_json
from benchmarks.gpu_check.runner import SKIPPED, Result, run_step, step_environment
from benchmarks.gpu_check.steps import STEPS
from benchmarks.gpu_check.verdict import judge
from hqtrack.errors import InputError, one_line

OUT = Path("runs") / "gpu-check"


def options_of(args: argparse.Namespace) -> Options:
    """The options that the arguments mean; raises InputError if they cannot be used."""
    if not args.dry_run and not torch.cuda.is_available():
        raise InputError(
            "torch finds no CUDA device here; --dry-run walks through all steps on the CPU"
        )
    if args.sequence is not None and not args.sequence.is_dir():
        raise InputError(f"there is no folder {args.sequence}: give another --sequence")
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{args.out} cannot be a folder ({error}): give another --out") from error
    return Options(args.out, args.dry_run, args.sequence)


def run_here(name: str, options: Options) -> int:
    """Run a step in this process; returns its exit code."""
    (step,) = (each for each in STEPS if each.name == name)
    try:
        step.check(options, Found(options.out / f"{name}.json"))
    except NotRun as reason:
        print(reason)
        return SKIPPED
    except CheckFailed as failure:
        print(failure)
        return 1
    except Exception as error:
        traceback.print_exc()
        print(f"{type(error).__name__}: {one_line(error)}")
        return 1
    return 0


def run_all(names: list[str], options: Options) -> dict[str, Result]:
    """Run steps, each in a process of its own; prints a line for each."""
    results = {}
    for step in STEPS:
        if step.name not in names:
            continue
        command = [sys.executable, "-m", "benchmarks.gpu_check", "--step", step.name]
        command += ["--out", str(options.out), *(["--dry-run"] if options.dry else [])]
        command += ["--sequence", str(options.sequence)] if options.sequence else []
        environment = step_environment(options.dry)
        # toy sizes on a slow and busy machine
        seconds = step.seconds * (10 if options.dry else 1)
        result = run_step(step.name, command, seconds, options.out, environment)
        results[step.name] = result
        reason = f": {result.reason}" if result.reason else ""
        print(f"{step.name}: {result.status}, {result.seconds:.0f} s{reason}", flush=True)
    return results


def main() -> int:
    """Run what the options ask for; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_check",
        description="Measures the GPU path, in less than twelve minutes.",
        epilog="steps: " + "; ".join(f"{step.name} ({step.title})" for step in STEPS),
    )
    names = [step.name for step in STEPS]
    parser.add_argument(
        "--out", type=Path, default=OUT, metavar="DIR", help=f"for JSON and logs (default: {OUT})"
    )
    parser.add_argument("--dry-run", action="store_true", help="all steps on the CPU, at toy sizes")
    parser.add_argument(
        "--sequence", type=Path, metavar="DIR", help="for the last step (default: a generated one)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="STEP", help="only these steps"
    )
    parser.add_argument("--step", choices=names, help=argparse.SUPPRESS)
    args = parser.parse_args()
    try:
        options = options_of(args)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.step:
        return run_here(args.step, options)
    verdict = judge(run_all(args.only, options), options.dry)
    write_json(options.out / "summary.json", verdict.facts)
    print(verdict.line)
    return 0 if verdict.sound else 1


if __name__ == "__main__":
    sys.exit(main())
