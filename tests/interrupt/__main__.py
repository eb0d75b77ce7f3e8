"""``python -m tests.interrupt``: ends runs and evaluations at random moments, and resumes them.

``hqtrack run`` gets SIGINT, SIGTERM, SIGHUP and SIGKILL in turn, ``vot evaluate`` gets SIGKILL.
Each is started again until it completes; then its files have to be those of an undisturbed one.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.interrupt.evaluations import kill_evaluations
from tests.interrupt.runs import Wrong, interrupt_runs


def main() -> int:
    """Interrupt; 0 if all went as it has to, 1 after a failure."""
    parser = argparse.ArgumentParser(prog="tests.interrupt", description=__doc__)
    parser.add_argument("--signals", type=int, default=40, help="signals to runs (default: 40)")
    parser.add_argument("--kills", type=int, default=0, help="SIGKILLs of vot evaluate")
    parser.add_argument("--frames", type=int, default=12, help="of the video (default: 12)")
    parser.add_argument("--seed", type=int, help="decides the moments")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4))
    print(f"seed {seed}", flush=True)
    # a shell ignores some in the background, and children would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    with tempfile.TemporaryDirectory(prefix="interrupt") as folder:
        try:
            if args.signals:
                interrupt_runs(Path(folder), args.signals, args.frames, random.Random(seed))
            if args.kills:
                kill_evaluations(Path(folder), args.kills, random.Random(seed))
        except Wrong as wrong:
            print(f"seed {seed}: {wrong}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
