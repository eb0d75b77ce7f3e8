"""The command ``hqtrack``: loads one module per subcommand, and only the one that it runs."""

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from hqtrack import version
from hqtrack.errors import (
    MISSING_LIBRARY,
    MORE_MEMORY,
    InputError,
    one_line,
    ran_out_of_memory,
)
from hqtrack.signals import Ended, ended_by_signals
from hqtrack.standard_streams import outlive_readers, repair_descriptors

_COMMANDS = {
    "run": "track objects through a video",
    "score": "measure a tracker on annotated sequences",
    "app": "mark, track, correct and export in a browser",
    "export": "write a run in the formats of other programs",
    "inspect": "write a page that shows where the masks of a record come from",
    "generate": "make sequences with exact masks",
    "workspace": "turn a folder of sequences into a VOT workspace",
    "evaluate": "evaluate trackers in a workspace on every device, through the VOT toolkit",
    "check": "verify that the results of a workspace are complete and intact",
    "debug": "run the tracker process on one sequence and print its replies and times",
    "bench": "measure time per stage and memory on this machine",
    "warmup": "compile the kernels for a GPU, once per machine",
    "doctor": "check each requirement and suggest fixes",
    "weights": "list, download and verify the weights of the networks",
}
"""Command and summary; its module in hqtrack.commands has ``add_arguments`` and ``run``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, by default the one of this process; return the exit code.

    The code is 2 if an input cannot be used, or if there is too little memory; one line on stderr
    then says what to do. After a signal that ended the command it is 128 plus the number of the
    signal: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP. A reader of standard output or error
    that goes away (``| head -1``) changes neither the command nor its code.
    """
    repair_descriptors()
    outlive_readers()
    arguments = sys.argv[1:] if argv is None else list(argv)
    command = next((word for word in arguments if word in _COMMANDS), None)
    try:
        with ended_by_signals():
            args = _parser(command).parse_args(arguments)
            status = int(import_module(f"hqtrack.commands.{args.command}").run(args))
            sys.stdout.flush()
        return status
    except KeyboardInterrupt as end:
        ended = end if isinstance(end, Ended) else Ended(signal.SIGINT)
        word = "interrupted" if ended.number == signal.SIGINT else str(ended)
        print(f"hqtrack: {word}", file=sys.stderr)
        return ended.status
    except Exception as error:
        if (message := _told(error)) is None:
            raise
        print(f"hqtrack: error: {message}", file=sys.stderr)
        return 2


def _told(error: Exception) -> str | None:
    """What a person can do about an error; None for our own mistakes."""
    if isinstance(error, InputError):
        return one_line(error)
    if ran_out_of_memory(error):
        return f"{one_line(error)}: {MORE_MEMORY}"
    if isinstance(error, ImportError) and not isinstance(error, ModuleNotFoundError):
        return f"{one_line(error)}: {MISSING_LIBRARY}"
    return one_line(error) if isinstance(error, OSError) else None


def _parser(command: str | None) -> argparse.ArgumentParser:
    """The parser of all commands; to start fast, only ``command``, if any, gets its options."""
    parser = argparse.ArgumentParser(
        prog="hqtrack", description="Track objects through video, starting from one mask each."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in _COMMANDS.items():
        subparser = commands.add_parser(name, help=summary, description=summary)
        if name == command:
            import_module(f"hqtrack.commands.{name}").add_arguments(subparser)
    return parser
