"""A page in the browser to read, correct and teach, and a service for programs."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from recognizer.cli.arguments import add_machine, count
from recognizer.errors import ConfigError

if TYPE_CHECKING:
    from recognizer.serve.settings import ServeSettings

TOKEN_VARIABLE = "RECOGNIZER_TOKEN"

EXAMPLE = "recognizer serve project/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    project = "folder of a project, made if it does not exist: sources, transcripts, corrections and models as plain files"
    parser.add_argument("project", nargs="?", metavar="PROJECT", help=f"{project}; without it, nothing that comes in is kept")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1, which only this machine can reach)")
    parser.add_argument("--port", type=count, default=8000, metavar="N", help="port (default: 8000; 0: any that is free)")
    token = f"what clients must show; needed with any other --host (or the environment variable {TOKEN_VARIABLE})"
    parser.add_argument("--token", default=os.environ.get(TOKEN_VARIABLE), help=token)
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="a further name under which clients ask; repeatable")
    model = "name or folder of a bundle; repeatable, one for each kind of source (default: those of the project, or those that ship)"
    parser.add_argument("-m", "--model", action="append", default=[], metavar="NAME|FOLDER", help=model)
    parser.add_argument("--wyoming", metavar="[HOST:]PORT", help="also speak the Wyoming protocol of Home Assistant there")
    limits = parser.add_argument_group("limits of one request")
    limits.add_argument("--max-bytes", type=count, default=256 << 20, metavar="N", help="of an upload (default: 256 MiB)")
    limits.add_argument("--max-pixels", type=count, default=100_000_000, metavar="N", help="of a picture (default: 100 million)")
    limits.add_argument("--max-seconds", type=count, default=4 * 3600, metavar="N", help="of a recording (default: 4 hours)")
    limits.add_argument("--queue", type=count, default=128, metavar="N", help="inputs that wait; those beyond get an answer 429 (default: 128)")
    limits.add_argument("--timeout", type=count, default=3600, metavar="N", help="seconds until an input must be recognized (default: 1 hour)")
    batch = "inputs that come at about the same time and are read together (default: 32; 1: one at a time)"
    limits.add_argument("--batch", type=count, default=32, metavar="N", help=batch)
    add_machine(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command; it ends with Ctrl-C."""
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"serve: {error.name} is not installed; pip install 'recognizer[serve]'") from None
    from recognizer.serve.server import serve

    with suppress(KeyboardInterrupt):  # how a service is meant to end
        serve(read_settings(options), options.quiet)
    return 0


def read_settings(options: argparse.Namespace) -> ServeSettings:
    """The settings that a command line asks for; raises ConfigError where they cannot be."""
    from pathlib import Path

    from recognizer.serve.settings import Limits, ServeSettings

    for name in ("max_bytes", "max_pixels", "max_seconds", "queue", "timeout", "batch"):
        if getattr(options, name) < 1:
            raise ConfigError(f"--{name.replace('_', '-')}: must be 1 or more")
    limits = Limits(options.max_bytes, options.max_pixels, options.max_seconds, options.queue, answer_seconds=options.timeout, batch=options.batch)
    project = None if options.project is None else Path(options.project)
    if project is None and options.token is not None and options.host == "127.0.0.1" and not options.quiet:
        print("recognizer: note: clients on this machine must show the token as well", file=sys.stderr)
    return ServeSettings(
        project, options.host, options.port, options.token, tuple(options.allow_host), tuple(options.model), options.wyoming,
        options.device, options.precision, options.threads, limits,
    )  # fmt: skip
