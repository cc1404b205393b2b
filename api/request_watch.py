"""Counts, times, logs and traces each request. By its route's form: paths hold ids, and some of them open doors."""

import logging
import time
from contextlib import nullcontext
from typing import Any, Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from telemetry import spans
from telemetry.about import note
from telemetry.metrics import REQUEST_SECONDS

log = logging.getLogger(__name__)

NO_ROUTE: Final = "none"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "other"
ASKED_OFTEN: Final = frozenset({"/healthz", "/readyz"})
"""Every few seconds, by machines: not worth a line each."""
READS: Final = frozenset({"GET", "HEAD"})
"""Where they succeed they are a line for DEBUG only: clients that wait read every second, and a line takes 50 us."""
TRACEPARENT: Final = (b"traceparent", b"tracestate")


def watched_requests(app: ASGIApp) -> ASGIApp:
    """The application, watched."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        watch = _Watch(scope)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                watch.status = message["status"]
            await send(message)

        tracing = spans.active()
        with tracing.serving(watch.method, _trace_of(scope)) if tracing else nullcontext() as span:
            if span is not None:
                note(trace_id=span.trace_id)
            try:
                await app(scope, receive, noted)
            finally:
                watch.tell(span)

    return handle


class _Watch:
    """One request."""

    def __init__(self, scope: Any) -> None:
        self._scope = scope
        self._began = time.monotonic()
        self.method = scope["method"] if scope["method"] in METHODS else OTHER
        self.status = 500
        """Of the answer; where none was begun the server says this."""

    def tell(self, span: spans.Span | None) -> None:
        """Count it, log it, and name its span."""
        took_s = time.monotonic() - self._began
        route = self._scope.get("path_template") or NO_ROUTE
        REQUEST_SECONDS.labels(self.method, route, str(self.status)).observe(took_s)
        quiet = route in ASKED_OFTEN or (self.method in READS and self.status < 400)  # noqa: PLR2004
        log.log(
            logging.DEBUG if quiet else logging.INFO,
            "%s %s %d in %.0f ms",
            self.method,
            route,
            self.status,
            took_s * 1000,
        )
        if span is not None:
            facts = {"http.request.method": self.method, "http.route": route, "http.response.status_code": self.status}
            span.name_it(f"{self.method} {route}", **facts)
            if self.status >= 500:  # noqa: PLR2004
                span.fail(str(self.status))


def _trace_of(scope: Scope) -> dict[str, str]:
    """The headers by which a caller's trace goes on here."""
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in TRACEPARENT}
