"""Shows a process's metrics to Prometheus, ours and those of Temporal's SDK as one page; it answers nothing else."""

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from runtime.settings import SettingsError
from telemetry.instruments import REGISTRY

log = logging.getLogger(__name__)

PATH: Final = "/metrics"
LOOPBACK: Final = "127.0.0.1"
WITHIN_S: Final = 2.0
TRIES: Final = 20


class MetricsServer:
    """A thread of its own: an event loop that stands still is seen, too."""

    def __init__(self, host: str, port: int, beside: Callable[[], bytes]) -> None:
        """`beside` gives the text of what else this process exposes. SettingsError where the port cannot be had."""

        class Handler(_Handler):
            more = staticmethod(beside)

        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        kind = type("_Server", (ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})
        try:
            self._server: ThreadingHTTPServer = kind((host, port), Handler)
        except OSError as error:
            raise SettingsError(f"GREENROOM_METRICS_PORT {port} cannot be had: {error.strerror}") from None
        Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    more: Callable[[], bytes]

    def do_GET(self) -> None:
        """The metrics; 404 for any other path."""
        if self.path != PATH:
            self.send_error(404)
            return
        body = generate_latest(REGISTRY) + self.more()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE_LATEST)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log no scrape."""


def temporal_with_metrics() -> Callable[[], bytes]:
    """Let Temporal's SDK keep its metrics, on a port of loopback that it opens itself; what reads them.

    To be called once, before the first client. The SDK cannot say which port it got, so one is looked for first, and
    another if it was taken meanwhile.
    """
    for _ in range(TRIES):
        with socket.create_server((LOOPBACK, 0)) as probe:
            port = probe.getsockname()[1]
        config = PrometheusConfig(
            bind_address=f"{LOOPBACK}:{port}", counters_total_suffix=True, durations_as_seconds=True
        )
        try:
            runtime = Runtime(telemetry=TelemetryConfig(metrics=config))
        except ValueError:
            continue
        Runtime.set_default(runtime)
        return lambda: _read(port)
    raise SettingsError("no free port was found for the metrics of Temporal's SDK")


def _read(port: int) -> bytes:
    """What the SDK exposes; nothing where it does not answer."""
    connection = HTTPConnection(LOOPBACK, port, timeout=WITHIN_S)
    try:
        connection.request("GET", PATH)
        answer = connection.getresponse()
        text = answer.read()
        return text if answer.status == 200 else b""  # noqa: PLR2004
    except (OSError, HTTPException) as error:
        log.warning("the metrics of Temporal's SDK cannot be read: %s", error)
        return b""
    finally:
        connection.close()
