"""What lets a process be watched, from its settings: log, metrics, traces. Called in main, before all else."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from runtime.log import configure_logging
from runtime.settings import Settings
from runtime.settings_secrets import secrets_of
from runtime.settings_tracing import is_traced
from telemetry import spans
from telemetry.about import process
from telemetry.redaction import hide_everywhere

_interceptors: list[Any] = []


@contextmanager
def watched(role: str, settings: Settings, environ: Mapping[str, str]) -> Iterator[None]:
    """Log, count and trace as a role until the block is left; SettingsError where a port or an endpoint is wrong.

    Nothing of OpenTelemetry is imported where the environment names no endpoint, and no port is opened unasked.
    """
    hide_everywhere(secrets_of(environ))
    configure_logging(settings.log_level, settings.log_format, role=role)
    with ExitStack() as stack:
        if settings.metrics_port:
            _show_metrics(settings, stack)
        if is_traced(environ):
            _trace(role, stack)
        yield


def temporal_interceptors() -> Sequence[Any]:
    """What every client of Temporal in this process takes: none where nothing is traced."""
    return tuple(_interceptors)


def _show_metrics(settings: Settings, stack: ExitStack) -> None:
    from runtime.metrics_server import MetricsServer, temporal_with_metrics  # noqa: PLC0415 - only where asked for
    from telemetry.instruments import REGISTRY  # noqa: PLC0415
    from telemetry.process_info import ProcessInfo  # noqa: PLC0415

    info = ProcessInfo()
    REGISTRY.register(info)
    stack.callback(REGISTRY.unregister, info)
    server = MetricsServer(settings.metrics_host, settings.metrics_port, temporal_with_metrics())
    stack.callback(server.close)


def _trace(role: str, stack: ExitStack) -> None:
    from temporalio.contrib.opentelemetry import TracingInterceptor  # noqa: PLC0415 - half a second of imports

    from telemetry.otel import otlp_tracing  # noqa: PLC0415

    tracing = otlp_tracing(f"greenroom-{role}", process()["boot_id"])
    spans.use(tracing)
    _interceptors.append(TracingInterceptor(tracing.tracer))
    stack.callback(tracing.close)
    stack.callback(_interceptors.clear)
    stack.callback(spans.use, None)
