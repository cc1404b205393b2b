"""A collector on loopback, written by hand: takes spans by OTLP over HTTP from real exporters, and keeps them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A span as it came."""

    name: str
    service: str
    trace: str
    span: str
    parent: str
    """Empty for a root."""
    began: int
    ended: int
    attributes: dict[str, object]
    failed: bool


class OtlpReceiver:
    """What came so far."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self._spans: list[Kept] = []
        self._lock = Lock()

    @property
    def spans(self) -> list[Kept]:
        """Every span, in the order in which they came."""
        with self._lock:
            return list(self._spans)

    def named(self, name: str, trace: str = "") -> list[Kept]:
        """The spans of a name, in a trace or in any."""
        return [span for span in self.spans if span.name == name and trace in ("", span.trace)]

    def take(self, body: bytes) -> None:
        """One export."""
        request = ExportTraceServiceRequest.FromString(body)
        found = [
            Kept(
                name=span.name,
                service=str(_values(of.resource.attributes)["service.name"]),
                trace=span.trace_id.hex(),
                span=span.span_id.hex(),
                parent=span.parent_span_id.hex(),
                began=span.start_time_unix_nano,
                ended=span.end_time_unix_nano,
                attributes=_values(span.attributes),
                failed=span.status.code == 2,
            )
            for of in request.resource_spans
            for scope in of.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self.bodies.append(body)
            self._spans += found


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """A collector that listens until the block is left."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
            receiver.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = OtlpReceiver(server.server_address[1])
    serving = Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def _values(attributes: "list[KeyValue]") -> dict[str, object]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value") for one in attributes}
