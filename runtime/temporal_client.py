"""One Temporal client per process, by Temporal's own configuration: TEMPORAL_... variables and its TOML profiles."""

from collections.abc import Mapping
from typing import Any

from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig, ClientConnectConfig

from contracts.converter import data_converter
from runtime.setting_files import SettingsError
from runtime.settings import payload_keys
from runtime.watching import temporal_interceptors

LOCAL = "127.0.0.1:7233"
NAMESPACE = "default"
NO_PROFILE = {"TEMPORAL_CONFIG_FILE": "/dev/null"}
"""For who knows the server: whatever profile the user keeps for others does not count."""


def connection(environ: Mapping[str, str]) -> ClientConnectConfig:
    """Where and how to connect: the profile of TEMPORAL_PROFILE in TEMPORAL_CONFIG_FILE, and over it the variables.

    SettingsError where a file is missing or makes no sense.
    """
    try:
        found = ClientConfig.load_client_connect_config(override_env_vars=dict(environ))
    except OSError as error:
        raise SettingsError(f"Temporal's configuration names {error.filename}: {error.strerror}") from None
    except (RuntimeError, ValueError, TypeError) as error:
        # Its first line alone: the others quote the file, in which an API key may stand.
        raise SettingsError(f"Temporal's configuration is wrong: {str(error).splitlines()[0]}") from None
    found.setdefault("target_host", LOCAL)
    found.setdefault("namespace", NAMESPACE)
    return found


def converter(environ: Mapping[str, str]) -> DataConverter:
    """How values become payloads: readable, or encrypted where GREENROOM_PAYLOAD_KEYS says so."""
    keys = payload_keys(environ)
    if not keys:
        return data_converter
    from runtime.payload_codec import encrypting  # noqa: PLC0415 - a library that not every role loads

    return encrypting(data_converter, keys)


async def connect(environ: Mapping[str, str], *, lazy: bool = False, **words: Any) -> Client:
    """A client; RuntimeError where Temporal is down, unless `lazy`: then the process can start without it.

    SettingsError where the configuration is wrong; `words` go to the SDK's own `connect`.
    """
    options = connection(environ)
    try:
        words = {"data_converter": converter(environ), "interceptors": temporal_interceptors(), "lazy": lazy, **words}
        return await Client.connect(**options, **words)
    except ValueError as error:
        raise SettingsError(f"Temporal's address is wrong, it must be HOST:PORT: {error}") from None
