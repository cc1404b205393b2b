"""The secrets in a process's settings, one by one, so that its log can hide them; it shows them to nobody else."""

from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from runtime.setting_files import with_files
from runtime.settings import PREFIX

KEY_SETS = ("SERVER_KEYS", "SEALING_KEYS", "WEBHOOK_KEYS", "PAYLOAD_KEYS")
WHOLE = ("STORAGE_SECRET_KEY", "LIVEKIT_API_SECRET", "CODEC_TOKEN", "FIRST_API_KEY")
ADDRESSES = ("DATABASE_URL", "RATE_LIMIT_URL")
HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
OTHERS = ("TEMPORAL_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD")


def secrets_of(environ: Mapping[str, str]) -> set[str]:
    """Each key, secret and password that the environment, or a file that it names, gives this process."""
    return {secret for secret in _found(with_files(environ)) if secret}


def _found(environ: Mapping[str, str]) -> Iterator[str]:
    for name in KEY_SETS:
        yield from (one.strip().partition(":")[2] for one in environ.get(PREFIX + name, "").split(","))
    yield from (environ.get(PREFIX + name, "") for name in WHOLE)
    yield from (environ.get(name, "") for name in OTHERS)
    for name in ADDRESSES:
        yield from _password(environ.get(PREFIX + name, ""))
    for name in HEADERS:
        for header in environ.get(name, "").split(","):
            value = header.partition("=")[2].strip()
            yield from (value, unquote(value))


def _password(address: str) -> Iterator[str]:
    """The password of an address, as it is written there and as it is meant."""
    try:
        password = urlsplit(address).password or ""
    except ValueError:
        return
    yield from (password, unquote(password))
