"""The process that the VOT toolkit starts: it replies to TraX requests with a tracker's masks.

``python -m hqtrack.vot`` speaks TraX on its standard input and output; trackers.ini describes how
the toolkit starts it. The process builds the tracker before it greets the toolkit, because the
toolkit's timeouts start with the greeting.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from hqtrack import weights
from hqtrack.errors import InputError
from hqtrack.vot.handover import IDLE_SECONDS, Unavailable, hand_over, idle_seconds
from hqtrack.vot.isolation import Channel, Direct, can_have_client, isolate

if TYPE_CHECKING:
    from hqtrack.tracker import Tracker

PRESETS = {"full": "HQTrack", "light": "HQTrackLight", "first-mask": "FirstMask"}
"""The tracker behind each preset."""


_IDLE_SECONDS = {"full": IDLE_SECONDS, "light": IDLE_SECONDS, "first-mask": 0.0}
"""How long a resident tracker stays by default; 0 where there is nothing to load."""


def load(name: str) -> "Tracker":
    """Load the tracker of this name."""
    if name == PRESETS["first-mask"]:
        # saves the seconds of importing torch
        from hqtrack.baseline import FirstMask

        return FirstMask()
    from hqtrack.build import build_named
    from hqtrack.compute.threads import limit_threads

    limit_threads()
    exact = os.environ.get("HQTRACK_EXACT", "0") not in ("", "0")
    return build_named(name, os.environ.get("HQTRACK_DEVICE"), exact=exact)


def main(arguments: Sequence[str] | None = None, build: Callable[[str], "Tracker"] = load) -> int:
    """Serve one client with the tracker of the preset, which ``build`` makes from its name.

    The environment variables HQTRACK_PRESET, HQTRACK_DEVICE, HQTRACK_EXACT (1 for the reference
    float32 path), HQTRACK_RESIDENT (seconds that a resident process waits for the next client, 0
    for none), TRAX_SOCKET and HQTRACK_TRACE control it. Returns the exit status: 0 if the client
    ended the session or disconnected, 1 after an error, 2 if there is no client.
    """
    preset = _preset(arguments, os.environ)
    if preset not in PRESETS:  # told through TraX, or the toolkit would show nothing of it
        return serve_on(isolate(), preset, _no_such_preset)
    name = PRESETS[preset]
    if "TRAX_SOCKET" in os.environ:
        return serve_on(Direct(), name, build)
    idle = idle_seconds(os.environ, _IDLE_SECONDS[preset]) if build is load else 0.0
    if idle > 0 and can_have_client() and _started_by_toolkit(os.environ):
        try:
            return hand_over(preset, idle, weights.used_by(name))
        except (Unavailable, InputError) as reason:
            print(
                f"hqtrack.vot: no resident process: {reason}; loading the tracker here",
                file=sys.stderr,
            )
    streams = isolate() if can_have_client() else None
    if streams is None or streams.client_gone():
        from hqtrack.vot.session import NO_CLIENT

        print(NO_CLIENT, end="", file=sys.stderr)
        if streams is not None:
            streams.forward()
        return 2
    return serve_on(streams, name, build)


def _started_by_toolkit(environment: Mapping[str, str]) -> bool:
    """Whether this is an evaluation: the toolkit started us, and nobody is debugging."""
    return "TRAX" in environment and "HQTRACK_TRACE" not in environment


def serve_on(channel: Channel, name: str, build: Callable[[str], "Tracker"]) -> int:
    """Serve the client on this channel; returns the exit status as ``main`` does."""
    # imported here because descriptors 1 and 2 have to be safe before anything prints
    from hqtrack.vot.session import report, serve_client

    try:
        return serve_client(name, build, channel)
    except Exception as error:
        report(error)
        return 1
    finally:
        with contextlib.suppress(BrokenPipeError):
            channel.forward()


def _preset(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> str:
    parser = argparse.ArgumentParser(prog="hqtrack.vot", description="The TraX tracker process.")
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default=environment.get("HQTRACK_PRESET") or "full",
        help="the tracker (default: the environment variable HQTRACK_PRESET, or full)",
    )
    preset: str = parser.parse_args(arguments).preset
    if preset not in PRESETS and "TRAX" not in environment:
        parser.error(_wrong_preset(preset))
    return preset


def _wrong_preset(preset: str) -> str:
    return f"HQTRACK_PRESET is {preset!r}: give one of {', '.join(PRESETS)}"


def _no_such_preset(preset: str) -> NoReturn:
    raise InputError(_wrong_preset(preset))
