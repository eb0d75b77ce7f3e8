"""The command ``hqtrack app``: a local web application to mark, track, correct and export."""

import argparse
import contextlib
import secrets
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from hqtrack.commands.options import add_choice, add_rules, add_tracker_options
from hqtrack.errors import InputError

if TYPE_CHECKING:  # it imports more than the options need
    from hqtrack.app.prompter import Prompter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack app``."""
    parser.add_argument(
        "video",
        metavar="VIDEO",
        help="a video file, a folder of images, or the folder of a project",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder of the project (default: tracked/NAME); opening it again goes on",
    )
    parser.add_argument("--port", type=int, help="of this machine (default: any that is free)")
    parser.add_argument(
        "--no-browser", action="store_true", help="only print the address, open no browser"
    )
    add_choice(parser)
    add_tracker_options(parser)
    add_rules(parser)


def run(args: argparse.Namespace) -> int:
    """Serve the project until Ctrl-C."""
    try:
        import uvicorn

        from hqtrack.app.server import HOST, bind, make_app
    except ModuleNotFoundError as error:
        raise InputError(
            f"hqtrack app needs {error.name}: install it with: pip install 'hqtrack[app]'"
        ) from error
    from hqtrack.app.adopted import video_of_run
    from hqtrack.app.follow import Setup
    from hqtrack.app.prompter import choose_prompter
    from hqtrack.app.saved import video_of
    from hqtrack.app.studio import Studio
    from hqtrack.runs.choice import choose_tracker
    from hqtrack.video.sources import open_source

    folder = Path(args.video)
    output, video = args.output, video_of(folder) or video_of_run(folder)
    if video is None:
        video = args.video
    elif output is None:
        output = folder
    source = open_source(video)
    choice = choose_tracker(args.preset, args.weights, args.refiner)
    setup = Setup(choice, args.device, args.weights, args.exact, args.rules)
    prompter = choose_prompter(args.weights, args.device)
    with bind(args.port) as listening:
        port = listening.getsockname()[1]
        folder = output or Path("tracked", source.name)
        with Studio(folder, source, setup, prompter) as studio:
            token = secrets.token_urlsafe(24)
            address = f"http://{HOST}:{port}/?token={token}"
            print(f"the project is {folder}; open {address} (Ctrl-C ends)", flush=True)
            threading.Thread(target=_prepare, args=(prompter,), daemon=True).start()
            if not args.no_browser:
                webbrowser.open(address)
            config = uvicorn.Config(
                make_app(studio, token, port),
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
            uvicorn.Server(config).run([listening])
    return 0


def _prepare(prompter: "Prompter") -> None:
    with contextlib.suppress(Exception):  # the first mask tries again, and says what is wrong
        prompter.prepare()
