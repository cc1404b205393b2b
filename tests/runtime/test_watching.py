"""A process is watched as its settings say: nothing is opened or imported unasked."""

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from runtime.settings import SettingsError
from runtime.settings_tracing import is_traced
from runtime.system.ports import free_port

ROOT = Path(__file__).parents[2]
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}

WATCHED = """
import os, sys, urllib.request
from runtime.settings import load_settings
from runtime.watching import temporal_interceptors, watched
environ = dict(os.environ)
settings = load_settings({k: v for k, v in environ.items() if k.startswith("GREENROOM_")})
with watched("faces", settings, environ):
    from telemetry import spans
    if settings.metrics_port:
        page = urllib.request.urlopen(f"http://127.0.0.1:{settings.metrics_port}/metrics").read().decode()
        print("page", 'greenroom_process_info{boot_id="' in page, 'role="faces"' in page)
    print("traced", spans.active() is not None, len(temporal_interceptors()))
print("after", spans.active() is not None, len(temporal_interceptors()))
loaded = {name.partition(".")[0] for name in sys.modules}
print("imported", *sorted(loaded & {"opentelemetry", "prometheus_client", "requests"}))
sys.stdout.flush()
os._exit(0)
"""


def watched(**environ: str) -> list[str]:
    """What a process says of itself that is watched by these variables."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "GREENROOM_"))}
    command = [sys.executable, "-c", WATCHED]
    done = subprocess.run(
        command, cwd=ROOT, env={**mine, **environ}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_nothing_is_opened_or_imported_unasked() -> None:
    """Without a port there is no page, and without an endpoint nothing of OpenTelemetry is in memory."""
    assert watched() == ["traced False 0", "after False 0", "imported"]


def test_metrics_and_traces_are_there_where_asked_for() -> None:
    """A page by the port, an interceptor by the endpoint; both are gone afterwards, though no collector answers."""
    told = watched(GREENROOM_METRICS_PORT=str(free_port(set())), **ENDPOINT)
    assert told[:3] == ["page True True", "traced True 1", "after False 0"]


def test_port_that_is_taken_is_said() -> None:
    """A process whose metrics cannot be seen does not start: nobody would notice."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "worker", "faces"]
        environ = {**os.environ, "GREENROOM_METRICS_PORT": str(port)}
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert f"greenroom: GREENROOM_METRICS_PORT {port} cannot be had" in done.stderr


@pytest.mark.parametrize(
    ("environ", "traced"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector.example/v1/traces"}, True),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_SERVICE_NAME": "mine"}, False),
    ],
)
def test_standard_variables_switch_traces_on_and_off(environ: dict[str, str], traced: bool) -> None:
    """An endpoint switches on; what OpenTelemetry has to switch off goes before it."""
    assert is_traced(environ) == traced


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@collector:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
    ],
)
def test_what_cannot_be_done_is_said(name: str, value: str) -> None:
    """The sentence names the variable, never its value."""
    with pytest.raises(SettingsError, match=name) as caught:
        is_traced({**ENDPOINT, name: value})
    assert value not in str(caught.value)
