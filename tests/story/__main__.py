"""``python -m tests.story``: a person's way through ``hqtrack app``, in a real browser.

It opens a video, marks two objects, tracks, reloads the page, kills the server, goes on, finds a
doubtful place, corrects, tracks on and exports; everything has to equal the same steps in Python.
``--measure`` prints times and memory for videos of 1920x1080 instead.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.story.measure import measure
from tests.story.story import Wrong, tell


def main() -> int:
    """Tell the story; 0 if it ends well."""
    parser = argparse.ArgumentParser(prog="tests.story", description=__doc__)
    parser.add_argument(
        "--sequence",
        type=Path,
        metavar="DIR",
        help="color/ and masks/ of a sequence with one object or more (default: a generated one)",
    )
    parser.add_argument("--frames", type=int, default=36, help="at most (default: 36)")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="write a picture of each step")
    parser.add_argument(
        "--measure", type=int, nargs="+", metavar="N", help="measure with videos of N frames"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="story") as folder:
        try:
            if args.measure:
                for frames in args.measure:
                    measure(Path(folder), frames)
            else:
                tell(Path(folder), args.sequence, args.frames, args.pictures)
        except Wrong as wrong:
            print(f"story: {wrong}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
