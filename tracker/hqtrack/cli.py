"""The command ``hqtrack``: loads one module per subcommand, and only the one that it runs."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from hqtrack import version
from hqtrack.errors import InputError, one_line

_COMMANDS = {
    "run": "track objects through a video",
    "score": "measure a tracker on annotated sequences",
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

    The code is 2 if an input cannot be used; one line on stderr then says what to do. It is 130
    after an interruption.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    command = next((word for word in arguments if word in _COMMANDS), None)
    try:
        args = _parser(command).parse_args(arguments)
        return int(import_module(f"hqtrack.commands.{args.command}").run(args))
    except (InputError, OSError) as error:
        print(f"hqtrack: error: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("hqtrack: interrupted", file=sys.stderr)
        return 130


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
