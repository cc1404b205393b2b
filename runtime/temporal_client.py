"""One Temporal client per process. Temporal's own TEMPORAL_* variables say where it is."""

from collections.abc import Mapping

from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from contracts.converter import data_converter


async def connect(environ: Mapping[str, str], *, lazy: bool = False) -> Client:
    """A client; `lazy` lets a process start while Temporal is down."""
    options = ClientConfig.load_client_connect_config(override_env_vars=dict(environ))
    return await Client.connect(
        options.pop("target_host", None) or "127.0.0.1:7233", data_converter=data_converter, lazy=lazy, **options
    )
