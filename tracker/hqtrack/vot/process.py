"""The process that the VOT toolkit starts: it replies to TraX requests with a tracker's masks.

``python -m hqtrack.vot`` speaks TraX on its standard input and output; trackers.ini describes how
the toolkit starts it. The process builds the tracker before it greets the toolkit, because the
toolkit's timeouts start with the greeting.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from hqtrack import environment
from hqtrack.environment import Settings, Variable
from hqtrack.errors import InputError
from hqtrack.presets import FULL, PRESETS, find_tracker
from hqtrack.vot.handover import Unavailable, hand_over
from hqtrack.vot.isolation import Channel, Direct, can_have_client, isolate

if TYPE_CHECKING:
    from hqtrack.tracker import Tracker


def load(name: str) -> "Tracker":
    """Load the tracker of this name."""
    if find_tracker(name).vmos is None:
        # saves the seconds of importing torch
        from hqtrack.baseline import FirstMask

        return FirstMask()
    from hqtrack.build import build_named
    from hqtrack.compute.threads import limit_threads

    limit_threads()
    settings = environment.read()
    return build_named(name, settings.device, exact=settings.exact)


def main(arguments: Sequence[str] | None = None, build: Callable[[str], "Tracker"] = load) -> int:
    """Serve one client with the tracker of the preset, which ``build`` makes from its name.

    The environment variables of `hqtrack.environment`, TRAX and TRAX_SOCKET control it. Returns the
    exit status: 0 if the client ended the session or disconnected, 1 after an error, 2 if there is
    no client.
    """
    settings = environment.read()
    asked = _preset(arguments, settings)
    if asked not in PRESETS:  # send it through TraX: the toolkit shows nothing else
        return serve_on(isolate(), asked, _no_such_preset)
    preset = PRESETS[asked]
    name = preset.tracker
    if "TRAX_SOCKET" in os.environ:
        return serve_on(Direct(), name, build)
    idle = preset.idle_seconds if settings.resident is None else settings.resident
    if build is load and idle > 0 and can_have_client() and _started_by_toolkit(settings):
        try:
            return hand_over(preset.name, idle, preset.files(settings))
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


def _started_by_toolkit(settings: Settings) -> bool:
    """Whether this is an evaluation: the toolkit started us, and nobody is debugging."""
    return "TRAX" in os.environ and settings.trace is None


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


def _preset(arguments: Sequence[str] | None, settings: Settings) -> str:
    parser = argparse.ArgumentParser(prog="hqtrack.vot", description="The TraX tracker process.")
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default=settings.preset or FULL.name,
        help=f"the tracker (default: the environment variable {Variable.PRESET}, or {FULL.name})",
    )
    preset: str = parser.parse_args(arguments).preset
    if preset not in PRESETS and "TRAX" not in os.environ:
        parser.error(_wrong_preset(preset))
    return preset


def _wrong_preset(preset: str) -> str:
    return f"{Variable.PRESET} is {preset!r}: give one of {', '.join(PRESETS)}"


def _no_such_preset(preset: str) -> NoReturn:
    raise InputError(_wrong_preset(preset))
