"""The command ``hqtrack``: one module per subcommand, loaded when it is called."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from hqtrack import version
from hqtrack.errors import InputError

_COMMANDS = {
    "run": "follow objects through a video",
    "score": "measure a tracker on annotated sequences",
    "inspect": "see how the masks of a record came about, in a browser",
    "generate": "make sequences with exact masks",
    "workspace": "turn a folder of sequences into a VOT workspace",
    "evaluate": "evaluate trackers in a workspace on every device, through the VOT toolkit",
    "check": "find out whether the results of a workspace are complete and whole",
    "debug": "drive one sequence through the tracker process, message by message",
    "bench": "find out what a frame costs on this machine, stage by stage",
    "warmup": "compile what a GPU needs, once per machine",
    "doctor": "find out what works on this machine",
    "weights": "list, fetch and check the weights of the networks",
}
"""Command and summary; its module in hqtrack.commands has ``add_arguments`` and ``run``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, by default the one of this process; return the exit code.

    2 for input that cannot be used, with one line on stderr that says what to do; 130 when
    interrupted.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    command = next((word for word in arguments if word in _COMMANDS), None)
    try:
        args = _parser(command).parse_args(arguments)
        return int(import_module(f"hqtrack.commands.{args.command}").run(args))
    except (InputError, OSError) as error:
        print(f"hqtrack: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("hqtrack: interrupted", file=sys.stderr)
        return 130


def _parser(command: str | None) -> argparse.ArgumentParser:
    """The parser of all commands; only ``command``, if any, gets its options, to start fast."""
    parser = argparse.ArgumentParser(
        prog="hqtrack", description="Track anything in video: several objects, given by masks."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in _COMMANDS.items():
        subparser = commands.add_parser(name, help=summary, description=summary)
        if name == command:
            import_module(f"hqtrack.commands.{name}").add_arguments(subparser)
    return parser
