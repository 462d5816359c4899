"""The time that adapting may take: what is done, what is left, and the signals that end it early."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

from recognizer.errors import Interrupted
from recognizer.training.run import collect_signals
from recognizer.utils.progress import Progress, duration

TRAINING = 0.8  # share of the time that networks may learn in; the rest is for scoring and for the decoder
REPORT_SECONDS = 0.3  # between two reports to a caller


@dataclass(frozen=True)
class AdaptProgress:
    """How far adapting is: what is being done, the share of the whole that is done, and seconds until its end, at most."""

    stage: str
    fraction: float
    seconds_left: float


class Session:
    """One call of adapting, from its beginning to its end; a context manager that collects signals.

    Args:
        minutes: that it may take.
        progress: shows how far it is.
        on_progress: is told the same.
        advice: how to go on with an interrupted run.

    Attributes:
        finished: whether everything planned was done, or as much as the time allowed.
    """

    def __init__(self, minutes: float, progress: Progress, on_progress: Callable[[AdaptProgress], None] | None = None, advice: str = "") -> None:
        self.limit, self.progress, self._on_progress, self.advice = 60 * minutes, progress, on_progress, advice
        self.started = time.monotonic()
        self.finished = False
        self._pending: list[int] = []
        self._stack = ExitStack()
        self._reported = float("-inf")
        self._fraction = 0.0

    def __enter__(self) -> Session:
        """Collect signals from here on."""
        self._pending = self._stack.enter_context(collect_signals())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give signals back to whoever had them."""
        self.progress.close()
        self._stack.close()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.started

    @property
    def minutes(self) -> float:
        """The same in minutes."""
        return round(self.elapsed / 60, 2)

    @property
    def training_left(self) -> float:
        """Seconds that networks may still learn."""
        return max(0.0, TRAINING * self.limit - self.elapsed)

    @property
    def end(self) -> float:
        """When the time ends, by ``time.monotonic``."""
        return self.started + self.limit

    @property
    def time_left(self) -> float:
        """Seconds until the time ends."""
        return max(0.0, self.limit - self.elapsed)

    @property
    def stopped(self) -> bool:
        """Whether SIGINT asks for the best so far."""
        return signal.SIGINT in self._pending

    def check(self) -> None:
        """Raises Interrupted where a signal came that ends everything."""
        if signal.SIGTERM in self._pending:
            raise Interrupted(f"stopped by SIGTERM; no bundle was written; {self.advice}")

    def report(self, stage: str, fraction: float) -> None:
        """Say how far it is; the fraction never falls."""
        self._fraction = max(self._fraction, min(1.0, fraction))
        left = max(0.0, self.limit - self.elapsed)
        if self._fraction > 0.05:  # before, the pace says little
            left = min(left, self.elapsed * (1 - self._fraction) / self._fraction)
        self.progress.update(f"{stage}: {100 * self._fraction:.0f} %, {duration(left)} left at most")
        if self._on_progress is not None and (self.elapsed - self._reported > REPORT_SECONDS or fraction >= 1):
            self._reported = self.elapsed
            self._on_progress(AdaptProgress(stage, round(self._fraction, 4), round(left, 1)))

    def watcher(self, stage: str, begin: float, end: float) -> Callable[[float], bool]:
        """What a training tells its share to, which lies between two fractions of the whole; it answers whether to stop."""

        def watch(share: float) -> bool:
            self.report(stage, begin + share * (end - begin))
            return bool(self._pending)

        return watch
