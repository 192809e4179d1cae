"""What can be watched from outside? Numbers of requests, images and seconds; nothing of a case."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Meters:
    """Prometheus metrics of one service, in a registry of their own."""

    def __init__(self, inside: Callable[[], int], held: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "dxtree_requests", "Requests by route and status", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "dxtree_request_seconds",
            "Seconds to an answer",
            ["route"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.images = Counter("dxtree_images", "Images judged", ["modality"], registry=self._registry)
        self.answers = Counter("dxtree_answers", "Diagnoses by status", ["status"], registry=self._registry)
        for name, what, value in (
            ("dxtree_requests_inside", "Requests that are worked on or wait", inside),
            ("dxtree_body_bytes_held", "Bytes of request bodies in memory", held),
        ):
            Gauge(name, what, registry=self._registry).set_function(value)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """One request is over."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def page(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return generate_latest(self._registry)
