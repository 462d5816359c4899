"""What a service counts, as Prometheus reads it; nothing in it tells of content."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("recognizer_requests", "Requests answered", ("method", "route", "status"), registry=self.registry)
        self.seconds = Histogram("recognizer_request_seconds", "Time to answer", ("route",), buckets=SECONDS, registry=self.registry)
        self.batches = Histogram("recognizer_batch_size", "Inputs recognized together", buckets=SIZES, registry=self.registry)
        self.audio = Counter("recognizer_audio_seconds", "Seconds of recordings recognized", registry=self.registry)
        self.pictures = Counter("recognizer_pictures", "Pictures recognized", registry=self.registry)
        self.failures = Counter("recognizer_failures", "Inputs that could not be used", registry=self.registry)

    def watch_queue(self, depth: Callable[[], int]) -> None:
        """Show how many inputs wait or are being read."""
        Gauge("recognizer_queue_depth", "Inputs that wait or are being read", registry=self.registry).set_function(depth)

    def render(self) -> bytes:
        """All counters as text."""
        return generate_latest(self.registry)
