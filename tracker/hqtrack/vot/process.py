"""The process that the VOT toolkit starts: it replies to TraX requests with a tracker's masks.

``python -m hqtrack.vot`` speaks TraX on its standard input and output; trackers.ini describes how
the toolkit starts it. The process builds the tracker before it greets the toolkit, because the
toolkit's timeouts start with the greeting.
"""

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from hqtrack import environment
from hqtrack.environment import Settings, Variable
from hqtrack.errors import InputError
from hqtrack.presets import FULL, PRESETS, RULE_NAMES, find_tracker
from hqtrack.signals import Ended, ended_by_signals
from hqtrack.standard_streams import repair_descriptors
from hqtrack.vot.endings import NO_CLIENT, exit_status, reason, report
from hqtrack.vot.handover import hand_over
from hqtrack.vot.isolation import Channel, Direct, can_have_client, isolate
from hqtrack.vot.messages import ProtocolError
from hqtrack.vot.server import TraxServer
from hqtrack.vot.sockets import Unavailable
from hqtrack.vot.wire import ClientGone, Wire, connect

if TYPE_CHECKING:
    from hqtrack.tracker import Tracker

_CONNECT_SECONDS = 30.0
_REFUSAL_SECONDS = 5.0


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

    The environment variables of `hqtrack.environment`, TRAX and TRAX_SOCKET control it. Every error
    goes to standard error and, if there is a client, to the client. Returns the exit status: 0 if
    the client ended the session or disconnected, 1 after an error, 2 if there is no client, 128
    plus the number of the signal that ended the process.
    """
    can_have = can_have_client()
    repair_descriptors()
    try:
        with ended_by_signals():
            return _serve_client(arguments, build, can_have)
    except Ended as end:
        report(end)
        return end.status


def _serve_client(
    arguments: Sequence[str] | None, build: Callable[[str], "Tracker"], can_have: bool
) -> int:
    """Serve the client that the environment names; returns the exit status as ``main`` does."""
    settings = environment.read()
    asked = _preset(arguments, settings)
    preset = PRESETS.get(asked)
    name = asked if preset is None else preset.tracker
    if wrong := _wrong(asked, settings):  # send it through TraX: the toolkit shows nothing else
        build = _refusing(wrong)
    if "TRAX_SOCKET" in os.environ:
        return _serve_on_socket(os.environ["TRAX_SOCKET"], name, build)
    if preset and can_have and build is load and _started_by_toolkit(settings):
        try:
            idle = preset.idle_seconds if settings.resident is None else settings.resident
            if idle > 0:
                return hand_over(preset.name, idle, preset.files(settings))
        except (Unavailable, InputError) as why:
            print(
                f"hqtrack.vot: no resident process: {why}; loading the tracker here",
                file=sys.stderr,
            )
    streams = isolate() if can_have else None
    if streams is None or (streams.wire.gone() and not wrong):
        print(NO_CLIENT, end="", file=sys.stderr)
        if streams is not None:
            streams.forward()
        return 2
    return serve_on(streams, name, build)


def _serve_on_socket(port: str, name: str, build: Callable[[str], "Tracker"]) -> int:
    try:
        connection = connect(port, _CONNECT_SECONDS)
    except ProtocolError as error:
        report(error)
        return 2
    with connection:
        return serve_on(Direct(Wire(connection.fileno(), connection.fileno())), name, build)


def _refusing(message: str) -> Callable[[str], "Tracker"]:
    def refuse(name: str) -> NoReturn:
        raise InputError(message)

    return refuse


def _started_by_toolkit(settings: Settings) -> bool:
    """Whether this is an evaluation: the toolkit started us, and nobody is debugging."""
    return "TRAX" in os.environ and settings.trace is None


def serve_on(channel: Channel, name: str, build: Callable[[str], "Tracker"]) -> int:
    """Serve the client on this channel; returns the exit status as ``main`` does.

    This prints an error and sends it to the client as the reason for the end.
    """
    server = TraxServer(channel.wire, name, channel.forward)
    try:
        # imported here because descriptors 1 and 2 have to be safe before anything prints, and
        # because what keeps these libraries from loading has to be told
        from hqtrack.vot.session import serve_client

        return serve_client(server, name, build)
    except ClientGone as error:
        print(f"hqtrack.vot: the TraX client has disconnected{error}", file=sys.stderr)
        return 0
    except BaseException as error:
        report(error)
        with contextlib.suppress(ClientGone, ProtocolError):
            _refuse(server, error)
        return exit_status(error)
    finally:
        channel.forward()


def _refuse(server: TraxServer, error: BaseException) -> None:
    """Send the client the reason why the session is over.

    This greets the client first, because the toolkit shows nothing about a tracker that ends before
    the greeting, and replies with the reason to its first request.
    """
    early = not server.greeted
    server.greet()
    if early and not isinstance(error, Ended) and server.speaks(_REFUSAL_SECONDS):
        with contextlib.suppress(ProtocolError):
            server.wait()
    server.quit(reason(error))


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


def _wrong(preset: str, settings: Settings) -> str:
    """What is wrong with the environment, and what to do about it; empty if nothing is."""
    if preset not in PRESETS:
        return _wrong_preset(preset)
    if settings.rules is not None and settings.rules not in RULE_NAMES:
        return f"{Variable.RULES} is {settings.rules!r}: give {' or '.join(RULE_NAMES)}"
    if settings.resident is not None and math.isnan(settings.resident):
        return (
            f"{Variable.RESIDENT} is {os.environ[Variable.RESIDENT]!r}: give the seconds that a "
            "loaded tracker waits for the next sequence, 0 for none, or inf"
        )
    return ""
