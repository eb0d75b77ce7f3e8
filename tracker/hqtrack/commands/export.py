"""The command ``hqtrack export``: writes a run in the formats of other programs."""

import argparse
from pathlib import Path

from hqtrack.exports.export import FORMATS, export
from hqtrack.exports.stored import open_run
from hqtrack.video.sources import Source, open_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack export``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    width = max(map(len, FORMATS))
    lines = (f"  {name:{width}}  {each.place}: {each.about}" for name, each in FORMATS.items())
    parser.epilog = "\n".join(["formats:", *lines])
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="a folder that `hqtrack run` or `hqtrack app` wrote"
    )
    parser.add_argument(
        "--format",
        nargs="+",
        action="extend",
        required=True,
        metavar="FORMAT",
        help="one or more of the formats below",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for the files (default: RUN/export)"
    )
    parser.add_argument(
        "--video",
        nargs="+",
        metavar="VIDEO",
        help="the video, if it has moved; only cutouts and overlay need it",
    )


def run(args: argparse.Namespace) -> int:
    """Export, and print what was written."""
    stored = open_run(args.run)

    def video() -> Source:
        return open_source(*args.video) if args.video else stored.open_video()

    written = export(stored, args.format, args.output or args.run / "export", video)
    print(f"{stored.frames} frames of {', '.join(each.name for each in stored.objects)}:")
    for path in written:
        print(path)
    return 0
