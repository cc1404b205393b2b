"""Whether spans are sent: OpenTelemetry's standard variables, read here; the rest of them its SDK reads itself."""

from collections.abc import Mapping

from runtime.settings import SettingsError, is_server

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN = "http/protobuf"


def is_traced(environ: Mapping[str, str]) -> bool:
    """Does the environment name an endpoint for spans, and not switch them off? SettingsError for what we cannot do.

    OTEL_SDK_DISABLED=true and OTEL_TRACES_EXPORTER=none switch off whatever else is set.
    """
    endpoint = next((name for name in ENDPOINTS if environ.get(name)), "")
    exporters = {one.strip() for one in environ.get("OTEL_TRACES_EXPORTER", "otlp").split(",")}
    if not endpoint or environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporters == {"none"}:
        return False
    if not is_server(environ[endpoint]):
        raise SettingsError(
            f"{endpoint} is wrong: it must be http://HOST:PORT or https://HOST, without a user or query"
        )
    protocol = next((name for name in PROTOCOLS if environ.get(name)), "")
    if protocol and environ[protocol] != SPOKEN:
        raise SettingsError(f"{protocol} is wrong: spans are sent by {SPOKEN} only")
    if exporters != {"otlp"}:
        raise SettingsError("OTEL_TRACES_EXPORTER is wrong: spans are sent by otlp or not at all")
    return True
