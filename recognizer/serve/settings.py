"""What a service is told when it starts: where it is reached, what it reads with, and how much it takes."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from recognizer.errors import ConfigError

MIN_TOKEN = 8  # characters
MAX_PORT = 65_535


@dataclass(frozen=True)
class Limits:
    """What one client can ask for.

    Attributes:
        bytes: of an upload, all its files together.
        pixels: of a picture; ``seconds``: of a recording.
        queue: inputs that wait or are being read; what comes beyond is told to come again.
        upload_seconds: until an upload must be complete; ``answer_seconds``: until it must be recognized.
        batch: inputs recognized together; ``window``: seconds that the first of them waits for others.
    """

    bytes: int = 256 << 20
    pixels: int = 100_000_000
    seconds: float = 4 * 3600.0
    queue: int = 128
    upload_seconds: float = 300.0
    answer_seconds: float = 3600.0
    batch: int = 32
    window: float = 0.008


@dataclass(frozen=True)
class ServeSettings:
    """A service as it was asked for.

    Attributes:
        project: whose page is served; None: only the programming interface.
        host, port: where it listens.
        token: what a client must show; needed wherever others than this machine can reach it.
        hosts: further names by which it is reached, behind a proxy, say.
        models: names or folders of bundles; one for each kind of source, else those of the project, or those that ship.
        wyoming: ``PORT`` or ``HOST:PORT`` for the Wyoming protocol; None: not spoken.
        device, precision, threads: of the machine, as for `recognizer transcribe`.
        limits: what one client can ask for.

    Raises:
        ConfigError: an address that others can reach without a token, or a token that is too short.
    """

    project: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    hosts: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    wyoming: str | None = None
    device: str = "auto"
    precision: str = "float32"
    threads: int = 0
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < MIN_TOKEN:
            raise ConfigError(f"--token: has {len(self.token)} characters; take {MIN_TOKEN} or more")
        if self.port > MAX_PORT:
            raise ConfigError(f"--port {self.port}: ports go up to {MAX_PORT}")
        if self.token is None and not is_loopback(self.host):
            raise ConfigError(f"--host {self.host}: others can reach this address; protect it with --token TOKEN, or leave --host out")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
